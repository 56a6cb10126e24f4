"""Students on disk: a folder with `student.json`, which says what it answers, and the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from corpuskit.enrich.annotations import Annotator
from corpuskit.enrich.prompts import Prompt
from corpuskit.student.heads import Head, StudentError, heads

FILE = "student.json"


class Student(Protocol):
    """What every student does, whatever it is made of."""

    truncated: int

    def logits(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """The logits of all heads, shape (texts, classes of all heads), float32."""

    def save(self, folder: Path) -> None:
        """Write the weights, and what else is needed to read them."""


class Card(BaseModel):
    """What `student.json` says."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["linear", "encoder"]
    #: `linear`, or the encoder it began as.
    name: str
    prompt: Prompt
    fields: list[str]
    #: What the logits of each field are divided by.
    temperatures: dict[str, float]
    #: Who taught it.
    teacher: dict[str, str]
    #: How it was trained.
    settings: dict[str, Any]

    @property
    def heads(self) -> list[Head]:
        """Its fields as arrays."""
        return heads(self.prompt, self.fields)


@dataclass(frozen=True, slots=True)
class Stored:
    """A student in a folder, its weights not read yet."""

    folder: Path
    card: Card

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides what it answers, in hexadecimal."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and path.name != "report.json":
                digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
                with path.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def annotator(self, fingerprint: str) -> Annotator:
        """Who answers, in a table of annotations."""
        return Annotator("student", self.card.name, fingerprint[:12])

    def load(self, place: int = 0, batch_tokens: int | None = None) -> Student:
        """Read the weights.

        Args:
            place: of an encoder, which GPU, where there are some, counted round.
            batch_tokens: of an encoder, the tokens of a batch.

        Raises:
            StudentError: they cannot be read, or what reads them is not installed.
        """
        if self.card.kind == "linear":
            from corpuskit.student.linear import Linear

            return Linear.load(self.folder)
        from corpuskit.student.encoder import Encoder

        encoder = Encoder.load(self.folder, place)
        encoder.batch_tokens = batch_tokens or encoder.batch_tokens
        return encoder


def save(folder: Path, card: Card, student: Student) -> None:
    """Write a student; `student.json` comes last."""
    student.save(folder)
    (folder / FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def find(folder: str | Path) -> Stored:
    """The student in a folder.

    Raises:
        StudentError: there is none.
    """
    folder = Path(folder)
    try:
        return Stored(folder, Card.model_validate_json((folder / FILE).read_bytes()))
    except OSError:
        raise StudentError(f"{folder} holds no student: give a folder that `corpuskit distil` wrote") from None
    except ValidationError as error:
        raise StudentError(f"{folder / FILE} cannot be read: {error.errors()[0]['msg']}") from None
