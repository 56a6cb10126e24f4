"""Distillation: from a table of annotations to a student that gives the same answers for a fraction of the cost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from corpuskit import energy, runs
from corpuskit.enrich.annotations import Annotations
from corpuskit.enrich.annotations import read as read_annotations
from corpuskit.paragraphs import read as paragraphs_read
from corpuskit.student import metrics, split, store
from corpuskit.student.heads import Head, StudentError, Target, heads, target
from corpuskit.student.linear import LinearOptions
from corpuskit.student.linear import train as train_linear
from corpuskit.student.store import Card, Student

if TYPE_CHECKING:
    from corpuskit.student.encoder import EncoderOptions

Array = npt.NDArray[Any]

REPORT = "report.json"
LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Report:
    """A student that was trained: its folder, and what `report.json` says of it."""

    output: Path
    content: dict[str, Any]

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """Of each field, what it is worth on the test articles (see :func:`corpuskit.student.metrics.measure`)."""
        found: dict[str, dict[str, Any]] = self.content["fields"]
        return found


def distil(
    source: str | Path,
    student: str,
    output: str | Path,
    *,
    paragraphs: str | Path | None = None,
    fields: Sequence[str] | None = None,
    seed: int = 0,
    shares: Sequence[float] = split.SHARES,
    options: LinearOptions | EncoderOptions | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Train a student on annotations, measure it on articles it has not seen, and write it.

    Args:
        source: the annotations, see :func:`corpuskit.enrich.annotations.read`.
        student: `linear`, or an encoder of the Hugging Face hub or in a folder.
        output: folder to write; it appears whole or not at all.
        paragraphs: where the texts are, if the annotations do not hold them.
        fields: learn only these.
        seed: of the split, of the order of training and of the first weights.
        shares: of the articles that train, choose and measure.
        options: of the student; its own unless given.
        overwrite: replace a student that is in the folder.
        tell: called with a line of progress.

    Raises:
        StudentError: there is too little to learn from, or the output is taken.
        corpuskit.enrich.annotations.AnnotationsError: there are no annotations.
        corpuskit.paragraphs.read.ParagraphsError: there are no paragraphs.
    """
    output, begun, meter = Path(output), time.perf_counter(), energy.counting(gpus=student != LINEAR)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        if not (output / store.FILE).exists():
            raise StudentError(f"{output} holds something that is no student: choose another folder")
        if not overwrite:
            raise StudentError(f"{output} holds a student already: choose another folder, or replace it (--overwrite)")
    told = read_annotations(source)
    asked = heads(told.prompt, fields)
    table = _with_texts(_rows(told, asked), paragraphs, told.path)
    targets = [target(table, head) for head in asked]
    articles = table["article_id"].to_pylist()
    for head, goal in zip(asked, targets, strict=True):
        _learnable(head, goal, articles)
    parts = split.parts(articles, seed, shares)
    warnings = _checked(parts, asked, targets, len(set(articles)))
    texts = table["text"].to_pylist()
    learnt, options, training = _train(student, texts, parts, asked, targets, options, seed, tell)

    logits = {
        part: learnt.logits([texts[place] for place in np.flatnonzero(parts == split.PARTS.index(part))])
        for part in ("dev", "test")
    }
    heats, measured = {}, {}
    for head, goal in zip(asked, targets, strict=True):
        heats[head.name] = _heat(head, logits["dev"][:, head.columns], goal.answers[parts == 1])
        tested = goal.only(parts == 2)
        measured[head.name] = metrics.measure(head, logits["test"][:, head.columns], tested, heats[head.name])
    kind = "linear" if student == LINEAR else "encoder"
    card = Card(
        kind=kind,
        name=student if kind == "linear" else Path(student).name if Path(student).exists() else student,
        prompt=told.prompt,
        fields=[head.name for head in asked],
        temperatures=heats,
        teacher=told.annotator._asdict(),
        settings={"seed": seed, "shares": list(shares), "options": options.model_dump(mode="json")},
    )
    content = {
        "tool": "corpuskit distil",
        "written": runs.now(),
        "seconds": round(time.perf_counter() - begun, 1),
        "energy": meter.read().told,
        "before": energy.before(told.path),
        "versions": runs.versions(),
        "student": card.name,
        "teacher": card.teacher,
        "prompt": {"name": told.prompt.name, "version": told.prompt.version, "fingerprint": told.prompt.fingerprint},
        "split": {
            part: {
                "articles": len({article for article, of in zip(articles, parts, strict=True) if of == place}),
                "paragraphs": int((parts == place).sum()),
            }
            for place, part in enumerate(split.PARTS)
        },
        "soft": {head.name: _is_soft(goal) for head, goal in zip(asked, targets, strict=True)},
        "warnings": warnings,
        "training": training,
        "fields": measured,
    }
    _write(output, card, learnt, content)
    return Report(output, content)


