"""Sampling: a recipe turns an annotated corpus into a data set to train on."""
