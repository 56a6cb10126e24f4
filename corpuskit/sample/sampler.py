"""The three passes over the corpus, as datatrove steps: weigh, deal, write.

The first reads keys, sizes and the fields that decide, and leaves some bytes for each unit; the second reads the text
of what is drawn and deals it out to the shards of the sample; the third puts each shard in its order. A task of the
first two is some files of the corpus, of the third a shard; none holds more than a window of text.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit import runs
from corpuskit.records import PARAGRAPH_SCHEMA
from corpuskit.sample import draw, measure
from corpuskit.sample.account import Spread, Tally
from corpuskit.sample.draw import Cuts, Units
from corpuskit.sample.fields import Corpus, Window, windows
from corpuskit.sample.recipe import ANNOTATION, ARTICLE, Prefix, Recipe, SampleError, pieces_of
from corpuskit.sample.weights import Floats, labels, weigh

Ints = npt.NDArray[np.int64]

#: Rows that a task of the second pass deals out at a time, however often each comes.
_DEALT = 30_000
_ROWS_PER_GROUP = 20_000
#: Columns whose values come again and again.
_REPEATED = ["kind", "language", "source", "year", "journal", "document_type", "licence"]

_KEYS = pa.schema(
    [
        pa.field("hash", pa.uint64()),
        pa.field("weight", pa.float64()),
        pa.field("stratum", pa.int64()),
        pa.field("sizes", pa.list_(pa.int64())),
    ]
)
_PLACE = pa.field("place", pa.uint64())


@dataclass(frozen=True, slots=True)
class Job:
    """What all tasks of a sample are told."""

    recipe: Recipe
    corpus: Corpus
    work: Path

    @property
    def keys(self) -> Path:
        return self.work / "keys"

    @property
    def dealt(self) -> Path:
        return self.work / "dealt"

    @property
    def tallied(self) -> list[str]:
        """The fields whose values are counted."""
        own = [name for name in ("source", "document_type") if name in self.corpus.columns]
        return list(dict.fromkeys([*own, *self.recipe.weighing, *self.recipe.keep, *self.corpus.answers]))

    @property
    def schema(self) -> pa.Schema:
        """The columns of the sample."""
        types = {one.prefix + name: type for one in self.corpus.beside for name, type in one.types.items()}
        columns = [field for field in PARAGRAPH_SCHEMA if field.name in self.corpus.columns]
        columns += [
            _column("copy", pa.int32(), "which copy of its unit it is, from 0"),
            _column("weight", pa.float32(), "the weight of its unit, the product of the factors"),
        ]
        if self.recipe.prefix:
            columns.append(_column("prefix", pa.string(), "what a model reads before the text"))
        for name in self.beside:
            columns.append(_column(name.replace(".", "_"), types[name], f"`{name}` of the recipe"))
        return pa.schema(columns)

    @property
    def beside(self) -> list[str]:
        """The fields that are no columns of the paragraphs and are written: not those of the prefix alone."""
        wanted = dict.fromkeys([*self.recipe.weighing, *self.recipe.keep])
        return [name for name in wanted if name.startswith((ARTICLE, ANNOTATION))]


def _column(name: str, type: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, type, nullable=True, metadata={"description": description})


def units_of(job: Job, rank: int) -> Iterator[Units]:
    """The units that task ``rank`` of the first pass has weighed, window by window."""
    with pa.OSFile(str(job.keys / f"{rank:05d}.arrow")) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            hash, weight, stratum = (batch[name].to_numpy() for name in _KEYS.names[:3])
            starts, sizes = batch["sizes"].offsets.to_numpy(), batch["sizes"].values.to_numpy()
            size, rows = np.add.reduceat(sizes, starts[:-1]), np.diff(starts).astype(np.int64)
            yield Units(hash, weight, size, stratum, rows, sizes)


def _batch(units: Units) -> pa.RecordBatch:
    starts = np.concatenate([[0], np.cumsum(units.rows)]).astype(np.int32)
    sizes = pa.ListArray.from_arrays(starts, units.sizes)
    return pa.record_batch([units.hash, units.weight, units.stratum, sizes], schema=_KEYS)


class Weigh(PipelineStep):
    """Task *n* weighs the units of some files of the corpus."""

    name = "Weigh"
    type = "⚖ - CORPUSKIT"

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        job, recipe = self.job, self.job.recipe
        target = job.keys / f"{rank:05d}.arrow"
        target.parent.mkdir(parents=True, exist_ok=True)
        tally, spreads = Tally(), {name: Spread() for name in recipe.factors}
        found = np.zeros(len(job.corpus.beside), np.int64)
        mass, most, seen = (np.zeros(strata(recipe)) for _ in range(3))
        highest, measured, number = 0.0, 0, 0
        budget = recipe.budget
        columns = ["id", "words", *(["text"] if budget and budget.tokenizer else [])]
        partial = target.with_suffix(".partial")
        with pa.ipc.new_file(partial, _KEYS) as writer:
            for window in windows(job.corpus, job.corpus.tasks[rank], columns, job.tallied):
                words = _words(window.table)
                factors, units = units_in(recipe, window)
                writer.write_batch(_batch(units))
                tally.add({name: window.fields[name] for name in job.tallied if _single(window, name)}, words)
                for name, values in factors.items():
                    spreads[name].add(values)
                found += np.array(window.found, np.int64)
                mass += np.bincount(
                    units.stratum, np.where(np.isfinite(units.weight), units.weight, 0) * units.size, len(mass)
                )
                most += np.bincount(units.stratum, (units.weight > 0) * units.size, len(mass))
                seen += np.bincount(units.stratum, units.weight > 0, len(mass))
                measured += int(units.size.sum())
                number += len(units)
                # numpy's greatest is NaN where there is one
                highest = float(np.max([highest, units.weight.max()]))
        os.replace(partial, target)
        counted = {
            "tally": tally.content(),
            "factors": {name: spread.content() for name, spread in spreads.items()},
            "found": found.tolist(),
            "mass": mass.tolist(),
            "most": most.tolist(),
            "seen": seen.tolist(),
            "highest": highest if np.isfinite(highest) else None,
            "size": measured,
            "units": number,
        }
        runs.write_json(target.with_suffix(".json"), counted)
        return cast(DocumentsPipeline, iter(()))


def _single(window: Window, name: str) -> bool:
    return not pa.types.is_nested(window.fields[name].type)


def _words(table: pa.Table) -> Ints:
    return cast(Ints, pc.fill_null(table["words"], 0).to_numpy().astype(np.int64))


def _sizes(recipe: Recipe, table: pa.Table) -> Ints:
    """What each paragraph takes of the budget."""
    budget = recipe.budget
    if budget and budget.tokenizer:
        return measure.tokens(table["text"].combine_chunks(), budget.tokenizer)
    return _words(table)


def units_in(recipe: Recipe, window: Window) -> tuple[dict[str, Floats], Units]:
    """The units of a window, and each factor of them."""
    whole, starts, rows = recipe.unit == "article", window.starts, len(window.table)
    factors = weigh(recipe.factors, window.fields, starts, whole)
    names, sizes, stratum = window.table["id"], _sizes(recipe, window.table), _stratum(recipe, window)
    lengths, size = np.diff(starts, append=rows), sizes
    if whole:
        names, size = window.table["article_id"].take(pa.array(starts)), np.add.reduceat(sizes, starts)
        stratum = _commonest(stratum, lengths, strata(recipe))
    weight = np.ones(len(names))
    for values in factors.values():
        weight = weight * values
    one = lengths if whole else np.ones(rows, np.int64)
    return factors, Units(draw.hashes(names, recipe.seed), weight, size, stratum, one, sizes)


def shape(recipe: Recipe) -> tuple[int, ...]:
    """The values of each field that has shares; the last stands for all that are not named."""
    return tuple(len(shares) + 1 for shares in recipe.shares.values())


def strata(recipe: Recipe) -> int:
    """How many strata the shares make."""
    return int(np.prod(shape(recipe), dtype=np.int64))


def _stratum(recipe: Recipe, window: Window) -> Ints:
    """The stratum of each paragraph, its number in the table of :func:`shape`."""
    found = np.zeros(len(window.table), np.int64)
    for (field, shares), values in zip(recipe.shares.items(), shape(recipe), strict=True):
        place = pc.index_in(labels(window.fields[field]), value_set=pa.array(list(shares), pa.string()))
        found = found * values + pc.fill_null(place, len(shares)).to_numpy(zero_copy_only=False)
    return found


def _commonest(stratum: Ints, lengths: Ints, number: int) -> Ints:
    """The stratum that most paragraphs of each article are in."""
    counts = np.zeros((len(lengths), number), np.int64)
    np.add.at(counts, (np.repeat(np.arange(len(lengths)), lengths), stratum), 1)
    return cast(Ints, counts.argmax(axis=1))


class Deal(PipelineStep):
    """Task *n* deals what is drawn of its files out to the shards of the sample.

    One Arrow file a task, in record batches of one shard each; ``00000.shards.npy`` says which is whose. It is not
    compressed: to pack many small batches would take as long as all the rest.
    """

    name = "Deal"
    type = "⚖ - CORPUSKIT"

    def __init__(self, job: Job, cuts: Cuts, shards: int) -> None:
        super().__init__()
        self.job, self.cuts, self.shards = job, cuts, shards

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        job, recipe = self.job, self.job.recipe
        target = job.dealt / f"{rank:05d}.arrow"
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        schema = job.schema.append(_PLACE)
        tally, repetitions, size, owners = Tally(), Counter[int](), 0, list[int]()
        fields = list(dict.fromkeys([*job.tallied, *recipe.fields]))
        with pa.ipc.new_file(partial, schema) as writer:
            read = windows(job.corpus, job.corpus.tasks[rank], [*job.corpus.columns], fields)
            for window, units in zip(read, units_of(job, rank), strict=True):
                if int(units.rows.sum()) != len(window.table):
                    raise SampleError(
                        f"{job.corpus.tasks[rank][0]} is not what it was when it was weighed: start again"
                    )
                rows, found = self._rows(units)
                times = np.bincount(rows.row, minlength=len(window.table))
                tally.add(
                    {name: window.fields[name] for name in job.tallied if _single(window, name)},
                    _words(window.table),
                    times,
                )
                repetitions.update(np.bincount(found, minlength=len(units)).tolist())
                size += rows.size
                place = draw.shuffled(units.hash[rows.unit], rows.copy)
                order = np.argsort(place, kind="stable")
                for start in range(0, len(order), _DEALT):
                    some = order[start : start + _DEALT]
                    owners += _deal(writer, self._table(window, units, rows, some, place[some], schema), self.shards)
        os.replace(partial, target)
        np.save(target.with_suffix(".shards.npy"), np.array(owners, np.int32))
        counted = {
            "tally": tally.content(),
            "repetitions": {str(times): units for times, units in repetitions.items()},
            "size": size,
        }
        runs.write_json(target.with_suffix(".json"), counted)
        return cast(DocumentsPipeline, iter(()))

    def _rows(self, units: Units) -> tuple[Rows, Ints]:
        """The paragraphs of the copies that are drawn, and the unit of each copy that has any."""
        copies, room = draw.drawn(units, self.cuts, self.job.recipe.cap)
        lengths = units.rows[copies.unit]
        first = (np.cumsum(units.rows) - units.rows)[copies.unit]
        number = np.repeat(np.arange(len(lengths)), lengths)
        row = np.arange(len(number)) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        size = int(units.size[copies.unit[room < 0]].sum())
        if (room >= 0).any():  # the end of a budget, within a unit: what still fits of it, from its beginning
            fits = np.ones(len(row), np.bool_)
            for copy in np.flatnonzero(room >= 0):
                own = number == copy
                fits[own] = np.cumsum(units.sizes[row[own]]) <= room[copy]
                size += int(units.sizes[row[own & fits]].sum())
            number, row = number[fits], row[fits]
        kept = np.unique(number)
        return Rows(row, copies.unit[number], copies.copy[number], size), copies.unit[kept]

    def _table(
        self, window: Window, units: Units, rows: Rows, some: Ints, place: draw.Hashes, schema: pa.Schema
    ) -> pa.Table:
        job, prefix = self.job, self.job.recipe.prefix
        row, unit, copy = pa.array(rows.row[some]), rows.unit[some], rows.copy[some]
        taken = window.table.take(row)
        columns: dict[str, Any] = {name: taken[name] for name in taken.column_names}
        for name in job.beside:
            columns[name.replace(".", "_")] = window.fields[name].take(row)
        columns["copy"], columns["weight"] = pa.array(copy), pa.array(units.weight[unit])
        columns["place"] = pa.array(place)
        if prefix:
            written = prefixes(prefix, {name: window.fields[name].take(row) for name in job.recipe.fields})
            if job.recipe.unit == "article":  # what stands at the head of an article stands there once
                heads = np.isin(rows.row[some], window.starts)
                written = pc.if_else(pa.array(heads), written, pa.scalar(None, pa.string()))
            columns["prefix"] = written
        return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _deal(writer: pa.ipc.RecordBatchFileWriter, rows: pa.Table, shards: int) -> list[int]:
    """Write some rows, in the order of their places, shard by shard; the shards of the batches."""
    (batch,) = rows.combine_chunks().to_batches()
    found, starts = np.unique(shard_of(rows["place"].to_numpy(), shards), return_index=True)
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        writer.write_batch(batch.slice(start, end - start))
    return cast(list[int], found.tolist())


@dataclass(frozen=True, slots=True)
class Rows:
    """Paragraphs that are drawn: the row in its window, the unit, the copy; and what they take of the budget."""

    row: Ints
    unit: Ints
    copy: Ints
    size: int


def shard_of(place: npt.NDArray[np.uint64], shards: int) -> Ints:
    """The shard that a row belongs to: its place is a share of the whole."""
    return cast(Ints, (((place >> np.uint64(32)) * np.uint64(shards)) >> np.uint64(32)).astype(np.int64))


def prefixes(prefix: Prefix, columns: dict[str, pa.Array]) -> pa.Array:
    """The metadata line of each row; null where there is nothing to say."""
    parts = []
    for part in prefix.parts:
        pieces: list[Any] = []
        for text, name in pieces_of(part):
            pieces.append(text)
            if name:
                pieces.append(_written(columns[name]))
        parts.append(pc.binary_join_element_wise(*pieces, ""))  # null where one is
    line = pc.binary_join_element_wise(*parts, prefix.separator, null_handling="skip")
    there = pc.not_equal(line, "")
    return pc.if_else(there, pc.binary_join_element_wise(line, prefix.end, ""), pa.scalar(None, pa.string()))


def _written(values: pa.Array) -> pa.Array:
    """A column as it stands in a prefix: the entries of a list one after the other, what is empty null."""
    text = pc.binary_join(values, ", ") if pa.types.is_list(values.type) else values.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


@cache
def opened(path: Path) -> tuple[pa.ipc.RecordBatchFileReader, npt.NDArray[np.int32]]:
    """What a task of the second pass has left, and the shard of each batch; each process opens it once."""
    return pa.ipc.open_file(pa.OSFile(str(path))), np.load(path.with_suffix(".shards.npy"))


class Write(PipelineStep):
    """Task *n* writes shard *n* of the sample."""

    name = "Write"
    type = "💽 - WRITER"

    def __init__(self, job: Job, output: Path) -> None:
        super().__init__()
        self.job, self.output = job, output

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        batches: list[pa.RecordBatch] = []
        for path in sorted(self.job.dealt.glob("*.arrow")):
            reader, shards = opened(path)
            batches += [reader.get_batch(number) for number in np.flatnonzero(shards == rank).tolist()]
        schema = self.job.schema
        rows = pa.Table.from_batches(batches, schema.append(_PLACE))
        # Rows of one place are those of one article, and come in their order.
        order = np.argsort(rows["place"].to_numpy(), kind="stable")
        rows = rows.select(schema.names)
        target = self.output / f"{rank:05d}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        repeated = [name for name in schema.names if name in _REPEATED or name.startswith("annotation_")]
        with pq.ParquetWriter(partial, schema, compression="zstd", use_dictionary=repeated) as writer:
            for start in range(0, len(rows), _ROWS_PER_GROUP):
                writer.write_table(rows.take(pa.array(order[start : start + _ROWS_PER_GROUP])))
        os.replace(partial, target)
        return cast(DocumentsPipeline, iter(()))


def counted(folder: Path) -> list[dict[str, Any]]:
    """What the tasks of a pass have counted."""
    return [orjson.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
