"""Annotation of paragraphs: prompts, a served model, the store of its answers."""
