"""The corpus with all that a recipe asks about it: article columns and annotations, joined as they are read.

The paragraphs of a build are sorted by article, and so are the tables made from them. A window of whole articles is
read, and of each other table the row groups that may hold those articles; so a join holds a window in memory, and
never a table. A table in another order is sorted once, on disk.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpuskit.enrich import annotations as labelling
from corpuskit.paragraphs import read
from corpuskit.sample.recipe import ANNOTATION, ARTICLE, Recipe, RecipeError, SampleError
from corpuskit.sample.weights import Share, is_numeric, named_labels, wants_numbers
from corpuskit.sample.weights import field_of as looked_at
from corpuskit.sql import literal, parquet

#: Paragraphs read at a time, some 30 MB with all their columns; and of a task at least, if there are as many.
WINDOW = 30_000
_BATCH = 10_000
#: What DuckDB may hold while it sorts a table.
_SORT_MEMORY = "400MB"


@dataclass(frozen=True, slots=True)
class Group:
    """A row group, and the articles it may hold: from ``low`` to ``high``."""

    file: Path
    number: int
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Beside:
    """A table that is read beside the paragraphs.

    ``key`` is the column that is looked up, ``article`` the one that the table is sorted by.
    """

    path: str
    prefix: str
    key: str
    article: str
    #: Fields that are read of it, without prefix, and their types.
    types: dict[str, pa.DataType]
    groups: tuple[Group, ...]
    #: Whether its row groups follow each other.
    sorted: bool

    def of(self, keys: pa.Array, low: str, high: str) -> tuple[dict[str, pa.Array], int]:
        """The fields of some rows, null where the table has none; and how many it has.

        Args:
            keys: what to look up, of articles from ``low`` to ``high``.
            low: the first article.
            high: the last.

        Raises:
            SampleError: two rows of the table are about one of them.
        """
        groups = self.groups
        if self.sorted:
            first = bisect.bisect_left(groups, low, key=lambda group: group.high)
            groups = groups[first : bisect.bisect_right(groups, high, lo=first, key=lambda group: group.low)]
        wanted: dict[Path, list[int]] = {}
        for group in groups:
            if group.low <= high and group.high >= low:
                wanted.setdefault(group.file, []).append(group.number)
        names = list(dict.fromkeys([self.key, *self.types]))
        found = [pq.ParquetFile(file).read_row_groups(numbers, names) for file, numbers in wanted.items()]
        if not found:
            return {self.prefix + name: pa.nulls(len(keys), type) for name, type in self.types.items()}, 0
        table = pa.concat_tables(found).combine_chunks()
        there = table[self.key].combine_chunks()
        if pc.count_distinct(there).as_py() < len(there):
            raise SampleError(f"{self.path}: some id has two rows there; keep one of each")
        arrays = {self.prefix + name: table[name].combine_chunks() for name in self.types}
        first = pc.index(there, keys[0]).as_py()
        if first >= 0 and keys.equals(there.slice(first, len(keys))):  # as a rule one row for each, in their order
            return {name: array.slice(first, len(keys)) for name, array in arrays.items()}, len(keys)
        place = pc.index_in(keys, value_set=there)
        return {name: array.take(place) for name, array in arrays.items()}, len(place) - place.null_count


def beside(path: str, files: Sequence[Path], prefix: str, key: str, article: str, names: Sequence[str]) -> Beside:
    """Look at the row groups of a table.

    Raises:
        SampleError: a file cannot be read.
    """
    groups: list[Group] = []
    types: dict[str, pa.DataType] = {}
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                metadata, columns = opened.metadata, opened.schema_arrow
        except (pa.ArrowInvalid, OSError) as error:
            raise SampleError(f"{file} cannot be read: {error}") from None
        types = types or {name: columns.field(name).type for name in names}
        leaf = next(n for n in range(metadata.num_columns) if metadata.schema.column(n).path == article)
        for number in range(metadata.num_row_groups):
            told = metadata.row_group(number).column(leaf).statistics
            known = told is not None and told.has_min_max
            low, high = (told.min, told.max) if known else ("", chr(0x10FFFF))
            if metadata.row_group(number).num_rows:
                groups.append(Group(file, number, low, high))
    sorted = all(one.high <= other.low for one, other in pairwise(groups))
    return Beside(path, prefix, key, article, types, tuple(groups), sorted)


def in_order(table: Beside, folder: Path) -> Beside:
    """The table itself if it is sorted by article, else a sorted copy of it (in ``folder``, made once)."""
    if table.sorted:
        return table
    target = folder / "sorted.parquet"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        files = parquet(dict.fromkeys(group.file for group in table.groups))
        names = ", ".join(f'"{name}"' for name in dict.fromkeys([table.key, table.article, *table.types]))
        with duckdb.connect(config={"memory_limit": _SORT_MEMORY, "temp_directory": str(folder / "temp")}) as db:
            db.execute(
                f'COPY (SELECT {names} FROM {files} ORDER BY "{table.article}") '
                f"TO {literal(partial)} (FORMAT parquet, ROW_GROUP_SIZE 20000)"
            )
        partial.replace(target)
    return beside(table.path, [target], table.prefix, table.key, table.article, list(table.types))


@dataclass(frozen=True, slots=True)
class Corpus:
    """Paragraphs, and the tables beside them, for one recipe."""

    #: Files, those of one task together.
    tasks: tuple[tuple[Path, ...], ...]
    #: Columns of the paragraph table.
    columns: tuple[str, ...]
    beside: tuple[Beside, ...]
    #: The labels, scores and flags of the annotations; of a field that two tables have, those of the first.
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Some whole articles."""

    #: The paragraph columns.
    table: pa.Table
    #: The fields, by the names that a recipe has for them; those of the paragraph table too.
    fields: dict[str, pa.Array]
    #: Where each article begins.
    starts: npt.NDArray[np.int64]
    #: Rows of each table beside that were found.
    found: tuple[int, ...]


