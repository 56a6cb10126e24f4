"""What becomes of every article and paragraph: decided on keys, hashes and sketches, for the whole corpus at once.

:func:`candidates` finds the pairs that may be near-duplicates, :class:`Shingle` leaves the n-grams of their
texts, a task a part, and :func:`decide` settles everything: one article in several places, articles and then
paragraphs that are nearly the same, boilerplate, equal paragraphs. It leaves each part a *ledger* (what
became of its articles, and in which shard they go) and the *fates* of its paragraphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit.clean.tokens import Tokens
from corpuskit.dedup import boilerplate, exact, identity, near
from corpuskit.dedup.boilerplate import BoilerplateOptions
from corpuskit.dedup.near import NearOptions, Shingles
from corpuskit.dedup.parts import ARTICLE_PART, save

Array = npt.NDArray[Any]

EMPTY, NEAR = "empty", "near"
_ARTICLE_WORDS = 20
#: Pairs compared at a time, and texts read at a time.
_PAIRS, _TEXTS = 100_000, 2_000
_MOST_WORDS = (1 << 24) - 1
_SHINGLES = [field.name for field in fields(Shingles)]

#: One row an article read, in the order of keys; one file a part.
LEDGER = pa.schema(
    [
        pa.field("key", pa.int64()),
        pa.field("shard", pa.int32()),
        pa.field("article_id", pa.string()),  # the id its paragraphs go under
        pa.field("text_under", pa.int64()),  # key of the article its paragraphs go under
        pa.field("merged", pa.list_(pa.int64())),  # keys whose metadata is merged in, best first
        pa.field("drop_stage", pa.string()),
        pa.field("drop_reason", pa.string()),
        pa.field("drop_detail", pa.string()),
        pa.field("text_dropped", pa.bool_()),  # its paragraphs are dropped with it
        pa.field("cluster_id", pa.string()),  # the near-duplicate that survives, its own id when alone
        pa.field("cluster_size", pa.int32()),
    ]
)

#: One row a paragraph that is dropped here, or that survives others; one file a part.
FATES = pa.schema(
    [
        pa.field("row", pa.int32()),  # in its part
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("cluster_id", pa.string()),  # id of the paragraph that survives
        pa.field("cluster_size", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is decided, and by which rules; None leaves a rule out.

    ``priority`` holds the names of the sources: the first wins.
    """

    priority: list[str]
    join: bool = True
    exact_duplicates: bool = True
    near: NearOptions | None = None
    boilerplate: BoilerplateOptions | None = None
    words_per_shard: int = 10_000_000


def text_id(digest: int) -> str:
    """The part of a paragraph's id that its text decides."""
    return f"{digest:016x}"[:12]


