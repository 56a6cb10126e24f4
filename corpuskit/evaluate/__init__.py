"""Evaluation: models on French biomedical tasks, by protocols that say what they count, from one set of predictions."""
