"""``python -m corpuskit`` is the command ``corpuskit``."""

from corpuskit.cli import app

app()