class Corpus:
    """The key columns of all parts, and which records are one article.

    Articles are numbered in the order of their keys; paragraphs as they stand in the parts, one after another.
    """

    def __init__(self, work: Path, rules: Rules) -> None:
        self.work, self.rules = work, rules
        self.parts = sorted(path.stem for path in (work / "articles").glob("*.parquet"))
        tables = [pq.read_table(work / "articles" / f"{part}.parquet", columns=identity.COLUMNS) for part in self.parts]
        columns = pa.schema([ARTICLE_PART.field(name) for name in identity.COLUMNS])
        everything = pa.concat_tables([columns.empty_table(), *(table.cast(columns) for table in tables)])
        by_key = np.argsort(everything["key"].to_numpy(), kind="stable")
        self.articles = everything.take(pa.array(by_key)).combine_chunks()
        self.keys: Array = self.articles["key"].to_numpy()
        #: The part that each article is in, and its row there.
        self.part = np.repeat(np.arange(len(tables)), [len(table) for table in tables])[by_key]
        self.row = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(table)) for table in tables)])[by_key]
        self._join()
        self._read_paragraphs()

    def _join(self) -> None:
        rows = len(self.keys)
        self.drops: list[list[str | None]] = [
            self.articles[f"drop_{name}"].to_pylist() for name in ("stage", "reason", "detail")
        ]
        self.text_dropped = self.articles["drop_stage"].is_valid().to_numpy(zero_copy_only=False).astype(bool)
        self.merged: list[list[int] | None] = [None] * rows
        #: The article that the paragraphs of each go under, and the one it is the same as.
        self.under, self.same = np.arange(rows), np.arange(rows)
        for row, fate in identity.join(self.articles, self.rules.priority, across=self.rules.join).items():
            self.same[row] = fate.survivor
            if fate.drop is not None:
                self.drop(row, *fate.drop)
                self.text_dropped[row] = not fate.keeps_text
            if fate.keeps_text:
                self.under[row] = fate.survivor
            if fate.merged:
                self.merged[row] = [int(self.keys[other]) for other in fate.merged]

    def drop(self, row: int, *why: str) -> None:
        """Set an article aside: stage, reason, detail."""
        for column, value in zip(self.drops, why, strict=True):
            column[row] = value or None

    def _read_paragraphs(self) -> None:
        names = ["key", "order", "hash", "words_hash", "words", "drop_stage"]
        columns: list[list[Array]] = [[] for _ in names]
        for part in self.parts:
            table = pq.read_table(self.work / "paragraphs" / f"{part}.parquet", columns=names)
            columns[0].append(np.searchsorted(self.keys, table["key"].to_numpy()).astype(np.int32))
            for at, name in enumerate(names[1:-1], 1):
                columns[at].append(table[name].to_numpy())
            columns[-1].append(table["drop_stage"].is_null().to_numpy())
        kinds = (np.int32, np.int32, np.uint64, np.uint64, np.int32, bool)
        #: Of each paragraph: its article, its place there, the hashes of its text and of its words, their number,
        #: and whether no step has marked it.
        self.article, self.order, self.hash, self.words_hash, self.words, self.unmarked = (
            np.concatenate([np.zeros(0, kind), *found]) for kind, found in zip(kinds, columns, strict=True)
        )
        #: Where the paragraphs of each part begin.
        self.offsets = np.concatenate(([0], np.cumsum([len(found) for found in columns[0]], dtype=np.int64)))

    @cached_property
    def id_rank(self) -> Array:
        """The place of each article's id among all; records of one id share it."""
        rank: Array = pc.rank(self.articles["id"].combine_chunks(), tiebreaker="dense").to_numpy().astype(np.int64)
        return rank

    @cached_property
    def source_rank(self) -> Array:
        places = pc.index_in(self.articles["source"].combine_chunks(), pa.array(self.rules.priority, pa.string()))
        rank: Array = pc.fill_null(places, 255).to_numpy().astype(np.int64)
        return rank

    @property
    def alive(self) -> Array:
        """The paragraphs that are still in."""
        alive: Array = self.unmarked & ~self.text_dropped[self.article]
        return alive

    @cached_property
    def preference(self) -> Array:
        """The rank of each paragraph, the lowest survives: by source, words, article, and place in the article."""
        above = self.under[self.article]
        fewer = _MOST_WORDS - np.minimum(self.words, _MOST_WORDS).astype(np.uint64)
        first = self.source_rank[above].astype(np.uint64) << np.uint64(56) | fewer << np.uint64(32)
        first |= self.id_rank[above].astype(np.uint64)
        # A record's own paragraphs come before those of its full text.
        joined = (above != self.article).astype(np.int64) << 40
        rank = np.empty(len(first), np.int64)
        rank[np.lexsort((joined + self.order, first))] = np.arange(len(first))
        return rank

    def article_preference(self, rows: Array) -> Array:
        """The rank of some articles, the lowest survives: by source, words, id."""
        words = np.bincount(self.under[self.article[self.alive]], self.words[self.alive], len(self.keys))
        rank = np.empty(len(rows), np.int64)
        rank[np.lexsort((self.id_rank[rows], -words[rows], self.source_rank[rows]))] = np.arange(len(rows))
        return rank

    def article_name(self, row: int) -> str:
        """The id that an article's paragraphs go under."""
        name: str = self.articles["id"][int(self.under[row])].as_py()
        return name

    def name(self, paragraph: int) -> str:
        """The id of a paragraph that is kept."""
        return f"{self.article_name(self.article[paragraph])}#{text_id(int(self.hash[paragraph]))}"


