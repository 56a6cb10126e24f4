"""Train, validation and test: by article, and no near-duplicates on two sides.

Articles are put into groups, and a group into a split by the hash of its name. A group holds

- the articles of one cluster of near-duplicates, and those that hold paragraphs of one cluster (``cluster_id``);
- where the corpus was not rid of near-duplicates, also the articles that :mod:`corpuskit.dedup.near` would compare:
  those of which the texts, or two of their paragraphs, meet in a bucket of MinHash. They are not compared then: more
  is held together than is near-duplicate, never less of what met. Two texts of a similarity of 0.8 meet with a
  probability of 0.992, of 0.85 with 0.9995.

A build with ``dedup.near`` has dropped all but one of each cluster: what is left is its own group.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.clean.tokens import Tokens
from corpuskit.dedup import near
from corpuskit.dedup.near import NearOptions
from corpuskit.paragraphs import read
from corpuskit.sql import parquet

Array = npt.NDArray[Any]

SPLITS = ("train", "validation", "test")


class SplitError(Exception):
    """Shares that are none; the message says what is expected."""


class Shares(NamedTuple):
    """The parts of the articles that each split should hold, in per cent."""

    train: float = 98.0
    validation: float = 1.0
    test: float = 1.0

    @staticmethod
    def parse(text: str) -> Shares:
        """Read `98/1/1`.

        Raises:
            SplitError: it is not three numbers that add up to 100.
        """
        try:
            train, validation, test = map(float, text.split("/"))
        except ValueError:
            raise SplitError(f"--splits {text}: expected train/validation/test in per cent, such as 98/1/1") from None
        if min(train, validation, test) < 0 or abs(train + validation + test - 100) > 1e-9 or not train:
            raise SplitError(f"--splits {text}: expected three parts that add up to 100, train more than 0")
        return Shares(train, validation, test)


@dataclass(frozen=True, slots=True)
class Groups:
    """Which articles stay together."""

    #: The name of the group of each article that is not alone: its smallest id.
    of: dict[str, str]
    #: Whether articles were linked by their texts.
    linked: bool
    #: Groups of more articles than this stay in train: they would fill a small split.
    most: float = float("inf")
    sizes: Counter[str] = field(default_factory=Counter)

    def split(self, article: str | None, shares: Shares) -> str:
        """The split of an article."""
        name = article or ""
        group = self.of.get(name, name)
        if self.sizes[group] > self.most:
            return "train"
        place = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") / 2**64 * 100
        if place < shares.test:
            return "test"
        return "validation" if place < shares.test + shares.validation else "train"


def groups(corpus: Path, shares: Shares, link: bool, work: Path) -> Groups:
    """Find the articles that must stay together.

    Args:
        corpus: see :func:`corpuskit.paragraphs.read.files`; with ``articles/`` beside the paragraphs if there are.
        shares: of the splits; a group that holds more than half of what the smaller one should stays in train.
        link: compare texts, as the corpus was not rid of near-duplicates.
        work: folder for what is computed on the way.
    """
    pairs: list[tuple[str, str]] = []
    files = read.files(corpus)
    opened = read.dataset(corpus)
    if not {"article_id"} <= set(opened.schema.names):
        return Groups({}, linked=False)
    with duckdb.connect(config={"memory_limit": "400MB", "temp_directory": str(work)}) as db:
        db.execute("SET enable_progress_bar = false")
        if articles := sorted((corpus / "articles").glob("*.parquet")):
            pairs += db.execute(f"SELECT id, cluster_id FROM {parquet(articles)} WHERE cluster_id <> id").fetchall()
        db.execute(f"CREATE VIEW paragraphs AS SELECT * FROM {parquet(files)}")
        if "cluster_id" in opened.schema.names:
            pairs += db.execute(
                """
                WITH shared AS (SELECT DISTINCT cluster_id FROM paragraphs WHERE cluster_id <> id)
                SELECT DISTINCT article_id, '# ' || cluster_id FROM paragraphs SEMI JOIN shared USING (cluster_id)
                WHERE article_id IS NOT NULL
                """
            ).fetchall()
        (total,) = db.execute("SELECT count(DISTINCT article_id) FROM paragraphs").fetchone() or (0,)
    if link:
        pairs += linked(corpus, NearOptions(), work)
    of = _components(pairs)
    least = min(share for share in shares if share) / 100 * total
    return Groups(of, link, max(1.0, least / 2), Counter(of.values()))


def linked(corpus: Path, options: NearOptions, work: Path) -> Iterator[tuple[str, str]]:
    """Pairs of articles that meet in a bucket of MinHash, as wholes or with two of their paragraphs.

    Holds some 40 bytes a paragraph; the hashes of the buckets are on disk, in ``work``.
    """
    total = read.dataset(corpus).count_rows()
    path = work / "bands.npy"
    bands = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint64, shape=(options.buckets, total))
    of, without = np.zeros(total, np.int32), np.zeros(total, np.bool_)
    names: list[str] = []
    wholes: list[Array] = []
    start = 0
    for batch in read.batches(corpus, ["article_id", "text"]):
        ids = batch["article_id"].to_pylist()
        signatures = near.signatures(Tokens([text or "" for text in batch["text"].to_pylist()]), options)
        rows = slice(start, start + len(ids))
        for row, name in enumerate(ids):
            if not names or names[-1] != (name or ""):
                names.append(name or "")
                wholes.append(signatures[row].copy())
            else:  # the signature of a union is the minimum, place by place
                np.minimum(wholes[-1], signatures[row], out=wholes[-1])
            of[start + row] = len(names) - 1
        bands[:, rows] = near.bands(signatures, options).T
        without[rows] = signatures[:, 0] == near.NONE
        start += len(ids)
    pairs = [of[near.candidates(lambda bucket: bands[bucket], options.buckets, np.arange(total), without)]]
    if wholes:
        whole = np.stack(wholes)
        found, none = near.bands(whole, options).T, whole[:, 0] == near.NONE
        pairs.append(near.candidates(lambda bucket: found[bucket], options.buckets, np.arange(len(whole)), none))
    path.unlink()
    both = np.unique(np.concatenate(pairs), axis=0)
    for left, right in both[both[:, 0] != both[:, 1]].tolist():
        yield names[left], names[right]


def column(articles: pa.Array, groups: Groups, shares: Shares) -> pa.Array:
    """The split of each row, by its article."""
    encoded = articles.dictionary_encode()
    found = [groups.split(name, shares) for name in encoded.dictionary.to_pylist()]
    alone = groups.split(None, shares)
    return pa.array(found, pa.string()).take(encoded.indices).fill_null(alone)


def _components(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The smallest id of the component of each article that has a pair; what begins with `# ` is no article."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parents.setdefault(name, name)) != name:
            parents[name] = parents[above]
            name = above
        return name

    for left, right in pairs:
        parents[root(left)] = root(right)
    smallest: dict[str, str] = {}
    members = [name for name in parents if not name.startswith("# ")]
    for name in members:
        top = root(name)
        smallest[top] = min(name, smallest.get(top, name))
    return {name: smallest[root(name)] for name in members}
