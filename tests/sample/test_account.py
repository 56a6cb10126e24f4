"""The account of a sample: literal columns in, literal figures out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpuskit.sample.account import Tally, comparison


def tallied(name: str, values: pa.Array) -> dict[str, int]:
    """The words of each value of a column whose rows have one word, two, three …, in the order they are told in."""
    tally = Tally()
    tally.add({name: values}, np.arange(1, len(values) + 1))
    return {value: pair["before"]["words"] for value, pair in comparison(tally, tally)[name].items()}


def test_scores_follow_each_other_and_labels_go_by_their_words() -> None:
    scores = pa.array([10, 2, None, 2, 1, 10], pa.int32())
    assert tallied("annotation.quality", scores) == {"1": 5, "2": 6, "10": 7, "(none)": 3}
    assert list(tallied("annotation.quality", scores)) == ["1", "2", "10", "(none)"]
    labels = pa.array(["review", "study", None, "study"])
    assert list(tallied("annotation.kind", labels)) == ["study", "(none)", "review"]
    assert tallied("annotation.kind", labels.dictionary_encode()) == {"study": 6, "(none)": 3, "review": 1}
    assert tallied("annotation.negated", pa.array([True, False, True])) == {"true": 4, "false": 2}


def test_expected_scores_are_told_to_the_half_point_and_other_fractions_to_a_tenth() -> None:
    scores = pa.array([4.3, 1.2, 4.6, None, 2.0, 1.3], pa.float32())
    assert tallied("annotation.quality_expected", scores) == {"1": 2, "1.5": 6, "2": 5, "4.5": 4, "(none)": 4}
    assert list(tallied("annotation.quality_expected", scores)) == ["1", "1.5", "2", "4.5", "(none)"]
    assert tallied("ocr_noise", pa.array([0.11, 0.08, 0.3])) == {"0.1": 3, "0.3": 3}


def test_a_copy_counts_as_often_as_it_comes() -> None:
    before, after = Tally(), Tally()
    before.add({"source": pa.array(["hal", "pubmed"])}, np.array([3, 9]))
    after.add({"source": pa.array(["hal", "pubmed"])}, np.array([3, 9]), np.array([5, 0]))
    assert comparison(before, after)["source"] == {
        "pubmed": {
            "before": {"paragraphs": 1, "words": 9, "share": 0.75},
            "after": {"paragraphs": 0, "words": 0, "share": 0.0},
        },
        "hal": {
            "before": {"paragraphs": 1, "words": 3, "share": 0.25},
            "after": {"paragraphs": 5, "words": 15, "share": 1.0},
        },
    }