def candidates(work: Path, rules: Rules) -> None:
    """Find the pairs whose sketches meet in a bucket, and leave each part word of whose n-grams are wanted.

    Args:
        work: folder of the parts.
        rules: what is decided; without ``rules.near`` there are no pairs.
    """
    assert rules.near is not None
    corpus = Corpus(work, rules)
    wanted = np.zeros(len(corpus.article), bool)
    alive = corpus.alive

    rows, bands = _sketches(work, "articles", corpus.parts)
    place = np.empty(len(corpus.keys), np.int64)
    starts = np.concatenate(([0], np.cumsum(np.bincount(corpus.part, minlength=len(corpus.parts)))))
    place[starts[corpus.part] + corpus.row] = np.arange(len(corpus.keys))
    rows = place[np.concatenate([np.zeros(0, np.int64), *(starts[at] + found for at, found in enumerate(rows))])]
    known = np.flatnonzero(~corpus.text_dropped[rows])
    # A record and its full text are sketched by the longer of the two.
    words = corpus.articles["kept_words"].to_numpy()[rows[known]]
    known = known[np.lexsort((-words, corpus.under[rows[known]]))]
    units, first = np.unique(corpus.under[rows[known]], return_index=True)
    pairs = units[_pairs(bands, known[first], corpus.article_preference(units), rules.near)]
    save(work / "near" / "article_pairs.npy", pairs)
    close = np.zeros(len(corpus.keys), bool)
    close[pairs] = True
    wanted |= alive & close[corpus.under[corpus.article]]

    rows, bands = _sketches(work, "paragraphs", corpus.parts)
    sketched = np.concatenate(
        [np.zeros(0, np.int64), *(corpus.offsets[at] + found for at, found in enumerate(rows))]
    ).astype(np.int64)
    known = np.flatnonzero(alive[sketched])
    texts, first = np.unique(corpus.hash[sketched[known]], return_index=True)
    pairs = _pairs(bands, known[first], corpus.preference[sketched[known[first]]], rules.near)
    save(work / "near" / "text_pairs.npy", texts[pairs])
    wanted[sketched[known[first[np.unique(pairs)]]]] = True

    for at, part in enumerate(corpus.parts):
        own = np.flatnonzero(wanted[corpus.offsets[at] : corpus.offsets[at + 1]])
        save(work / "near" / "wanted" / f"{part}.npy", own.astype(np.int32))


def _sketches(work: Path, unit: str, parts: list[str]) -> tuple[list[Array], list[Array]]:
    folder = work / "near" / unit
    rows = [np.load(folder / f"{part}.rows.npy") for part in parts]
    return rows, [np.load(folder / f"{part}.npy", mmap_mode="r") for part in parts]


def _pairs(bands: list[Array], chosen: Array, preference: Array, options: NearOptions) -> Array:
    def band(bucket: int) -> Array:
        return np.concatenate([np.zeros(0, np.uint64), *(part[bucket] for part in bands)])[chosen]

    return near.candidates(band, options.buckets, preference, np.zeros(len(chosen), bool))


class Shingle(PipelineStep):
    """Task *n* leaves the n-grams of the texts of part *n* that may be near-duplicates."""

    name = "Shingle"
    type = "🫂 - DEDUP"

    def __init__(self, work: Path, options: NearOptions) -> None:
        super().__init__()
        self.work, self.options = work, options

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        wanted = np.load(self.work / "near" / "wanted" / f"{rank:05d}.npy")
        part = pq.ParquetFile(self.work / "paragraphs" / f"{rank:05d}.parquet")
        found = [near.shingles(Tokens([]), self.options)]
        first = 0
        for number in range(part.num_row_groups):
            last = first + part.metadata.row_group(number).num_rows
            own = wanted[(wanted >= first) & (wanted < last)] - first
            if len(own):
                texts = part.read_row_group(number, ["text"])["text"].take(pa.array(own)).to_pylist()
                for start in range(0, len(texts), _TEXTS):
                    found.append(near.shingles(Tokens(texts[start : start + _TEXTS]), self.options))
            first = last
        whole = Shingles.concatenate(found)
        for name in _SHINGLES:
            save(self.work / "near" / "shingles" / f"{rank:05d}.{name}.npy", getattr(whole, name))
        return cast(DocumentsPipeline, iter(()))


