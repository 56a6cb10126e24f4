"""Sheets for people to label: paragraphs are drawn, shown with what is asked about them, and read back.

A sheet is one file: a spreadsheet (`.xlsx`, `.csv`) or a page (`.html`) that a browser opens from the disk. The
prompt and the paragraphs travel in it, so that reading back needs nothing else. What a model answered never does.
"""

from __future__ import annotations

import csv
import hashlib
import heapq
import html
import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.enrich.agreement import WEIGHT
from corpuskit.enrich.annotations import Annotation, Annotations, AnnotationsError, Annotator, read, tables, write
from corpuskit.enrich.prompts import AnyField, FlagField, InvalidAnswer, LabelField, Prompt, ScoreField, SpansField
from corpuskit.enrich.prompts import Value as Answered
from corpuskit.paragraphs.read import batches, dataset

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

Stratum = tuple[str, ...]

FORMATS = (".html", ".xlsx", ".csv")
#: What paragraphs are drawn by, unless told otherwise; of these, the columns that there are.
BY = ("source", "kind")
#: The column with what a person must not change, and the one to say that they do not know.
_OWN, _UNSURE = "corpuskit", "incertain"
#: Characters that a cell of a spreadsheet holds at most (Excel's limit is 32,767).
_CELL = 32_000
_NOTHING = ("-", "–", "—", "aucun", "aucune", "rien", "none", "[]")
_YES, _NO = ("true", "vrai", "oui", "yes", "1"), ("false", "faux", "non", "no", "0")
_WHOLE = re.compile(r"([+-]?\d+)(?:[.,]0+)?")
_FORMULA = ("=", "+", "-", "@")
#: What XML cannot hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class SheetError(Exception):
    """A sheet that cannot be drawn or read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of a sheet; ``weight`` is how many paragraphs of what was drawn from it stands for."""

    id: str
    article_id: str
    source: str
    weight: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """What :func:`draw` did."""

    files: list[Path]
    paragraphs: int
    by: tuple[str, ...]
    #: Of each stratum, the paragraphs drawn and those that there are.
    strata: dict[Stratum, tuple[int, int]]


@dataclass(slots=True)
class ReadBack:
    """What :func:`read_back` found: paragraphs with an answer, with a wrong one, unsure, and without any."""

    answered: int = 0
    invalid: int = 0
    unsure: int = 0
    blank: int = 0
    #: Each wrong cell: where it is and what was expected.
    wrong: list[str] = field(default_factory=list)


# ---------------------------------------------------------------------------------------------------------------------
# Drawing


def draw(
    paragraphs: str | Path,
    prompt: Prompt,
    output: Path,
    number: int,
    by: Sequence[str] | None = None,
    seed: int = 0,
    like: str | Path | None = None,
    sheets: int = 1,
    double: int = 0,
) -> Drawn:
    """Draw a stratified sample of paragraphs and write it as a sheet.

    Each stratum gets one paragraph at least, and otherwise in proportion to the square root of its size (Bankier
    1988, "Power allocations"): small strata are there, large ones do not drown them. A paragraph's weight is the size
    of its stratum over the number drawn from it. Which ones are drawn depends on their ids and the seed alone, and of
    the same strata a larger sample holds the smaller.

    Args:
        paragraphs: what `corpuskit build` wrote, or any Parquet with `id` and `text`.
        prompt: what is asked about them.
        output: a file to write, `.html`, `.xlsx` or `.csv`.
        number: paragraphs to draw.
        by: columns of the paragraphs, or fields of ``like``, that make the strata. Unless given: source and kind;
            with ``like`` the labels, flags and scores, as many as ``number`` has room for.
        seed: another seed draws other paragraphs.
        like: annotations to draw by, so that labels that are rare are there. Only paragraphs with an answer are drawn.
        sheets: deal the paragraphs out to as many people; the files are numbered.
        double: so many stand in every sheet, to see how far the people agree.

    Raises:
        SheetError: the sample or the sheet cannot be made; nothing is written.
        ParagraphsError: there are no paragraphs.
        AnnotationsError: ``like`` holds no annotations.
    """
    files = [output] if sheets == 1 else [output.with_stem(f"{output.stem}-{one}") for one in range(1, sheets + 1)]
    if output.suffix.lower() not in FORMATS:
        raise SheetError(f"{output}: a sheet is one of {', '.join(FORMATS)}")
    if there := [file for file in files if file.exists()]:
        raise SheetError(f"{there[0]} is there already, perhaps with answers: move it or give another name")
    if number < 1 or sheets < 1 or not 0 <= double <= number:
        raise SheetError(f"{number} paragraphs, {double} of them in each of {sheets} sheets: cannot be drawn")
    if taken := [name for name in (WEIGHT, _UNSURE, _OWN) if name in prompt.fields]:
        raise SheetError(f"{prompt.name}: {taken[0]} is the name of another column: call the field otherwise")
    by, sizes, ordered = _strata(paragraphs, number, by, seed, read(like) if like else None)
    shares = allocate(sizes, number)
    weights = {id: sizes[one] / share for one, share in shares.items() for _, id in sorted(ordered[one])[:share]}
    # In an order that tells nothing of the strata.
    chosen = sorted(_texts(paragraphs, weights), key=lambda one: _place(f"order {seed}", one.id))
    if twice := next((one.id for one, other in pairwise(chosen) if one.id == other.id), None):
        raise SheetError(f"{paragraphs}: two paragraphs have the id {twice}; each needs its own")
    for number_of, file in enumerate(files):
        part = chosen[:double] + chosen[double:][number_of::sheets]
        _write(file, prompt, sorted(part, key=lambda one: _place(f"order {seed} {number_of}", one.id)))
    strata = {one: (shares[one], sizes[one]) for one in sorted(sizes)}
    return Drawn(files, len(chosen), by, strata)


