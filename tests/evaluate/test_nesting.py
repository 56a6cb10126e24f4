"""Nested entities: what each policy keeps, by hand and on QUAERO, and that nothing goes uncounted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.evaluate.nesting import Policy, account, concatenated, layer_of, layers, nested, outermost
from corpuskit.evaluate.readers import brat
from corpuskit.evaluate.records import Document, Entity, Span, TaskError

TEXT = "infarctus du myocarde aigu"


def entity(label: str, *spans: Span, id: str = "") -> Entity:
    return Entity(spans, label, id)


def marks(entities: tuple[Entity, ...]) -> list[tuple[str, str]]:
    return [(TEXT[one.start : one.end], one.label) for one in entities]


WHOLE, INNER = entity("DISO", (0, 21)), entity("ANAT", (13, 21))


def test_the_outermost_is_kept() -> None:
    kept, lost = outermost([INNER, WHOLE, entity("PHEN", (22, 26))])
    assert marks(kept) == [("infarctus du myocarde", "DISO"), ("aigu", "PHEN")]
    assert lost == {"nested": 1}


def test_why_an_entity_is_not_kept() -> None:
    given_entities = [
        WHOLE,
        entity("PHEN", (0, 21), id="T2"),
        entity("DISO", (0, 21), id="T3"),
        entity("DISO", (0, 9)),
        entity("ANAT", (13, 26)),
        entity("DISO", (0, 9), (22, 26)),
    ]
    kept, lost = outermost(given_entities)
    assert kept == (WHOLE,)
    assert lost == {"same span": 1, "duplicate": 1, "nested": 1, "crossing": 1, "discontinuous": 1}


def test_what_lies_only_in_what_is_not_kept_is_kept() -> None:
    # The middle one crosses the first, which is longer.
    kept, lost = outermost([entity("A", (0, 12)), entity("B", (10, 21)), entity("C", (13, 21))])
    assert marks(kept) == [("infarctus du", "A"), ("myocarde", "C")]
    assert lost == {"crossing": 1}


def test_labels_are_glued_where_entities_cover_each_other() -> None:
    kept, lost = concatenated([WHOLE, INNER], TEXT)
    assert marks(kept) == [("infarctus du", "DISO"), ("myocarde", "ANAT_DISO")]
    assert lost == {"glued": 2}
    kept, lost = concatenated([entity("DISO", (0, 26)), INNER], TEXT)
    assert marks(kept) == [("infarctus du", "DISO"), ("myocarde", "ANAT_DISO"), ("aigu", "DISO")]
    kept, lost = concatenated([entity("PHEN", (0, 9)), entity("DISO", (0, 9)), INNER], TEXT)
    assert marks(kept) == [("infarctus", "DISO_PHEN"), ("myocarde", "ANAT")]
    assert lost == {"glued": 2}


def test_what_has_one_label_is_not_cut_but_between_neighbours() -> None:
    kept, lost = concatenated([WHOLE, entity("DISO", (13, 21)), entity("DISO", (0, 21))], TEXT)
    assert (kept, lost) == ((WHOLE,), {"nested": 1, "duplicate": 1})
    beside = entity("DISO", (0, 9)), entity("DISO", (9, 21))
    assert concatenated(beside, TEXT) == (beside, {})
    kept, lost = concatenated([entity("DISO", (0, 12)), entity("DISO", (10, 21))], TEXT)
    assert (kept, lost) == ((WHOLE,), {"crossing": 2})


def test_the_pieces_of_a_discontinuous_entity_are_entities_where_labels_are_glued() -> None:
    kept, lost = concatenated([entity("DISO", (0, 9), (22, 26)), INNER], TEXT)
    assert marks(kept) == [("infarctus", "DISO"), ("myocarde", "ANAT"), ("aigu", "DISO")]
    assert lost == {"discontinuous": 1}


def test_each_label_or_group_has_a_layer() -> None:
    inner = entity("DISO", (0, 9))
    document = Document("1", TEXT, (WHOLE, INNER, inner, entity("PHEN", (22, 26)), entity("DISO", (0, 9), (22, 26))))
    assert layers(document, "nested") == (
        {"ANAT": (INNER,), "DISO": (WHOLE,), "PHEN": (entity("PHEN", (22, 26)),)},
        {"nested": 1, "discontinuous": 1},
    )
    assert layers(document, "nested", {"PHEN": "signs", "DISO": "signs"}) == (
        {"ANAT": (INNER,), "signs": (WHOLE, entity("PHEN", (22, 26)))},
        {"nested": 1, "discontinuous": 1},
    )


def test_all_other_labels_may_share_a_layer() -> None:
    groups = {"outside": "range", "within": "range", "*": "kind"}
    assert [layer_of(label, groups) for label in ("outside", "poids", "pouls")] == ["range", "kind", "kind"]
    assert [layer_of("poids"), layer_of("poids", {"pouls": "kind"})] == ["poids", "poids"]
    document = Document("1", "poids 70", tuple(entity(label, (6, 8)) for label in ("poids", "pouls", "within")))
    kept, lost = layers(document, "nested", groups)
    assert {layer: [one.label for one in some] for layer, some in kept.items()} == {
        "kind": ["poids"], "range": ["within"]
    }  # fmt: skip
    assert lost == {"same span": 1}


def test_a_policy_that_there_is_not_is_told() -> None:
    with pytest.raises(TaskError, match=r"no policy 'innermost' .*: choose one of outermost, concatenated, nested"):
        layers(Document("1", TEXT), "innermost")  # type: ignore[arg-type]


def test_the_account_has_what_tags_change_too() -> None:
    document = Document("1", TEXT, (WHOLE, INNER, entity("PHEN", (22, 25))))
    told = {"annotated": 3, "kept": 2, "nested": 1, "begins or ends inside a word": 1}
    assert account([document], "outermost") == told
    assert account([document, document], "outermost") == {reason: 2 * count for reason, count in told.items()}


spans = st.tuples(st.integers(0, 25), st.integers(1, 26)).map(lambda ends: (min(ends), max(ends[1], ends[0] + 1)))
contiguous = st.builds(lambda span, label: Entity((span,), label), spans, st.sampled_from("ABC"))
broken = st.builds(
    lambda cuts, label: Entity(((cuts[0], cuts[1]), (cuts[2], cuts[3])), label),
    st.lists(st.integers(0, 26), min_size=4, max_size=4, unique=True).map(sorted),
    st.sampled_from("ABC"),
)
some = st.lists(st.one_of(contiguous, contiguous, broken), max_size=8)


@given(some)
def test_every_entity_is_kept_or_counted_and_none_overlap(entities: list[Entity]) -> None:
    kept, lost = outermost(entities)
    in_layers, lost_in_layers = nested(entities)
    for some in (kept, *in_layers.values()):
        assert all(one.end <= other.start for one, other in pairwise(some))
        assert set(some) <= set(entities)
    together = sum(map(len, in_layers.values()))
    assert len(kept) + lost.total() == together + lost_in_layers.total() == len(entities)
    assert nested(entities, dict.fromkeys("ABC", ""))[0].get("", ()) == kept


@given(some)
def test_pieces_say_of_each_character_all_labels_that_cover_it(entities: list[Entity]) -> None:
    kept, lost = concatenated(entities, TEXT)
    assert all(one.end <= other.start for one, other in pairwise(kept))
    said = {place: one.label for one in kept for place in range(one.start, one.end)}
    for place, character in enumerate(TEXT):
        covering = {one.label for one in entities for start, end in one.spans if start <= place < end}
        assert said.get(place, "") == "_".join(sorted(covering)) or (character == " " and place not in said)
    unchanged = {(one.spans, one.label) for one in kept} & {(one.spans, one.label) for one in entities}
    assert len(unchanged) + lost.total() == len(entities)


@given(st.lists(contiguous, max_size=8))
def test_flat_entities_are_all_kept_by_all(entities: list[Entity]) -> None:
    flat, _ = outermost(entities)
    assert outermost(flat) == (flat, {})
    assert concatenated(flat, TEXT) == (flat, {})
    assert sorted(one.start for some in nested(flat)[0].values() for one in some) == [one.start for one in flat]


QUAERO: dict[tuple[str, Policy], dict[str, int]] = {
    ("dev/EMEA", "outermost"): {"kept": 1905, "discontinuous": 15, "nested": 340},
    ("dev/EMEA", "concatenated"): {"kept": 2066, "discontinuous": 15, "nested": 177, "glued": 290},
    ("dev/EMEA", "nested"): {"kept": 2044, "discontinuous": 15, "nested": 201},
    ("dev/MEDLINE", "outermost"): {
        "kept": 2234, "discontinuous": 21, "nested": 719, "same span": 2, "crossing": 1,
        "begins or ends with white space": 3,
    },
    ("dev/MEDLINE", "concatenated"): {
        "kept": 2508, "discontinuous": 21, "nested": 374, "glued": 512, "begins or ends with white space": 5,
    },
    ("dev/MEDLINE", "nested"): {
        "kept": 2486, "discontinuous": 21, "nested": 470, "begins or ends with white space": 5,
    },
}  # fmt: skip


@pytest.mark.parametrize(("folder", "policy"), QUAERO)
def test_what_the_policies_keep_of_quaero(real_data: Path, folder: str, policy: Policy) -> None:
    found = account(brat.read(real_data / "quaero", folder).documents, policy)
    assert found.pop("annotated") == {"dev/EMEA": 2260, "dev/MEDLINE": 2977}[folder]
    assert found == QUAERO[folder, policy]