def windows(corpus: Corpus, files: Sequence[Path], columns: Sequence[str], fields: Sequence[str]) -> Iterator[Window]:
    """The paragraphs of some files in their order, some whole articles at a time.

    Args:
        corpus: what it is a part of.
        files: of one task.
        columns: of the paragraph table, to be in ``table``; `article_id` is always there.
        fields: to be in ``fields``.
    """
    own = [name for name in fields if not name.startswith((ARTICLE, ANNOTATION))]
    wanted = list(dict.fromkeys(["article_id", *columns, *own]))
    held: list[pa.RecordBatch] = []
    for file in files:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(_BATCH, columns=wanted):
                held.append(batch)
                if sum(map(len, held)) >= WINDOW:
                    window, held = _whole(corpus, held, own, fields)
                    if window:
                        yield window
    if held:
        table = pa.Table.from_batches(held)
        yield _window(corpus, table, _starts(table["article_id"]), own, fields)


def _whole(
    corpus: Corpus, batches: list[pa.RecordBatch], own: Sequence[str], fields: Sequence[str]
) -> tuple[Window | None, list[pa.RecordBatch]]:
    """The articles that have ended, if any has, and the beginning of the one that may go on."""
    table = pa.Table.from_batches(batches)
    starts = _starts(table["article_id"])
    if len(starts) == 1:
        return None, batches
    return _window(corpus, table.slice(0, starts[-1]), starts[:-1], own, fields), table.slice(starts[-1]).to_batches()


def _starts(articles: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    array = articles.combine_chunks()
    changes = pc.not_equal(array.slice(1), array.slice(0, len(array) - 1)).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.flatnonzero(changes) + 1]).astype(np.int64)


def _window(
    corpus: Corpus, table: pa.Table, starts: npt.NDArray[np.int64], own: Sequence[str], fields: Sequence[str]
) -> Window:
    table = table.combine_chunks()
    known: dict[str, pa.Array] = {name: table[name].combine_chunks() for name in own}
    found = []
    articles = table["article_id"].combine_chunks()
    ends = pc.min_max(articles).as_py()
    for one in corpus.beside:
        wanted = any(one.prefix + name in fields for name in one.types)
        if wanted:
            keys = articles if one.prefix == ARTICLE else table["id"].combine_chunks()
            more, rows = one.of(keys, ends["min"], ends["max"])
            known |= more
        found.append(rows if wanted else 0)
    return Window(table, known, starts, tuple(found))


