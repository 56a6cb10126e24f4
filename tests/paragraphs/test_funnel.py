"""The accounts."""

from __future__ import annotations

import pytest

from corpuskit.paragraphs.funnel import Unbalanced, balance


def report(kept: int, dropped: int, quarantined: int) -> dict[str, object]:
    return {
        "read": {"hal": {"articles": 1, "paragraphs": 10, "quarantined": 2}},
        "kept": {"hal": {"articles": 1, "paragraphs": kept, "words": 50}},
        "dropped": [
            {"unit": "paragraph", "source": "hal", "stage": "ocr", "reason": "noise", "count": dropped, "words": 1}
        ],
        "quarantined": {"hal": quarantined},
    }


def test_a_balanced_account_passes() -> None:
    balance(report(7, 3, 2))


@pytest.mark.parametrize(
    ("kept", "dropped", "quarantined", "told"),
    [
        (6, 3, 2, "10 paragraphs were read, but 6 were kept"),
        (8, 3, 2, "10 paragraphs"),
        (7, 3, 1, "2 inputs could not"),
    ],
)
def test_a_lost_paragraph_is_told(kept: int, dropped: int, quarantined: int, told: str) -> None:
    with pytest.raises(Unbalanced, match=told):
        balance(report(kept, dropped, quarantined))