def allocate(sizes: Mapping[Stratum, int], number: int) -> dict[Stratum, int]:
    """How many to draw from strata of these sizes: one at least, otherwise as the square root of the size.

    Rounded by Sainte-Laguë's divisors, with which no stratum ever loses by a larger sample.
    """
    shares = dict.fromkeys(sorted(sizes), 1)
    waiting = [(-math.sqrt(sizes[one]) / 1.5, one) for one in shares if sizes[one] > 1]
    heapq.heapify(waiting)
    for _ in range(number - len(shares)):
        if not waiting:
            break
        _, one = heapq.heappop(waiting)
        shares[one] += 1
        if shares[one] < sizes[one]:
            heapq.heappush(waiting, (-math.sqrt(sizes[one]) / (shares[one] + 0.5), one))
    return shares


def _place(salt: str, id: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{salt}\n{id}".encode(), digest_size=8).digest())


def _strata(
    paragraphs: str | Path, number: int, by: Sequence[str] | None, seed: int, like: Annotations | None
) -> tuple[tuple[str, ...], dict[Stratum, int], dict[Stratum, list[tuple[int, str]]]]:
    """The strata: what makes them, their sizes, and the ids of those to take first, with their places."""
    there = dataset(paragraphs).schema.names
    fields = like.prompt.fields if like else {}
    if by is None:
        by = _usual(like, number) if like else [name for name in BY if name in there]
    for name in by:
        if isinstance(fields.get(name), SpansField):
            raise SheetError(f"--by {name}: passages make no strata; give a label, a flag, a score or a column")
        if name not in fields and name not in there:
            known = ", ".join([*(own for own in fields if not isinstance(fields[own], SpansField)), *there])
            raise SheetError(
                f"--by {name}: neither a column of the paragraphs nor a field to draw by; there are {known}"
            )
    answers = _answers(like, [name for name in by if name in fields]) if like else {}
    columns = [name for name in by if name not in fields]
    sizes: dict[Stratum, int] = {}
    first: dict[Stratum, list[tuple[int, str]]] = {}
    for batch in batches(paragraphs, ["id", *columns]):
        for id, *own in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if like and id not in answers:
                continue
            values = dict(zip(columns, own, strict=True)) | answers.get(id, {})
            stratum = tuple("" if values[name] is None else str(values[name]) for name in by)
            sizes[stratum] = sizes.get(stratum, 0) + 1
            # Negated: the heap gives up the last one, not the first.
            kept, one = first.setdefault(stratum, []), (-_place(str(seed), id), id)
            if len(kept) < number:
                heapq.heappush(kept, one)
            else:
                heapq.heappushpop(kept, one)
    if not sizes:
        told = f"none of them is in {like.path}, with an answer" if like else "there are none"
        raise SheetError(f"{paragraphs}: no paragraphs to draw from: {told}")
    if len(sizes) > number:
        raise SheetError(
            f"{', '.join(by)} make {len(sizes)} strata, and each needs a paragraph at least: "
            f"draw more than {number}, or by less (--by)"
        )
    return tuple(by), sizes, {one: [(-place, id) for place, id in kept] for one, kept in first.items()}


def _usual(like: Annotations, number: int) -> list[str]:
    """The fields to draw by: labels and flags before scores, as long as the strata leave room for two each."""
    kinds = (LabelField, FlagField, ScoreField)
    fields = [name for kind in kinds for name, asked in like.prompt.fields.items() if isinstance(asked, kind)]
    if not fields:
        raise SheetError(f"{like.path} has only passages, which make no strata: say --by what to draw, or leave it out")
    answers = _answers(like, fields).values()
    by: list[str] = []
    for name in fields:
        strata = {tuple(answer[own] for own in (*by, name)) for answer in answers}
        if not by or 2 * len(strata) <= number:
            by.append(name)
    return by


def _answers(like: Annotations, fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What was answered to some fields, by paragraph."""
    found = (row for batch in like.batches(["id", *fields]) for row in batch.to_pylist())
    return {row.pop("id"): row for row in found}


def _texts(paragraphs: str | Path, weights: Mapping[str, float]) -> Iterator[Paragraph]:
    wanted = pa.array(weights, pa.string())
    for batch in batches(paragraphs, ["id", "article_id", "source", "text"]):
        kept = batch.filter(pc.is_in(batch["id"], wanted))
        for id, article, source, text in zip(*(column.to_pylist() for column in kept.columns), strict=True):
            yield Paragraph(id, article or id, source or "", weights[id], text or "")


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def _write(file: Path, prompt: Prompt, paragraphs: Sequence[Paragraph]) -> None:
    ids = "\n".join([prompt.fingerprint, *(one.id for one in paragraphs)])
    header = {
        "sheet": hashlib.blake2b(ids.encode(), digest_size=6).hexdigest(),
        "prompt": prompt.model_dump(mode="json"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix.lower() == ".html":
        file.write_text(_page(header | {"paragraphs": [asdict(one) for one in paragraphs]}), encoding="utf-8")
        return
    rows = _rows(prompt, header, paragraphs)
    if file.suffix.lower() == ".xlsx":
        _workbook(prompt, rows).save(file)
        return
    # The byte order mark and the semicolon are what a French Excel takes a file for UTF-8 and a table by.
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.writer(opened, delimiter=";")
        writer.writerows([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row] for row in rows)


def _page(content: Mapping[str, Any]) -> str:
    """The page with the content in it: nothing that a paragraph holds can end the element that holds it."""
    data = json.dumps(content, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    template = Path(__file__).with_name("sheet.html").read_text(encoding="utf-8")
    before, after = template.split("{sheet}")
    return before.replace("{title}", html.escape(content["prompt"]["description"])) + data + after


def _rows(prompt: Prompt, header: dict[str, Any], paragraphs: Sequence[Paragraph]) -> list[list[str]]:
    """The cells of a spreadsheet, with the column names first; the answers are empty."""
    rows = [["id", "text", *prompt.fields, _UNSURE, _OWN]]
    for number, one in enumerate(paragraphs):
        # In ASCII, which survives whatever encoding a spreadsheet program saves in.
        own = json.dumps(asdict(one) | (header if number == 0 else {}))
        if max(len(own), len(one.text)) > _CELL:
            raise SheetError(f"paragraph {one.id} is too long for a cell of a spreadsheet: draw a page (.html)")
        rows.append([one.id, one.text, *[""] * len(prompt.fields), "", own])
    return rows


def _workbook(prompt: Prompt, rows: Sequence[Sequence[str]]) -> Workbook:
    """The spreadsheet: answers are chosen from lists, the meanings stand in a second table."""
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Alignment, Font, Protection
        from openpyxl.utils import get_column_letter
        from openpyxl.worksheet.datavalidation import DataValidation
    except ImportError:
        raise SheetError(_NO_OPENPYXL) from None
    book = Workbook()
    table, meanings = book.create_sheet("paragraphes", 0), book.create_sheet("définitions")
    del book["Sheet"]
    top, bold = Alignment(wrap_text=True, vertical="top"), Font(bold=True)
    for number, row in enumerate(rows, start=1):
        for place, value in enumerate(row, start=1):
            cell = table.cell(number, place)
            cell.value, cell.alignment = _CONTROL.sub(" ", value) or None, top
            if value:
                cell.data_type = "s"  # a text that begins with = is no formula
            if number == 1:
                cell.font = bold
            cell.protection = Protection(locked=number == 1 or not 2 < place < len(row))
        if number > 1:
            table.row_dimensions[number].height = min(409, 16 * max(2, math.ceil(len(row[1]) / 85)))
    width, last = len(rows[0]), max(len(rows), 2)
    for place in range(1, width + 1):
        table.column_dimensions[get_column_letter(place)].width = {1: 16, 2: 90}.get(place, 20)
    table.column_dimensions[get_column_letter(width)].hidden = True
    table.freeze_panes = "C2"
    # Against slips only: it has no password.
    table.protection.sheet, table.protection.formatColumns, table.protection.formatRows = True, False, False

    lines = _meanings(prompt)
    for number, line in enumerate(lines, start=1):
        for place, value in enumerate(line, start=1):
            cell = meanings.cell(number, place, value or None)
            cell.data_type, cell.alignment = ("s" if value else "n"), top
        if line[0]:
            meanings.cell(number, 1).font = meanings.cell(number, 3).font = bold
    for letter, wide in zip("ABC", (24, 24, 100), strict=True):
        meanings.column_dimensions[letter].width = wide
    for place, name in enumerate([*prompt.fields, _UNSURE], start=3):
        start = next(number for number, line in enumerate(lines, start=1) if line[0] == name) + 1
        end = start
        while end <= len(lines) and lines[end - 1][1]:
            end += 1
        if end > start:
            letter = get_column_letter(place)
            choice = DataValidation(type="list", formula1=f"'définitions'!$B${start}:$B${end - 1}", allow_blank=True)
            choice.errorTitle, choice.error = name, "Choisissez une valeur de la liste."
            choice.add(f"{letter}2:{letter}{last}")
            table.add_data_validation(choice)
    return book


_NO_OPENPYXL = "spreadsheets need openpyxl: pip install openpyxl, or take .csv or .html"


def _meanings(prompt: Prompt) -> list[tuple[str, str, str]]:
    """What is asked and what the answers mean: the field, then line by line a value and its meaning."""
    lines: list[tuple[str, str, str]] = []
    for name, asked in prompt.fields.items():
        told = asked.definition
        if isinstance(asked, SpansField):
            told += f" Un passage par ligne (Alt+Entrée) ou séparés par | ; {_NOTHING[0]} s'il n'y en a aucun."
        lines.append((name, "", told))
        if isinstance(asked, LabelField):
            lines += [("", label, meaning) for label, meaning in asked.labels.items()]
        elif isinstance(asked, ScoreField):
            lines += [("", score, asked.levels.get(int(score), "")) for score in asked.classes]
        elif isinstance(asked, FlagField):
            lines += [("", "oui", ""), ("", "non", "")]
    return [*lines, (_UNSURE, "", "Pour un paragraphe dont vous ne pouvez pas juger."), ("", "x", "")]


# ---------------------------------------------------------------------------------------------------------------------
# Reading back


@dataclass(slots=True)
class _Filled:
    """What a person said of a paragraph."""

    paragraph: Paragraph
    unsure: bool = False
    values: dict[str, Answered] = field(default_factory=dict)
    #: Where something is wrong, and what.
    wrong: list[tuple[str, str]] = field(default_factory=list)


def read_back(sheet: str | Path, output: Path, annotator: str) -> ReadBack:
    """Read a filled sheet into a table of annotations.

    A field may be left open. A paragraph with a wrong value is `invalid`, one that the person was unsure about is
    `refused`; those without any answer are left out. The sampling weights go into the column `sampling_weight`.

    Args:
        sheet: the spreadsheet, or the `answers.json` that the page saved.
        output: folder of the table; what the same person answered before is replaced.
        annotator: who answered.

    Raises:
        SheetError: it is no sheet, or its rows no longer belong together; nothing is written.
    """
    sheet = Path(sheet)
    who = Annotator("person", annotator)
    try:
        if (there := read(output).annotator) != who:
            raise SheetError(f"{output} holds the annotations of {there.name} ({there.kind}): give another folder")
    except AnnotationsError:
        pass
    reader = _from_answers if sheet.suffix.lower() == ".json" else _from_rows
    try:
        prompt, filled = reader(sheet)
    except OSError as error:
        raise SheetError(f"{sheet} cannot be read: {error}") from None
    found = ReadBack()
    rows: list[Annotation] = []
    weights: list[float] = []
    for one in filled:
        row = Annotation(one.paragraph.id, one.paragraph.article_id, one.paragraph.source, one.paragraph.text)
        if one.wrong:
            row.outcome, row.detail = "invalid", "; ".join(told for _, told in one.wrong)
            found.invalid += 1
            found.wrong += [f"{where}: {told}" for where, told in one.wrong]
        elif one.unsure:
            row.outcome, row.detail = "refused", "unsure"
            found.unsure += 1
        elif one.values:
            row.answer = one.values
            found.answered += 1
        else:
            found.blank += 1
            continue
        rows.append(row)
        weights.append(one.paragraph.weight)
    write(output, _weighted(tables(prompt, who, rows), weights))
    return found


def _weighted(found: Iterable[pa.Table], weights: Sequence[float]) -> Iterator[pa.Table]:
    column = pa.field(
        WEIGHT, pa.float64(), metadata={"description": "paragraphs of what it was drawn from that it stands for"}
    )
    done = 0
    for table in found:
        yield table.append_column(column, pa.array(weights[done : done + len(table)], pa.float64()))
        done += len(table)


def _from_answers(path: Path) -> tuple[Prompt, list[_Filled]]:
    """What the page saved."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        prompt = Prompt.model_validate(content["prompt"])
        paragraphs = [Paragraph(**one) for one in content["paragraphs"]]
        answers = {id: (bool(one.get("unsure")), dict(one["answer"])) for id, one in content["answers"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise SheetError(f"{path} is not what the page of a sheet saves ({told}): download it again") from None
    if strange := set(answers) - {one.id for one in paragraphs}:
        raise SheetError(f"{path}: an answer is about {min(strange)}, which is not in the sheet")
    filled = []
    for paragraph in paragraphs:
        unsure, given = answers.get(paragraph.id, (False, {}))
        one = _Filled(paragraph, unsure)
        for name, value in given.items():
            where = f"{path}, paragraph {paragraph.id}"
            try:
                if name not in prompt.fields:
                    raise InvalidAnswer("no such field")
                one.values[name] = prompt.fields[name].check(value, paragraph.text)
            except InvalidAnswer as error:
                one.wrong.append((where, f"{name}: {error}"))
        filled.append(one)
    return prompt, filled


def _from_rows(path: Path) -> tuple[Prompt, list[_Filled]]:
    """What stands in a spreadsheet."""
    suffix = path.suffix.lower()
    if suffix == ".html":
        raise SheetError(f"{path}: a page keeps no answers; give the answers.json that its button downloads")
    if suffix not in (".xlsx", ".csv"):
        raise SheetError(f"{path}: save the sheet as .xlsx or .csv")
    rows = _xlsx(path) if suffix == ".xlsx" else _csv(path)
    names = [_said(cell).casefold() for cell in rows[0]] if rows else []
    if _OWN not in names:
        raise SheetError(f"{path}, row 1: no column {_OWN!r}: this is no sheet that corpuskit drew, or it was removed")
    own = names.index(_OWN)
    lines = [(number, [*row, *[None] * (len(names) - len(row))]) for number, row in enumerate(rows[1:], start=2)]
    known = {number: _owned(path, number, row[own]) for number, row in lines if _said(row[own])}
    prompt = _prompt(path, known.values())
    if missing := [name for name in ("id", "text", *prompt.fields, _UNSURE) if name not in names]:
        raise SheetError(f"{path}, row 1: no column {missing[0]!r}; give it its name back")
    filled: list[_Filled] = []
    seen: dict[str, int] = {}
    for number, row in lines:
        cells = {name: row[names.index(name)] for name in ("id", "text", *prompt.fields, _UNSURE)}
        if number not in known:
            if any(map(_said, cells.values())):
                raise SheetError(
                    f"{path}, row {number}: the column {_OWN!r} is empty: which paragraph this is, is lost"
                )
            continue
        try:
            paragraph = Paragraph(*(known[number][name] for name in ("id", "article_id", "source", "weight", "text")))
        except KeyError as error:
            raise SheetError(f"{path}, row {number}: the column {_OWN!r} lacks {error}: it was changed") from None
        if _said(cells["id"]) != paragraph.id and _ascii(cells["text"]) != _ascii(paragraph.text):
            raise SheetError(
                f"{path}, row {number}: columns were sorted or moved apart: the row shows {_said(cells['id'])!r} and "
                f"belongs to {paragraph.id!r}. Undo that, or begin again with the sheet as it was"
            )
        if paragraph.id in seen:
            raise SheetError(f"{path}, rows {seen[paragraph.id]} and {number} are the same paragraph: remove one")
        seen[paragraph.id] = number
        one = _Filled(paragraph, _said(cells[_UNSURE]).casefold() not in ("", *_NO))
        for name, asked in prompt.fields.items():
            try:
                value = _value(asked, cells[name], paragraph.text)
            except InvalidAnswer as error:
                where = f"{path}, row {number}, column {_letters(names.index(name))}"
                one.wrong.append((where, f"{name}: {error}"))
                continue
            if value is not None:
                one.values[name] = value
        filled.append(one)
    return prompt, filled


def _owned(path: Path, number: int, cell: Any) -> dict[str, Any]:
    try:
        found = json.loads(_said(cell))
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise SheetError(f"{path}, row {number}: the column {_OWN!r} was changed; put it back as it was drawn")
    return found


def _prompt(path: Path, known: Iterable[Mapping[str, Any]]) -> Prompt:
    found = next((one["prompt"] for one in known if "prompt" in one), None)
    if found is None:
        raise SheetError(f"{path}: the row that was first when the sheet was drawn is gone, and the prompt with it")
    try:
        return Prompt.model_validate(found)
    except ValueError as error:
        raise SheetError(f"{path}: the prompt in it cannot be used: {error}") from None


def _xlsx(path: Path) -> list[list[Any]]:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise SheetError(_NO_OPENPYXL) from None
    try:
        book = load_workbook(path, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise SheetError(f"{path} is no .xlsx: {error}") from None
    table = book["paragraphes"] if "paragraphes" in book.sheetnames else book.worksheets[0]
    return [list(row) for row in table.iter_rows(values_only=True)]


def _csv(path: Path) -> list[list[Any]]:
    """The cells, whatever a spreadsheet program saved them as."""
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", errors="replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252", errors="replace")
    delimiter = max(";,\t", key=text.partition("\n")[0].count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    return [
        [cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell for cell in row] for row in rows
    ]


def _said(cell: Any) -> str:
    """What stands in a cell; 3.0 is 3."""
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _value(asked: AnyField, cell: Any, text: str) -> Answered | None:
    """What a cell of a spreadsheet answers, None when it is empty.

    Raises:
        InvalidAnswer: it does not answer what is asked.
    """
    said = _said(cell)
    if not said:
        return None
    value: Any = said
    folded = said.casefold()
    if isinstance(asked, LabelField):
        alike = [label for label in asked.labels if label.casefold() == folded]
        value = alike[0] if len(alike) == 1 else said
    elif isinstance(asked, ScoreField):
        value = int(whole[1]) if (whole := _WHOLE.fullmatch(said)) else said
    elif isinstance(asked, FlagField):
        value = folded in _YES if folded in (*_YES, *_NO) else said
    elif isinstance(asked, SpansField):
        value = [] if folded in _NOTHING else [one for line in said.splitlines() for one in _passages(line, text)]
    return asked.check(value, text)


def _passages(line: str, text: str) -> list[str]:
    """The passages of a line: itself, when it stands in the text, else what | parts."""
    parts = [line] if line.strip().casefold() in text.casefold() else line.split("|")
    return [part.strip() for part in parts if part.strip()]


def _ascii(cell: Any) -> str:
    """The letters and digits of a text that no encoding changes."""
    return re.sub(r"[^A-Za-z0-9]", "", _said(cell))


def _letters(place: int) -> str:
    """The name of a column, from 0: A, …, Z, AA, …"""
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)