class _Store:
    """The n-grams that :class:`Shingle` left, found by paragraph."""

    def __init__(self, corpus: Corpus) -> None:
        folder = corpus.work / "near"
        wanted = [np.load(folder / "wanted" / f"{part}.npy") for part in corpus.parts]
        self.paragraphs = np.concatenate(
            [np.zeros(0, np.int64), *(corpus.offsets[at] + own for at, own in enumerate(wanted))]
        ).astype(np.int64)
        self.starts = np.concatenate(([0], np.cumsum([len(own) for own in wanted], dtype=np.int64)))
        self.parts = [
            Shingles(*(np.load(folder / "shingles" / f"{part}.{name}.npy", mmap_mode="r") for name in _SHINGLES))
            for part in corpus.parts
        ]

    def take(self, paragraphs: Array) -> Shingles:
        """The n-grams of some paragraphs, in that order (ascending)."""
        places = np.searchsorted(self.paragraphs, paragraphs)
        cuts = np.searchsorted(places, self.starts)
        return Shingles.concatenate(
            [_take(part, places[cuts[at] : cuts[at + 1]] - self.starts[at]) for at, part in enumerate(self.parts)]
        )


def _take(shingles: Shingles, texts: Array) -> Shingles:
    """Some texts, in the order given."""
    found: list[Array] = []
    for values, bounds in (
        (shingles.ngrams, shingles.ngram_bounds),
        (shingles.numbers, shingles.number_bounds),
    ):
        counts = bounds[texts + 1] - bounds[texts]
        ends = np.concatenate(([0], counts.cumsum()))
        found += [values[np.arange(ends[-1]) + np.repeat(bounds[texts] - ends[:-1], counts)], ends]
    return Shingles(*found)


def _settle(
    pairs: Array, preference: Array, options: NearOptions, take: Callable[[Array], Shingles]
) -> tuple[Array, Array, Array]:
    """The units (of any numbering) that are near-duplicates, their survivors, and the Jaccard similarity of the two.

    Args:
        pairs: candidates, shape (pairs, 2).
        preference: of ``np.unique(pairs)``.
        options: of the comparison.
        take: the n-grams of some units, ascending.
    """
    units, places = np.unique(pairs, return_inverse=True)

    def compare(local: Array) -> tuple[Array, Array]:
        found, similarity = np.zeros(len(local), bool), np.zeros(len(local), np.float32)
        for start in range(0, len(local), _PAIRS):
            those, own = np.unique(local[start : start + _PAIRS], return_inverse=True)
            end = start + _PAIRS
            found[start:end], similarity[start:end] = near.agree(
                own.reshape(-1, 2), take(units[those]), options.threshold
            )
        return found, similarity

    survivors = near.settle(len(units), places.reshape(-1, 2), preference, lambda local: compare(local)[0])
    gone = np.flatnonzero(survivors != np.arange(len(units)))
    _, similarity = compare(np.stack([survivors[gone], gone], axis=1))
    return units[gone], units[survivors[gone]], similarity


def decide(work: Path, rules: Rules) -> int:
    """Settle what becomes of everything, and write ``ledger/`` and ``fates/``, one file a part.

    Args:
        work: folder of the parts; with ``rules.near`` also of what :func:`candidates` and :class:`Shingle` left.
        rules: what is decided.

    Returns:
        The number of shards.
    """
    corpus = Corpus(work, rules)
    store = _Store(corpus) if rules.near else None
    clusters = _near_articles(corpus, store, rules.near) if rules.near and store else {}
    fates = _Fates(corpus)
    if rules.boilerplate:
        rows = np.flatnonzero(corpus.alive)
        documents = boilerplate.document_frequency(corpus.words_hash[rows], corpus.under[corpus.article[rows]])
        found = (documents >= rules.boilerplate.min_documents) & (corpus.words[rows] <= rules.boilerplate.max_words)
        fates.boilerplate(rows[found], documents[found])
    if rules.exact_duplicates or rules.near:
        _duplicates(corpus, fates, store, rules)

    above = corpus.under[corpus.article]
    own = corpus.under == np.arange(len(corpus.keys))
    kept = np.bincount(above[corpus.alive & ~fates.gone], minlength=len(corpus.keys))
    for row in np.flatnonzero((kept == 0) & own).tolist():
        if corpus.drops[0][row] is None:
            corpus.drop(row, EMPTY, "no_paragraph_left", "")
    load = np.bincount(corpus.article, corpus.words, minlength=len(corpus.keys)).astype(np.int64)
    # All records of one article go to one shard, where their metadata is merged.
    shard = _shards(corpus.id_rank[corpus.same], load, rules.words_per_shard)
    _write_ledgers(corpus, shard, clusters)
    fates.write()
    return int(shard.max(initial=0)) + 1


