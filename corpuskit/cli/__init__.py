"""The command line: thin over functions that a script can call, a module a stage."""

from corpuskit.cli import agree, build, enrich, prompts, publish, report, runs, sample, student
from corpuskit.cli.common import app

__all__ = ["agree", "app", "build", "enrich", "prompts", "publish", "report", "runs", "sample", "student"]
