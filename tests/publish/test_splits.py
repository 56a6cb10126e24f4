"""Splits by article, and no near-duplicates on two sides."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from publish_corpora import article, write_corpus

from corpuskit.clean.tokens import Tokens
from corpuskit.dedup import near
from corpuskit.dedup.near import NearOptions
from corpuskit.publish.splits import Groups, Shares, SplitError, groups

WORDS = [f"mot{chr(97 + one // 26)}{chr(97 + one % 26)}" for one in range(400)]
EVEN = Shares(40.0, 30.0, 30.0)


def text(generator: random.Random, words: int = 80) -> str:
    return " ".join(generator.choice(WORDS) for _ in range(words))


def planted(folder: Path) -> tuple[Path, dict[str, list[str]]]:
    """Sixty articles; every third holds a paragraph of the one before it, a word of it changed."""
    generator = random.Random(5)
    texts: dict[str, list[str]] = {}
    for number in range(60):
        own = [text(generator) for _ in range(3)]
        if number % 3 == 2:
            words = texts[f"lab:{number - 1:04d}"][1].split()
            words[10] = "changé"
            own[2] = " ".join(words)
        texts[f"lab:{number:04d}"] = own
    return write_corpus(folder, [article(number) for number in range(60)], texts), texts


def test_no_near_duplicates_by_the_projects_own_criterion_are_in_two_splits(tmp_path: Path) -> None:
    corpus, texts = planted(tmp_path / "corpus")
    found = groups(corpus, EVEN, link=True, work=tmp_path)
    options = NearOptions()
    flat = [(name, one) for name, own in texts.items() for one in own]
    shingles = near.shingles(Tokens([one for _, one in flat]), options)
    pairs = np.array(list(combinations(range(len(flat)), 2)))
    agreed, _ = near.agree(pairs, shingles, options.threshold)
    near_pairs = [(flat[left][0], flat[right][0]) for left, right in pairs[agreed].tolist()]
    assert len(near_pairs) == 20
    for left, right in near_pairs:
        assert found.split(left, EVEN) == found.split(right, EVEN)
    alone = groups(corpus, EVEN, link=False, work=tmp_path)
    assert any(alone.split(left, EVEN) != alone.split(right, EVEN) for left, right in near_pairs)


def test_articles_that_are_alike_as_wholes_stay_together_though_cut_differently(tmp_path: Path) -> None:
    generator = random.Random(1)
    words = text(generator, 300).split()
    cut = [" ".join(words[start : start + 100]) for start in (0, 100, 200)]
    other = [" ".join(words[:40]), " ".join(words[40:130]), " ".join(words[130:210]), " ".join(words[210:])]
    texts = {"lab:0000": cut, "lab:0001": other}
    corpus = write_corpus(tmp_path / "corpus", [article(0), article(1)], texts)
    found = groups(corpus, EVEN, link=True, work=tmp_path)
    assert found.of == {"lab:0000": "lab:0000", "lab:0001": "lab:0000"}


def test_clusters_of_articles_and_of_paragraphs_stay_together(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    corpus = write_corpus(tmp_path / "corpus", [article(0), article(1, cluster_id="lab:0000"), article(2), article(3)])
    path = corpus / "paragraphs" / "00001.parquet"  # of articles 1 and 3
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        if row["article_id"] == "lab:0003" and row["order"] == 0:
            row["cluster_id"] = next(
                one["id"] for one in pq.read_table(corpus / "paragraphs").to_pylist() if one["article_id"] == "lab:0002"
            )
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    found = groups(corpus, EVEN, link=False, work=tmp_path)
    assert found.of == {"lab:0000": "lab:0000", "lab:0001": "lab:0000", "lab:0002": "lab:0002", "lab:0003": "lab:0002"}


def test_a_group_too_large_for_a_small_split_stays_in_train() -> None:
    of = {f"a:{number}": "a:0" for number in range(50)}
    large = Groups(of, linked=True, most=10, sizes=Counter(of.values()))
    assert {large.split(name, Shares(1.0, 49.0, 50.0)) for name in of} == {"train"}


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_split_of_an_article_depends_on_its_id_alone(one: str, other: str) -> None:
    found = Groups({}, linked=False)
    assert found.split(one, EVEN) == Groups({other: other}, linked=True).split(one, EVEN)


def test_shares_are_about_what_they_should_be() -> None:
    found = Groups({}, linked=False)
    names = [found.split(f"hal:hal-{number:08d}", Shares(90.0, 6.0, 4.0)) for number in range(20_000)]
    assert abs(names.count("validation") / len(names) - 0.06) < 0.01
    assert abs(names.count("test") / len(names) - 0.04) < 0.01


@pytest.mark.parametrize("wrong", ["98/1", "a/b/c", "50/50/1", "0/50/50", "110/-5/-5"])
def test_shares_that_are_none_are_explained(wrong: str) -> None:
    with pytest.raises(SplitError, match=f"--splits {wrong}: expected"):
        Shares.parse(wrong)