def _near_articles(corpus: Corpus, store: _Store, options: NearOptions) -> dict[int, tuple[str, int]]:
    """Drop the articles whose text is nearly that of another; gives the cluster of each row that is in one."""
    pairs = np.load(corpus.work / "near" / "article_pairs.npy")
    units = np.unique(pairs)
    alive = np.flatnonzero(corpus.alive)
    above = corpus.under[corpus.article[alive]]
    close = np.isin(above, units)
    alive, above = alive[close], above[close]
    by_article = np.lexsort((corpus.order[alive], corpus.article[alive] != above, above))
    paragraphs, above = alive[by_article], above[by_article]

    def take(articles: Array) -> Shingles:
        wanted = np.flatnonzero(np.isin(above, articles))
        inside = paragraphs[wanted]
        ascending = np.argsort(inside)
        found = _take(store.take(inside[ascending]), np.argsort(ascending))
        return found.joined(np.append(np.searchsorted(above[wanted], articles), len(wanted)))

    clusters: dict[int, tuple[str, int]] = {}
    for row, survivor, similarity in zip(*_settle(pairs, corpus.article_preference(units), options, take), strict=True):
        name = corpus.article_name(survivor)
        clusters[int(survivor)] = (name, clusters.get(int(survivor), (name, 1))[1] + 1)
        # The full text that goes on under a record goes with it.
        for part in np.flatnonzero(corpus.under == row).tolist():
            clusters[part] = (name, 0)
            corpus.text_dropped[part] = True
            corpus.drop(part, NEAR, "near_article", f"{similarity:.2f} of {name}")
    return clusters


def _duplicates(corpus: Corpus, fates: _Fates, store: _Store | None, rules: Rules) -> None:
    """Paragraphs with the same text, and with nearly the same."""
    rows = np.flatnonzero(corpus.alive & ~fates.gone)
    preference = corpus.preference
    copies, survivors = exact.duplicates(corpus.hash[rows], preference[rows])
    copies, survivors = rows[copies], rows[survivors]
    final = np.arange(len(corpus.article))
    if rules.exact_duplicates:
        final[copies] = survivors
    similar = np.zeros(0, np.int64)
    if store and rules.near:
        alone = np.setdiff1d(rows, copies, assume_unique=True)
        texts = corpus.hash[alone]
        by_text = np.argsort(texts)
        texts, alone = texts[by_text], alone[by_text]
        pairs = np.load(corpus.work / "near" / "text_pairs.npy")
        pairs = pairs[np.isin(pairs, texts).all(axis=1)]
        wanted = np.isin(corpus.hash[store.paragraphs], texts)
        known, first = np.unique(corpus.hash[store.paragraphs[wanted]], return_index=True)
        left = store.paragraphs[np.flatnonzero(wanted)[first]]

        def take(hashes: Array) -> Shingles:
            # Any paragraph with this text will do.
            where = left[np.searchsorted(known, hashes)]
            ascending = np.argsort(where)
            return _take(store.take(where[ascending]), np.argsort(ascending))

        units = alone[np.searchsorted(texts, np.unique(pairs))]
        gone, kept, similarity = _settle(pairs, preference[units], rules.near, take)
        similar, under = alone[np.searchsorted(texts, gone)], alone[np.searchsorted(texts, kept)]
        final[similar] = under
        if rules.exact_duplicates:
            final[copies] = final[final[copies]]
        fates.near(similar, under, similarity)
    if rules.exact_duplicates:
        same = final[copies] == survivors
        fates.exact(copies[same], survivors[same])
        # What equals a near-duplicate is one.
        fates.near(copies[~same], final[copies[~same]], np.zeros(np.count_nonzero(~same), np.float32))
    fates.survive(final[rows])


