"""What a task leaves for the global stages: sketches that were never in memory as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from corpuskit.clean import tokens
from corpuskit.dedup import near, parts
from corpuskit.dedup.near import NearOptions
from corpuskit.dedup.parts import Sketches
from corpuskit.records import Article, Paragraph

OPTIONS = NearOptions(ngram=2, min_words=3, buckets=4)


def article(number: int) -> Article:
    """Two paragraphs that are sketched, and between them one that is dropped and one too short."""
    texts = [f"le cas {number} est décrit", "la suite en est dropped ici", "trop court", f"et le cas {number} finit"]
    found = Article(f"x:{number}", "x", "x", paragraphs=[Paragraph(text) for text in texts])
    found.paragraphs[1].mark("test", "not wanted")
    return found


@pytest.mark.parametrize("turned", [3, 1 << 16])
def test_sketches_are_written_bucket_by_bucket(turned: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_TURNED", turned)
    articles = [article(number) for number in range(5)]
    with Sketches(tmp_path, 7, OPTIONS) as sketches:
        for number, one in enumerate(articles):
            sketches.add(one, number, 4 * number)
    folder = tmp_path / "near" / "paragraphs"
    assert sorted(path.name for path in folder.iterdir()) == ["00007.npy", "00007.rows.npy"]
    signatures = np.concatenate([near.signatures(tokens.of(one), OPTIONS)[[0, 3]] for one in articles])
    np.testing.assert_array_equal(np.load(folder / "00007.npy"), near.bands(signatures, OPTIONS).T)
    rows = [4 * number + place for number in range(5) for place in (0, 3)]
    np.testing.assert_array_equal(np.load(folder / "00007.rows.npy"), np.array(rows, np.int32))
    whole = near.bands(signatures.reshape(5, 2, -1).min(axis=1), OPTIONS)
    np.testing.assert_array_equal(np.load(tmp_path / "near" / "articles" / "00007.npy", mmap_mode="r"), whole.T)


def test_no_sketches_are_empty_arrays(tmp_path: Path) -> None:
    with Sketches(tmp_path, 0, OPTIONS):
        pass
    assert np.load(tmp_path / "near" / "articles" / "00000.npy").shape == (4, 0)
    assert np.load(tmp_path / "near" / "articles" / "00000.rows.npy").shape == (0,)


def test_a_task_that_fails_leaves_no_sketches(tmp_path: Path) -> None:
    sketches = Sketches(tmp_path, 0, OPTIONS).__enter__()
    sketches.add(article(1), 0, 0)
    sketches.__exit__(ValueError)
    assert not list(tmp_path.rglob("*.npy"))
