"""The command line: thin over functions that a script can call, a module a stage."""

from corpuskit.cli import (
    ablate,
    agree,
    build,
    card,
    compare,
    enrich,
    evaluate,
    fill,
    pretrain,
    prompts,
    publish,
    report,
    runs,
    sample,
    student,
    tokenizer,
)
from corpuskit.cli.common import app

__all__ = [
    "ablate", "agree", "app", "build", "card", "compare", "enrich", "evaluate", "fill", "pretrain", "prompts",
    "publish", "report", "runs", "sample", "student", "tokenizer",
]  # fmt: skip