class _Fates:
    """What became of paragraphs, gathered rule by rule."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.gone = np.zeros(len(corpus.article), bool)
        self.size = np.zeros(0, np.int64)
        self.surviving = np.zeros(0, np.int64)
        self.told: list[tuple[Array, str, str, str, Array | None, Array | None]] = []

    def _tell(
        self, rows: Array, stage: str, reason: str, detail: str, under: Array | None, figure: Array | None
    ) -> None:
        """``detail`` is a format of the id of what a paragraph goes under, and of its figure."""
        self.gone[rows] = True
        self.told.append((rows, stage, reason, detail, under, figure))

    def boilerplate(self, rows: Array, documents: Array) -> None:
        self._tell(rows, boilerplate.STAGE, "repeated_across_articles", "in {1} articles", None, documents)

    def exact(self, rows: Array, survivors: Array) -> None:
        self._tell(rows, exact.STAGE, "same_text", "{0}", survivors, None)

    def near(self, rows: Array, survivors: Array, similarity: Array) -> None:
        self._tell(rows, NEAR, "near_paragraph", "{1:.2f} of {0}", survivors, similarity)

    def survive(self, final: Array) -> None:
        """Count the paragraphs that go under each."""
        self.surviving, counts = np.unique(final, return_counts=True)
        self.surviving, self.size = self.surviving[counts > 1], counts[counts > 1]

    def write(self) -> None:
        corpus = self.corpus
        for at, part in enumerate(corpus.parts):
            start, end = corpus.offsets[at], corpus.offsets[at + 1]
            found: list[tuple[int, str | None, str | None, str | None, str | None, int]] = []
            for rows, stage, reason, detail, under, figure in self.told:
                for place in np.flatnonzero((rows >= start) & (rows < end)).tolist():
                    name = corpus.name(int(under[place])) if under is not None else None
                    told = detail.format(name, figure[place] if figure is not None else None)
                    found.append((int(rows[place] - start), stage, reason, told, name, 0))
            for place in np.flatnonzero((self.surviving >= start) & (self.surviving < end)).tolist():
                row = int(self.surviving[place])
                found.append((row - int(start), None, None, None, corpus.name(row), int(self.size[place])))
            columns = [list(column) for column in zip(*sorted(found), strict=True)] or [[] for _ in FATES]
            _write(pa.table(columns, schema=FATES), corpus.work / "fates" / f"{part}.parquet")


def _write_ledgers(corpus: Corpus, shard: Array, clusters: dict[int, tuple[str, int]]) -> None:
    ids = corpus.articles["id"]
    cluster_ids: list[str | None] = [None] * len(corpus.keys)
    sizes = np.ones(len(corpus.keys), np.int32)
    for row, (name, size) in clusters.items():
        cluster_ids[row], sizes[row] = name, max(1, size)
    columns = [corpus.keys, shard, ids.take(pa.array(corpus.under)), corpus.keys[corpus.under], corpus.merged,
               *corpus.drops, corpus.text_dropped, cluster_ids, sizes]  # fmt: skip
    ledger = pa.table(columns, schema=LEDGER)
    for at, part in enumerate(corpus.parts):
        _write(ledger.take(pa.array(np.flatnonzero(corpus.part == at))), corpus.work / "ledger" / f"{part}.parquet")


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _shards(id_rank: Array, load: Array, words_per_shard: int) -> Array:
    """Number of the shard of each article: ranges of the sorted ids, cut by the words read, kept or not."""
    by_id = np.argsort(id_rank, kind="stable")
    # An article costs its row too, and most of some sources are dropped unread.
    weight = load[by_id] + _ARTICLE_WORDS
    number = (np.cumsum(weight) - weight) // words_per_shard
    # Rows of one id must not part, and no number may be left out.
    ranks = id_rank[by_id]
    first = np.searchsorted(ranks, ranks)
    number = number[first]
    shard = np.zeros(len(by_id), np.int32)
    shard[by_id] = np.concatenate(([0], np.cumsum(np.diff(number) != 0))) if len(number) else 0
    return shard
