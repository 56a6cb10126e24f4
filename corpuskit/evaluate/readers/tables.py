"""Texts in tables: with labels, questions with choices, words with senses, numbers with what they measure.

CSV and TSV (with quotes, and a line of names), JSONL, and JSON that is a list of records; any of them compressed or in
an archive. Whatever cannot be used is told with its file and its line, or its record where a file has no lines of them.
"""

from __future__ import annotations

import ast
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from corpuskit.evaluate.readers import folders
from corpuskit.evaluate.records import Document, Entity, Split, TaskError

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")

#: What is done with two rows of one id.
SameId = Literal["refuse", "number"]

#: The labels of a number outside of its normal range, and within it.
OUTSIDE, WITHIN = "outside", "within"


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of texts with labels are called; "" where there is none."""

    id: str = ""
    text: str = "text"
    labels: str = "label"
    group: str = ""


class Row(NamedTuple):
    """A record of a file, and where it is, in words for people."""

    fields: Mapping[str, Any]
    where: str

    def get(self, name: str, kind: type | tuple[type, ...], such_as: str) -> Any:
        """A field that must be there.

        Raises:
            TaskError: it is missing, or something else.
        """
        if name not in self.fields:
            raise TaskError(f"{self.where}: there is no {name!r}; there are {', '.join(map(repr, self.fields))}")
        value = self.fields[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise TaskError(f"{self.where}: {name!r} is {value!r}: write {such_as}")
        return value

    def words(self, name: str) -> str:
        """A field of words that is not empty."""
        words: str = self.get(name, str, "words in quotes")
        if not words.strip():
            raise TaskError(f"{self.where}: {name!r} is empty: fill it in, or take the row out")
        return words

    def name(self, field: str) -> str:
        """A field that names something: words or a number."""
        value = str(self.get(field, (str, int), "a name")).strip()
        if not value:
            raise TaskError(f"{self.where}: {field!r} is empty: give each its name")
        return value


def read(
    data: str | Path,
    part: str = "",
    *,
    columns: Columns | None = None,
    separator: str = "",
    delimiter: str = "",
    only: tuple[str, str] | None = None,
    texts: str = "",
    unlabelled: bool = False,
    same_id: SameId = "refuse",
) -> Split:
    """Read texts with labels.

    Args:
        data: a folder, an archive or a file.
        part: the file there.
        columns: what they are called.
        separator: what parts several labels in a cell; ``[]`` where they are written as a list of Python or JSON.
        delimiter: what parts columns; a comma in ``*.csv`` and a tab in ``*.tsv`` unless given.
        only: a column, and what it says in the rows that are read.
        texts: another file, which has the texts by the same ids.
        unlabelled: a text may have no label.
        same_id: what is done with two rows of one id.

    Raises:
        TaskError: a column or a file is missing, a row lacks its text or its label, or two have one id.
    """
    columns = columns or Columns()
    by_id = _texts(data, texts, columns, delimiter) if texts else None
    documents = []
    for name, rows in _files(data, part, delimiter).items():
        for number, row in enumerate(rows, 1):
            if only and str(row.get(only[0], object, "")) != only[1]:
                continue
            id = row.name(columns.id) if columns.id else f"{name}#{number}"
            if by_id is not None and id not in by_id:
                raise TaskError(f"{row.where}: there is no text {id!r} in {texts}: get the whole file, or mend the id")
            text = by_id[id] if by_id is not None else row.words(columns.text)
            labels = _labels(row, columns.labels, separator)
            if not labels and not unlabelled:
                mend = "give it one, or let `unlabelled: true` say that a text may have none"
                raise TaskError(f"{row.where}: no label in {columns.labels!r}: {mend}")
            group = str(row.get(columns.group, (str, int), "a name")) if columns.group else ""
            documents.append(Document(id, text, group=group, labels=labels, where=row.where))
    if not documents:
        said = f"no row of {part or data} says {only[1]!r} in {only[0]!r}" if only else f"{part or data} holds no row"
        raise TaskError(f"{said}: the part is empty")
    return _named(documents, same_id)


def read_questions(data: str | Path, part: str = "", *, same_id: SameId = "refuse") -> Split:
    """Read questions with choices, as FrenchMedMCQA has them (Labrak et al. 2022).

    A record is ``{"id": …, "question": …, "answers": {"a": …, …}, "correct_answers": ["a", …]}``; others are left
    alone.

    Args:
        data: a folder, an archive or a file.
        part: the file there.
        same_id: what is done with two questions of one id.

    Raises:
        TaskError: a question is not so, or a right answer is none of the answers.
    """
    documents = []
    for row in _rows(data, part):
        answers = row.get("answers", dict, 'choices such as {"a": "l’aspirine", "b": "le paracétamol"}')
        right = row.get("correct_answers", list, 'a list such as ["a"]')
        if len(answers) < 2 or not all(isinstance(answer, str) and answer.strip() for answer in answers.values()):
            raise TaskError(f"{row.where}: 'answers' are {answers!r}: give at least two, none of them empty")
        if not right:
            raise TaskError(
                f"{row.where}: 'correct_answers' is empty: name those of {', '.join(answers)} that are right"
            )
        if wrong := [name for name in right if name not in answers]:
            raise TaskError(f"{row.where}: {wrong[0]!r} in 'correct_answers' is none of {', '.join(answers)}")
        labels = tuple(name for name in answers if name in right)
        choices = tuple(answers.items())
        documents.append(
            Document(row.name("id"), row.words("question"), labels=labels, choices=choices, where=row.where)
        )
    return _named(documents, same_id)


def read_senses(data: str | Path, part: str = "") -> Split:
    """Read sentences in which a word has one of several senses.

    A record is ``{"id": …, "sentence": …, "start": …, "end": …, "senses": {NAME: GLOSS, …}, "sense": NAME}``: offsets
    are characters from 0. In place of them ``"word"`` may give the word where it stands there once; with both they
    are compared.

    Raises:
        TaskError: a record is not so, the word is not there, or the right sense is none of the senses.
    """
    documents = []
    for row in _rows(data, part):
        sentence = row.words("sentence")
        senses = row.get("senses", dict, 'glosses by name such as {"organe": "…", "outil": "…"}')
        sense = row.name("sense")
        if len(senses) < 2 or not all(isinstance(gloss, str) and gloss.strip() for gloss in senses.values()):
            raise TaskError(f"{row.where}: 'senses' are {senses!r}: give at least two, each with its gloss")
        if sense not in senses:
            raise TaskError(f"{row.where}: 'sense' is {sense!r}, which is none of {', '.join(senses)}")
        focus = _span(row, sentence) if "start" in row.fields else _word(row, sentence)
        choices = tuple(senses.items())
        documents.append(
            Document(row.name("id"), sentence, labels=(sense,), choices=choices, focus=focus, where=row.where)
        )
    return _named(documents, "refuse")


def read_numbers(data: str | Path, part: str = "") -> Split:
    """Read texts in which numbers are annotated with what they measure.

    A record is ``{"id": …, "text": …, "numbers": [{"start": …, "end": …, "kind": …, "outside": true}, …]}``: offsets
    are characters from 0, ``kind`` is what is measured, ``outside`` whether the value is outside of the normal range
    (null, or left out, where that cannot be said). ``"number"`` may repeat the number as it stands there, and is
    compared. Each number is an entity by its kind, and one more of the same span, ``outside`` or ``within``, where
    that is known.

    Raises:
        TaskError: a record is not so, or an offset is not of a piece of the text.
    """
    documents = []
    for row in _rows(data, part):
        text = row.words("text")
        entities: list[Entity] = []
        for place, number in enumerate(row.get("numbers", list, "a list, empty where there are none"), 1):
            at = f"{row.where}: number {place}"
            if not isinstance(number, dict):
                raise TaskError(f'{at} is {number!r}: write {{"start": 3, "end": 6, "kind": "température"}}')
            one = Row(number, at)
            span, kind = _span(one, text, "number"), one.name("kind")
            if kind in (OUTSIDE, WITHIN):
                raise TaskError(f"{at}: 'kind' is {kind!r}, which is the name of a range: call what is measured")
            entities.append(Entity((span,), kind))
            outside = number.get("outside")
            if outside is not None and not isinstance(outside, bool):
                raise TaskError(f"{at}: 'outside' is {outside!r}: write true, false or null")
            if outside is not None:
                entities.append(Entity((span,), OUTSIDE if outside else WITHIN))
        documents.append(Document(row.name("id"), text, tuple(entities), where=row.where))
    return _named(documents, "refuse")


def files(data: str | Path, part: str, endings: Sequence[str]) -> dict[str, folders.TextFile]:
    """The files of a part: the file of that name, in a folder or an archive, or all that have one of the endings.

    Raises:
        TaskError: there is none.
    """
    there = Path(data) / part
    if not part or there.exists():
        read = folders.read(there if part else data, endings)
        return {name: file for ending in endings for name, file in read[ending].items()}
    # In an archive a file is known by its whole path.
    ending = next((ending for ending in endings if part.lower().endswith(ending)), "")
    try:
        found = folders.read(data, [ending])[ending] if ending else {}
    except TaskError as error:
        raise TaskError(f"there is no {part} at {data}: {error}") from None
    stem = part[: len(part) - len(ending)]
    chosen = {name: file for name, file in found.items() if name == stem or name.endswith(f"/{stem}")}
    if len(chosen) != 1:
        known = ", ".join(f"{name}{ending}" for name in found) or f"no file {' or '.join(f'*{end}' for end in endings)}"
        said = f"there are {len(chosen)} files {part}" if chosen else f"there is no {part}"
        raise TaskError(f"{said} at {data}, but {known}: say which under `parts`")
    return chosen


def _rows(data: str | Path, part: str) -> Iterator[Row]:
    """The records of a part, of which there is at least one."""
    found = False
    for rows in _files(data, part).values():
        for row in rows:
            found = True
            yield row
    if not found:
        raise TaskError(f"{part or data} holds no record: the part is empty")


def _files(data: str | Path, part: str, delimiter: str = "") -> dict[str, Iterator[Row]]:
    return {name: _parsed(file, delimiter) for name, file in files(data, part, ENDINGS).items()}


def _parsed(file: folders.TextFile, delimiter: str) -> Iterator[Row]:
    """The records of a file, by what it is called."""
    name = file.where.lower()
    text = file.text.removeprefix("\ufeff")
    for packed in (".gz", ".bz2", ".xz"):
        name = name.removesuffix(packed)
    if name.endswith((".jsonl", ".ndjson")):
        return _of_lines(text, file.where)
    if name.endswith(".json"):
        return _of_list(text, file.where)
    return _of_columns(text, file.where, delimiter or ("\t" if name.endswith(".tsv") else ","))


def _of_columns(text: str, where: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    end = 0
    try:
        for cells in reader:
            line, end = end + 1, reader.line_num
            if not cells:
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                if twice := [name for name, times in Counter(names).items() if times > 1]:
                    raise TaskError(f"{where}: line {line}: two columns are called {twice[0]!r}: rename one")
                continue
            if len(cells) != len(names):
                said = f"{len(cells)} columns, and the first line names {len(names)} ({', '.join(names)})"
                raise TaskError(f"{where}: line {line}: {said}: put quotes round what holds {delimiter!r}")
            yield Row(dict(zip(names, cells, strict=True)), f"{where}: line {line}")
    except csv.Error as error:
        raise TaskError(f"{where}: line {end + 1}: {error}: double the quotes within quotes") from None


def _of_lines(text: str, where: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise TaskError(f"{where}: line {number} is no JSON: {error}") from None
            yield _record(record, f"{where}: line {number}")


def _of_list(text: str, where: str) -> Iterator[Row]:
    try:
        records = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise TaskError(f"{where}: line {error.lineno} is no JSON: {error.msg}") from None
    if not isinstance(records, list):
        raise TaskError(f"{where}: it holds {type(records).__name__}: write a list of records, [{{…}}, …]")
    for number, record in enumerate(records, 1):
        yield _record(record, f"{where}: record {number}")


def _record(record: Any, where: str) -> Row:
    if not isinstance(record, dict):
        raise TaskError(f'{where}: it holds {type(record).__name__}: write a record, {{"id": …}}')
    return Row(record, where)


def _labels(row: Row, column: str, separator: str) -> tuple[str, ...]:
    """The labels of a row, each once, in order."""
    value = row.get(column, object, "")
    if value is None:
        return ()
    if separator == "[]" and isinstance(value, str):
        try:
            value = ast.literal_eval(value) if value.strip() else []
        except (ValueError, SyntaxError):
            raise TaskError(f"{row.where}: {column!r} is {value!r}: write a list such as ['a', 'b']") from None
    if isinstance(value, bool | int | float):
        value = str(value)
    if isinstance(value, str):
        value = value.split(separator) if separator and separator != "[]" else [value]
    if not isinstance(value, list) or not all(isinstance(label, str | int) for label in value):
        raise TaskError(f"{row.where}: {column!r} is {value!r}: write a label, or a list of labels")
    return tuple(dict.fromkeys(label for label in (str(label).strip() for label in value) if label))


def _texts(data: str | Path, file: str, columns: Columns, delimiter: str) -> dict[str, str]:
    """The texts of another file by their ids."""
    if not columns.id:
        raise TaskError("`texts` is another file with the texts by the same ids: name the column of them in `id`")
    return {
        row.name(columns.id): row.words(columns.text)
        for rows in _files(data, file, delimiter).values()
        for row in rows
        if str(row.fields.get(columns.text) or "").strip()
    }


def _span(row: Row, text: str, word: str = "word") -> tuple[int, int]:
    """The offsets of a record, compared with the text, and with the word where the record repeats it."""
    start, end = (row.get(name, int, "a number of characters") for name in ("start", "end"))
    if not 0 <= start < end <= len(text):
        raise TaskError(f"{row.where}: {start} to {end} is no piece of {len(text)} characters: mend its offsets")
    if word in row.fields and text[start:end] != row.fields[word]:
        said = f"{row.fields[word]!r} is said to be at {start} to {end}, where {text[start:end]!r} is"
        raise TaskError(f"{row.where}: {said}: mend its offsets")
    return start, end


def _word(row: Row, sentence: str) -> tuple[int, int]:
    """Where the word of a record is, which must be in one place only."""
    word = row.words("word")
    if (times := sentence.count(word)) != 1:
        raise TaskError(f"{row.where}: {word!r} stands {times} times in the sentence: give 'start' and 'end'")
    return sentence.index(word), sentence.index(word) + len(word)


def _named(documents: Sequence[Document], same_id: SameId) -> Split:
    """The documents, no two with one id."""
    counted: Counter[str] = Counter()
    first: dict[str, Document] = {}
    for document in documents:
        if before := first.get(document.id):
            if same_id == "refuse":
                mend = "rename one, or let `same_id: number` do so"
                raise TaskError(f"{document.where}: {document.id!r} is the id at {before.where} too: {mend}")
            counted["numbered: its id was there before"] += 1
            times = next(times for times in range(2, len(documents) + 2) if f"{document.id}#{times}" not in first)
            document = replace(document, id=f"{document.id}#{times}")
        first[document.id] = document
    return Split(tuple(first.values()), counted)
