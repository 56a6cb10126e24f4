"""Pretraining: a data set adapts a language model, or makes one from nothing, and the cost is counted."""