def open_corpus(source: Path, labelled: Sequence[Path], recipe: Recipe) -> Corpus:
    """Find what a recipe asks for.

    Args:
        source: folder that `corpuskit build` wrote.
        labelled: folders of annotations.
        recipe: what to look for.

    Raises:
        RecipeError: there is no such field, it is in two tables, or not of the type that a factor needs.
        SampleError: a file cannot be read.
        corpuskit.paragraphs.read.ParagraphsError: there are no paragraphs.
        corpuskit.enrich.annotations.AnnotationsError: a folder holds no annotations.
    """
    dataset = read.dataset(source, ("id", "article_id", "order", "text", "words", "source"))
    there = {field.name: field.type for field in dataset.schema}
    tables = [labelling.read(path) for path in labelled]
    articles = sorted((read.tables(source) / "articles").glob("*.parquet"))
    of_articles = {field.name: field.type for field in pq.read_schema(articles[0])} if articles else {}
    asked = recipe.fields
    named_of_articles = [name.removeprefix(ARTICLE) for name in asked if name.startswith(ARTICLE)]
    types: dict[str, pa.DataType] = dict(there)
    types |= {ARTICLE + name: type for name, type in of_articles.items()}
    shares: list[list[str]] = []
    answers: dict[str, None] = {}
    for one in tables:
        given = {ANNOTATION + field.name: field.type for field in one.dataset.schema}
        wanted = [name for name in asked if name in given]
        if twice := [name for name in wanted if name in types]:
            raise RecipeError(f"{twice[0]}: two of the tables of annotations have it; give only one of them")
        told = [name for name in map(ANNOTATION.__add__, one.prompt.fields) if name in given and name not in types]
        told = [name for name in told if not pa.types.is_nested(given[name])]
        shares.append(list(dict.fromkeys([*wanted, *told])))
        answers |= dict.fromkeys(told)
        types |= given
    for name in asked:
        if name not in types:
            raise RecipeError(_unknown(name, types, bool(tables)))
    _check(recipe, types, tables)
    found = [beside("articles", articles, ARTICLE, "id", "id", named_of_articles)] if named_of_articles else []
    for one, names in zip(tables, shares, strict=True):
        files = [Path(file) for file in one.dataset.files]
        bare = [name.removeprefix(ANNOTATION) for name in names]
        if bare:
            found.append(beside(str(one.path), files, ANNOTATION, "id", "article_id", bare))
    return Corpus(tuple(_tasks(read.files(source))), tuple(there), tuple(found), tuple(answers))


def _tasks(files: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """The files of each task: as many as make a window."""
    some: list[Path] = []
    rows = 0
    for file in files:
        some.append(file)
        rows += pq.read_metadata(file).num_rows
        if rows >= WINDOW:
            yield tuple(some)
            some, rows = [], 0
    if some:
        yield tuple(some)


def _unknown(name: str, types: dict[str, Any], annotated: bool) -> str:
    if name.startswith(ANNOTATION) and not annotated:
        return f"{name}: the recipe needs annotations; give --annotations DIR, what `corpuskit enrich` or `label` wrote"
    near = difflib.get_close_matches(name, types, n=1)
    if not near:
        near = [other for other in types if other.rpartition(".")[2] == name.rpartition(".")[2]][:1]
    known = [other for other in types if other.startswith(ANNOTATION) == name.startswith(ANNOTATION)]
    return f"{name}: no such field; " + (f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}")


def _check(recipe: Recipe, types: dict[str, pa.DataType], tables: Sequence[labelling.Annotations]) -> None:
    """Hold the factors against the types and labels of their fields."""
    asked = {ANNOTATION + name: field for table in tables for name, field in table.prompt.fields.items()}
    for name, factor in recipe.factors.items():
        field = looked_at(factor)
        type = types[field]
        _single(f"factors.{name}", field, types)
        if wants_numbers(factor) and not is_numeric(type):
            mend = "give `among: [LABEL, …]`" if isinstance(factor, Share) else "use a map"
            raise RecipeError(f"factors.{name}: `{field}` holds {type}, and a {factor.type} needs numbers; {mend}")
        _labels(f"factors.{name}", field, named_labels(factor), asked)
    for field, shares in recipe.shares.items():
        _single("shares", field, types)
        _labels("shares", field, list(shares), asked)


def _single(place: str, field: str, types: dict[str, pa.DataType]) -> None:
    if pa.types.is_nested(types[field]):
        stem = field.removesuffix("_probabilities")
        near = [f"`{name}`" for name, type in types.items() if name.startswith(stem) and not pa.types.is_nested(type)]
        mend = f", such as {' or '.join(near)}" if near else ""
        raise RecipeError(f"{place}: `{field}` holds lists; a recipe weighs by fields of one value{mend}")


def _labels(place: str, field: str, named: Sequence[str], asked: dict[str, Any]) -> None:
    classes: list[str] = getattr(asked.get(field), "classes", [])
    for label in named if classes else ():
        if label not in classes:
            near = difflib.get_close_matches(label, classes, n=1)
            mend = f"did you mean {near[0]!r}?" if near else f"they are {', '.join(classes)}"
            raise RecipeError(f"{place}: `{field}` has no label {label!r}; {mend}")