def _rows(told: Annotations, asked: Sequence[Head]) -> pa.Table:
    """The columns that matter of the rows with an answer."""
    wanted = ["id", "article_id", "text"]
    for head in asked:
        wanted += [head.column, f"{head.name}_probabilities"]
    table = told.table([name for name in dict.fromkeys(wanted) if name in told.dataset.schema.names])
    if not len(table):
        raise StudentError(f"{told.path}: not one paragraph was answered; look at the column `detail`")
    if table["article_id"].null_count:
        raise StudentError(
            f"{told.path}: {table['article_id'].null_count} paragraphs have no `article_id`; without it, paragraphs "
            "of one article would train and measure"
        )
    return table


def _with_texts(table: pa.Table, paragraphs: str | Path | None, where: Path) -> pa.Table:
    if paragraphs is not None:
        dataset = paragraphs_read.dataset(paragraphs)
        ids = pc.unique(table["id"])
        found = dataset.to_table(columns=["id", "text"], filter=ds.field("id").isin(ids))
        text = found["text"].take(pc.index_in(table["id"], value_set=found["id"].combine_chunks()))
        table = table.set_column(table.schema.get_field_index("text"), "text", text)
    if missing := table["text"].null_count:
        raise StudentError(
            f"{where}: {missing} of {len(table)} paragraphs have no text; say where it is with --paragraphs CORPUS"
        )
    return table


def _learnable(head: Head, goal: Target, articles: Sequence[str]) -> None:
    """Whether there is something to tell apart.

    Raises:
        StudentError: there is not.
    """
    hint = "leave the field out (--field names those to learn)"
    known = np.flatnonzero(goal.known)
    if not len(known):
        raise StudentError(f"{head.name}: nothing was answered; {hint}")
    if head.kind == "density":
        if np.ptp(goal.means[known]) == 0:
            raise StudentError(f"{head.name}: all paragraphs have the same density; {hint}")
        return
    of_class: dict[int, set[str]] = {}
    for place in known.tolist():
        of_class.setdefault(int(goal.answers[place]), set()).add(articles[place])
    if len(of_class) == 1:
        only = head.classes[next(iter(of_class))]
        raise StudentError(f"{head.name}: every answer is {only!r}, so there is nothing to learn; {hint}")
    if head.kind != "score":
        for place, holding in sorted(of_class.items()):
            if len(holding) == 1:
                raise StudentError(
                    f"{head.name}: only one article ({min(holding)}) has {head.classes[place]!r}: it cannot both be "
                    f"learnt and measured; annotate more, merge it with another label, or {hint}"
                )


def _checked(parts: Array, asked: Sequence[Head], targets: Sequence[Target], articles: int) -> list[str]:
    """What a reader of the figures should know of the split.

    Raises:
        StudentError: a part has nothing of a field.
    """
    warnings = []
    for head, goal in zip(asked, targets, strict=True):
        for place, part in enumerate(split.PARTS):
            there = np.unique(goal.answers[goal.known & (parts == place)])
            if not len(there):
                raise StudentError(
                    f"{head.name}: {articles} articles are too few: none of them came to {part}; annotate more "
                    "articles, or try another --seed"
                )
            if head.kind in ("label", "flag"):
                given = np.unique(goal.answers[goal.known])
                warnings += [f"{head.name}: {part} has no {head.classes[one]!r}" for one in np.setdiff1d(given, there)]
    return warnings


def _train(
    student: str,
    texts: Sequence[str],
    parts: Array,
    asked: Sequence[Head],
    targets: Sequence[Target],
    options: LinearOptions | EncoderOptions | None,
    seed: int,
    tell: Callable[[str], None],
) -> tuple[Student, LinearOptions | EncoderOptions, dict[str, Any]]:
    if student == LINEAR:
        options = options if isinstance(options, LinearOptions) else LinearOptions()
        linear, training = train_linear(texts, parts, asked, targets, options)
        return linear, options, training
    from corpuskit.student import encoder

    options = options if isinstance(options, encoder.EncoderOptions) else encoder.EncoderOptions()
    learnt, training = encoder.train(student, texts, parts, asked, targets, options, seed, tell)
    return learnt, options, training


def _heat(head: Head, logits: Array, answers: Array) -> float:
    """The temperature of a field; a mean has none."""
    known = answers >= 0
    return 1.0 if head.kind == "density" else metrics.temperature(logits[known], answers[known])


def _is_soft(goal: Target) -> bool:
    shares = goal.shares[goal.known]
    return bool(((shares > 0) & (shares < 1)).any())


def _write(output: Path, card: Card, learnt: Student, content: dict[str, Any]) -> None:
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    store.save(partial, card, learnt)
    runs.write_json(partial / REPORT, content)
    shutil.rmtree(output, ignore_errors=True)
    partial.rename(output)
