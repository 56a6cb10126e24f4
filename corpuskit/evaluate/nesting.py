"""Entities inside entities, and what a flat tagging makes of them: the policies of the field, and what each leaves out.

IOB2 gives a word one tag. Of entities that lie in each other, cross each other or are in several pieces it can say
only some, and the protocols that models were compared by chose differently:

- ``outermost`` (CamemBERT-bio, Touchent et al. 2024): the longest are kept;
- ``concatenated`` (DrBERT, Labrak et al. 2023; DrBenchmark): what several entities cover gets their labels, sorted and
  glued to one, and each piece of a discontinuous entity is an entity;
- ``nested`` (as Bannour et al. 2024): a layer of tags for each label or group of labels, the longest kept in each.

Nothing is left out silently: every policy counts the entities that it cannot keep as they are annotated, by reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from corpuskit.evaluate.records import Document, Entity, Span, TaskError
from corpuskit.evaluate.tokens import to_tags, words

Policy = Literal["outermost", "concatenated", "nested"]
#: Entities of which no two overlap, by the name of the layer of tags; "" where there is but one.
Layers = dict[str, tuple[Entity, ...]]

#: It is in several pieces.
DISCONTINUOUS = "discontinuous"
#: It lies within another that is kept.
NESTED = "nested"
#: Another label is kept for the same words.
SAME_SPAN = "same span"
#: The same label stands there twice.
DUPLICATE = "duplicate"
#: It begins in another that is kept and ends outside, or the other way round.
CROSSING = "crossing"
#: It has another label for some of its words.
GLUED = "glued"
#: What stands between labels that are glued.
GLUE = "_"
#: What stands for all labels whose layer is not said.
OTHERS = "*"


def layers(document: Document, policy: Policy, groups: Mapping[str, str] | None = None) -> tuple[Layers, Counter[str]]:
    """What a policy keeps of a document's entities.

    Args:
        document: the text and its entities.
        policy: which.
        groups: for ``nested``: the layer of each label, see :func:`layer_of`.

    Returns:
        The entities kept in each layer, in order, and how many of the annotated are not kept as they are, by reason.

    Raises:
        TaskError: there is no such policy.
    """
    if policy == "outermost":
        kept, lost = outermost(document.entities)
        return {"": kept}, lost
    if policy == "concatenated":
        kept, lost = concatenated(document.entities, document.text)
        return {"": kept}, lost
    if policy == "nested":
        return nested(document.entities, groups)
    raise TaskError(f"there is no policy {policy!r} for nested entities: choose one of {', '.join(get_args(Policy))}")


def outermost(entities: Iterable[Entity]) -> tuple[tuple[Entity, ...], Counter[str]]:
    """The longest entities that do not overlap, in order; of equally long ones the first in the text, then in the file.

    One that lies only in entities that are not kept is kept.
    """
    kept: list[Entity] = []
    lost: Counter[str] = Counter()
    taken: dict[int, Entity] = {}
    whole = []
    for entity in entities:
        if entity.discontinuous:
            lost[DISCONTINUOUS] += 1
        else:
            whole.append(entity)
    for entity in sorted(whole, key=lambda entity: (entity.start - entity.end, entity.start)):
        # What is kept already is at least as long: it cannot lie wholly inside.
        over = {taken[place] for place in (entity.start, entity.end - 1) if place in taken}
        if not over:
            kept.append(entity)
            taken.update(dict.fromkeys(range(entity.start, entity.end), entity))
        else:
            lost[_relation(entity, over)] += 1
    return tuple(sorted(kept, key=lambda entity: entity.start)), lost


def _relation(entity: Entity, over: set[Entity]) -> str:
    """How an entity stands to those that are kept where it begins and ends."""
    for other in over:
        if other.spans == entity.spans:
            return DUPLICATE if other.label == entity.label else SAME_SPAN
        if other.start <= entity.start and entity.end <= other.end:
            return NESTED
    return CROSSING


def concatenated(entities: Iterable[Entity], text: str) -> tuple[tuple[Entity, ...], Counter[str]]:
    """The text cut wherever the labels change that cover it: pieces with all their labels, sorted and glued.

    An entity within another of its own label changes nothing. White space where an entity is cut goes to no piece.
    """
    annotated = list(entities)
    pieces = _pieces([(span, entity.label) for entity in annotated for span in entity.spans], text)
    labels = {place: piece.label for piece in pieces for place in range(piece.start, piece.end)}
    as_annotated = {(piece.spans, piece.label) for piece in pieces}
    lost: Counter[str] = Counter()
    seen = set()
    for entity in annotated:
        mark = entity.spans, entity.label
        if entity.discontinuous:
            lost[DISCONTINUOUS] += 1
        elif mark in seen:
            lost[DUPLICATE] += 1
        elif mark not in as_annotated:
            lost[_absorbed(entity, annotated, labels)] += 1
        seen.add(mark)
    return tuple(pieces), lost


def _absorbed(entity: Entity, annotated: list[Entity], labels: Mapping[int, str]) -> str:
    """Why an entity is no piece of its own."""
    if any(labels.get(place, entity.label) != entity.label for place in range(entity.start, entity.end)):
        return GLUED
    within = any(other.start <= entity.start and entity.end <= other.end for other in annotated if other is not entity)
    return NESTED if within else CROSSING


def _pieces(spans: list[tuple[Span, str]], text: str) -> list[Entity]:
    starts, ends = ({span[side] for span, _ in spans} for side in (0, 1))
    covering: dict[int, set[int]] = defaultdict(set)
    for number, ((start, end), _) in enumerate(spans):
        for place in range(start, end):
            covering[place].add(number)
    pieces: list[Entity] = []
    first = before = -1
    for place in [*sorted(covering), len(text) + 1]:
        here, there = covering.get(place, set()), covering.get(before, set())
        if place == before + 1 and here & there and _glued(here, spans) == _glued(there, spans):
            before = place
            continue
        if there:
            start, end = first, before + 1
            while start < end and start not in starts and text[start].isspace():
                start += 1
            while start < end and end not in ends and text[end - 1].isspace():
                end -= 1
            if start < end:
                pieces.append(Entity(((start, end),), _glued(there, spans)))
        first = before = place
    return pieces


def _glued(numbers: set[int], spans: list[tuple[Span, str]]) -> str:
    return GLUE.join(sorted({spans[number][1] for number in numbers}))


def layer_of(label: str, groups: Mapping[str, str] | None = None) -> str:
    """The layer of a label: as groups say, otherwise that of ``*``, otherwise one of its own."""
    groups = groups or {}
    return groups.get(label, groups.get(OTHERS, label))


def nested(entities: Iterable[Entity], groups: Mapping[str, str] | None = None) -> tuple[Layers, Counter[str]]:
    """The longest entities that do not overlap in each layer: within another label or group nothing is lost."""
    of_layer: dict[str, list[Entity]] = defaultdict(list)
    for entity in entities:
        of_layer[layer_of(entity.label, groups)].append(entity)
    kept: Layers = {}
    lost: Counter[str] = Counter()
    for layer, some in sorted(of_layer.items()):
        kept[layer], of_this = outermost(some)
        lost += of_this
    return kept, lost


def account(documents: Iterable[Document], policy: Policy, groups: Mapping[str, str] | None = None) -> Counter[str]:
    """What becomes of annotated entities on the way to tags: how many are ``annotated``, ``kept`` and lost, by reason.

    Of those that are kept, some do not come back from tags as they are; the reasons are those of
    :func:`corpuskit.evaluate.tokens.to_tags`.
    """
    found: Counter[str] = Counter()
    for document in documents:
        kept, lost = layers(document, policy, groups)
        found += lost
        found["annotated"] += len(document.entities)
        places = words(document.text)
        for some in kept.values():
            found["kept"] += len(some)
            found += to_tags(some, places)[1]
    return found
