"""Systems side by side: what each gets by every rule, how sure the differences are, and what it costs.

Results are compared within a task and a protocol only, on the documents that all systems were asked. What differs in
fine-tuning alone is said, not kept apart.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpuskit import runs
from corpuskit.evaluate import nesting, results, scoring, statistics
from corpuskit.evaluate import protocol as protocols
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Document, Span, TaskError
from corpuskit.evaluate.results import Result
from corpuskit.evaluate.scorers import Figures
from corpuskit.evaluate.scoring import Scored
from corpuskit.evaluate.statistics import Difference, Interval, Measure, Spread
from corpuskit.evaluate.tasks import Task
from corpuskit.evaluate.tokens import words

#: What of a protocol decides how answers are counted; the rest is how a model is fine-tuned.
_RULE = ("policy", "count", "prefixes")
_COUNTING = ("name", "headline", *_RULE)
#: What moves no figure, or only how sure one is.
_ASIDE = (*_COUNTING, "description", "seeds", "resamples", "confidence")
#: What is counted beside what is lost.
_NOT_LOST = ("annotated", "kept")
#: A difference below is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Against:
    """A difference to the baseline, and its p-values after Holm over all systems that are compared with it."""

    difference: Difference
    p_bootstrap: float
    p_randomisation: float

    def mark(self, confidence: float) -> str:
        """``↑`` or ``↓`` where both p-values are below 1 - confidence, otherwise nothing."""
        if max(self.p_bootstrap, self.p_randomisation) >= 1 - confidence:
            return ""
        return "↑" if self.difference.value > 0 else "↓"


@dataclass(frozen=True, slots=True)
class Figure:
    """What a system gets by a measure.

    Attributes:
        spread: over its seeds.
        interval: of the mean, over what is drawn.
        by_seed: the figure of each seed.
        rank: 1 + how many systems are above.
        against: the baseline; None of the baseline itself, and where there is none.
    """

    spread: Spread
    interval: Interval
    by_seed: tuple[float, ...]
    rank: int
    against: Against | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a system takes; None where it is not told.

    Attributes:
        kind: encoder, llm or dictionary.
        parameters: of the model.
        bytes: of the model.
        training_seconds: mean over seeds.
        latency: seconds of a document, mean.
        latency_95: seconds within which 95 % of the documents are answered.
        one_by_one: the latency is that of documents answered one by one; otherwise the time of all by their number.
        kwh: of a seed's run, training and prediction.
        kwh_1000: of the prediction of 1,000 documents.
        metered: how the energy is known.
    """

    kind: str
    parameters: int | None
    bytes: int | None
    training_seconds: float | None
    latency: float | None
    latency_95: float | None
    one_by_one: bool
    kwh: float | None
    kwh_1000: float | None
    metered: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A system within a ranking.

    Attributes:
        name: unique among the systems compared.
        result: its documents are those that are compared.
        figures: by measure.
        classes: precision, recall and F1 of each class, mean over seeds; none where there are choices.
        cost: what it takes.
        lost: entities that it could not learn or say, and what it said that comes to none, by reason, mean over seeds.
        problems: why answers are not whole, over all seeds.
    """

    name: str
    result: Result
    figures: Mapping[str, Figure]
    classes: Mapping[str, Figures]
    cost: Cost
    lost: Mapping[str, float]
    problems: Counter[str]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The systems on a task by a protocol, best first.

    Attributes:
        task: which.
        protocol: by which.
        headline: the measure that they are ranked by.
        measures: all that are told, the headline first.
        documents: that all of them were asked.
        asked: how many there are that one of them was asked.
        units: how many of `unit` the intervals are drawn from.
        unit: document or group.
        annotated: entities in the gold as annotated.
        left_out: of those, what the policy does not keep, by reason.
        baseline: the name of the system that the others are compared with; None where it was not run on this.
        systems: the best first.
        notes: what a reader must know, a sentence each.
    """

    task: Task
    protocol: Protocol
    headline: str
    measures: tuple[str, ...]
    documents: tuple[Document, ...]
    asked: int
    units: int
    unit: str
    annotated: int
    left_out: Counter[str]
    baseline: str | None
    systems: tuple[Standing, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A system over several tasks: mean of its ranks, and the share of tasks on which it is above the baseline."""

    name: str
    mean_rank: float
    win_rate: float | None


@dataclass(frozen=True, slots=True)
class Overall:
    """All systems of a protocol over the tasks that all of them did, by the headline of each task."""

    protocol: str
    tasks: tuple[str, ...]
    #: Tasks that not all of them did.
    left_out: tuple[str, ...]
    baseline: str | None
    systems: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that is told of several results."""

    rankings: tuple[Ranking, ...]
    overall: tuple[Overall, ...]
    notes: tuple[str, ...]


def find(folders: Iterable[Path]) -> list[Result]:
    """The results in folders: of evaluations, or of those up to three levels below, in order.

    Raises:
        TaskError: a folder is missing or has none in it, or one cannot be read.
    """
    found: dict[Path, list[Result]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise TaskError(f"{folder} is no folder: give what `corpuskit evaluate --output` wrote")
        inside = [one.path for one in runs.find(folder) if one.manifest.get("tool") == results.TOOL]
        if not inside:
            begun = f"; {pending[0]} is not finished" if (pending := unfinished([folder])) else ""
            raise TaskError(f"no evaluation in {folder}, nor up to three levels below{begun}")
        for path in inside:
            found.setdefault(path.resolve(), results.read(path))
    return [result for some in found.values() for result in some]


def unfinished(folders: Iterable[Path]) -> list[Path]:
    """What :func:`find` passes over since it was interrupted or is still running."""
    return [one.path for folder in folders for one in runs.find(folder) if one.state != "finished"]


def compare(found: Sequence[Result], baseline: str | None = None, measures: Sequence[str] | None = None) -> Comparison:
    """Compare systems, task by task and protocol by protocol.

    Args:
        found: the results.
        baseline: the name of the system that the others are compared with; the first of each ranking unless given.
        measures: what is told beside the headline; all unless given.

    Raises:
        TaskError: there is nothing to compare, systems have no document in common or other annotations in one, or
            there is no such baseline or measure; the message names those that there are.
    """
    if not found:
        raise TaskError("there is nothing to compare: no result was given")
    named = _named(found)
    chosen = _baseline(baseline, named)
    groups: dict[tuple[Any, ...], list[tuple[str, Result]]] = defaultdict(list)
    for name, result in named:
        groups[_key(result)].append((name, result))
    scored = [_Scored.of(some) for some in groups.values()]
    known = list(dict.fromkeys(measure for one in scored for measure in one.measures))
    if strangers := [measure for measure in measures or () if measure not in known]:
        raise TaskError(f"there is no measure {strangers[0]!r}: choose of {', '.join(known)}")
    rankings = tuple(_ranking(one, chosen, measures) for one in scored)
    return Comparison(rankings, tuple(_overall(rankings, chosen)), tuple(_notes(rankings)))


# ---------------------------------------------------------------------------------------------------------------------
# What belongs together


def _named(found: Sequence[Result]) -> list[tuple[str, Result]]:
    """The results with the names of their systems; where two of one ranking are called alike, with their folders'."""
    times = Counter((_key(result), result.name) for result in found)
    alike = {name for (_, name), count in times.items() if count > 1}
    folders = {name: sorted({one.folder.resolve() for one in found if one.name == name}) for name in alike}
    return [
        (f"{one.name} ({_short(one.folder.resolve(), folders[one.name])})" if one.name in alike else one.name, one)
        for one in found
    ]


def _short(folder: Path, among: Sequence[Path]) -> str:
    """As much of the end of a path as tells it from the others."""
    for length in range(1, len(folder.parts)):
        end = folder.parts[-length:]
        if sum(other.parts[-length:] == end for other in among) == 1:
            return "/".join(end)
    return str(folder)


def _baseline(wanted: str | None, named: Sequence[tuple[str, Result]]) -> str | None:
    names = list(dict.fromkeys(name for name, _ in named))
    if wanted is None or wanted in names:
        return wanted
    meant = list(dict.fromkeys(name for name, result in named if result.name == wanted))
    if len(meant) == 1:
        return meant[0]
    wrong = f"{len(meant)} systems are called {wanted!r}" if meant else f"there is no system {wanted!r}"
    raise TaskError(f"{wrong} to compare with: the baseline is one of {', '.join(meant or names)}")


def _key(result: Result) -> tuple[Any, ...]:
    """What two results must have in common to be ranked together."""
    task, protocol = result.task, result.protocol
    told = (task.name, task.kind, task.several, tuple(sorted(task.layers.items())))
    rule = (scoring.policy_of(task, protocol), scoring.headline(task, protocol))
    return told + rule + (protocol.name, protocol.count, protocol.prefixes)


def _shared(some: Sequence[tuple[str, Result]]) -> tuple[tuple[Document, ...], int]:
    """The documents that all systems were asked, in the order of the first, and how many one of them was asked."""
    by_id = [{document.id: document for document in result.documents} for _, result in some]
    shared = tuple(one for one in some[0][1].documents if all(one.id in other for other in by_id))
    if not shared:
        told = ", ".join(f"{name} ({result.folder})" for name, result in some)
        raise TaskError(f"task {some[0][1].task.name}: there is no document that all systems were asked: {told}")
    for document in shared:
        for (name, result), other in zip(some, by_id, strict=True):
            if _content(other[document.id]) != _content(document):
                raise TaskError(
                    f"task {result.task.name}: document {document.id!r} is not the same for {some[0][0]} "
                    f"({some[0][1].folder}) and {name} ({result.folder}): evaluate both on one version of the data"
                )
    return shared, len({id for documents in by_id for id in documents})


def _content(document: Document) -> tuple[Any, ...]:
    marks = sorted((entity.spans, entity.label) for entity in document.entities)
    return document.text, marks, sorted(document.labels), document.choices, document.focus


# ---------------------------------------------------------------------------------------------------------------------
# Figures


@dataclass(frozen=True, slots=True)
class _Scored:
    """Results of one task and protocol, and the measures of each seed of each, over what is drawn."""

    systems: list[tuple[str, Result]]
    asked: int
    runs: list[list[Scored]]
    units: int
    unit: str

    @classmethod
    def of(cls, some: Sequence[tuple[str, Result]]) -> _Scored:
        documents, asked = _shared(some)
        ids = [document.id for document in documents]
        drawn = scoring.units(documents)
        task, protocol = some[0][1].task, some[0][1].protocol
        told = []
        counted = [words(document.text) for document in documents] if task.kind == "spans" else None
        for name, result in some:
            if not result.answers:
                raise TaskError(f"task {task.name}: {name} ({result.folder}) has no answers")
            seeds, tokens = [], _tokens(result, ids) or counted
            for seed, answers in result.answers.items():
                if missing := [id for id in ids if id not in answers]:
                    raise TaskError(
                        f"{result.folder}: task {task.name}: seed {seed} has no answer of {len(missing)} documents, "
                        f"such as {missing[0]!r}"
                    )
                one = scoring.scored(task, protocol, documents, {id: answers[id] for id in ids}, tokens)
                if drawn != ids:
                    one = replace(one, measures={what: each.grouped(drawn) for what, each in one.measures.items()})
                seeds.append(one)
            told.append(seeds)
        systems = [(name, replace(result, documents=documents, tokens=_tokens(result, ids))) for name, result in some]
        return cls(systems, asked, told, len(set(drawn)), "document" if drawn == ids else "group")

    @property
    def measures(self) -> list[str]:
        return list(self.runs[0][0].measures)

    def seeds(self, measure: str) -> list[list[Measure]]:
        """A measure of each seed, system by system."""
        return [[one.measures[measure] for one in some] for some in self.runs]


def _tokens(result: Result, ids: Sequence[str]) -> tuple[tuple[Span, ...], ...] | None:
    """What scorers of tokens count in some of the documents."""
    if result.tokens is None:
        return None
    by_id = {document.id: some for document, some in zip(result.documents, result.tokens, strict=True)}
    return tuple(by_id[id] for id in ids)


def _ranking(some: _Scored, baseline: str | None, wanted: Sequence[str] | None) -> Ranking:
    first = some.systems[0][1]
    task, protocol = first.task, first.protocol
    headline = scoring.headline(task, protocol)
    if headline not in some.measures:
        raise TaskError(
            f"task {task.name}: there is no measure {headline!r} to rank by: it has {', '.join(some.measures)}"
        )
    measures = tuple(dict.fromkeys([headline, *(one for one in some.measures if wanted is None or one in wanted)]))
    names = [name for name, _ in some.systems]
    chosen = names[0] if baseline is None else baseline if baseline in names else None
    place = names.index(chosen) if chosen else None
    figures = {measure: _figures(some.seeds(measure), place, protocol) for measure in measures}
    standings = [
        Standing(
            name, result, {measure: figures[measure][at] for measure in measures}, _classes(some.runs[at]),
            _cost(result), _lost(result), _problems(result),
        )
        for at, (name, result) in enumerate(some.systems)
    ]  # fmt: skip
    standings.sort(key=lambda standing: standing.figures[headline].rank)
    annotated, left_out = _kept(task, protocol, first.documents)
    return Ranking(
        task, protocol, headline, measures, first.documents, some.asked, some.units, some.unit, annotated, left_out,
        chosen, tuple(standings), tuple(_said(some, chosen, baseline)),
    )  # fmt: skip


def _figures(systems: Sequence[Sequence[Measure]], baseline: int | None, protocol: Protocol) -> list[Figure]:
    """The figures of all systems by a measure."""
    drawing: dict[str, Any] = {"resamples": protocol.resamples, "confidence": protocol.confidence}
    values = [tuple(one.value for one in seeds) for seeds in systems]
    spreads = [statistics.spread(some) for some in values]
    intervals = [statistics.bootstrap(seeds, **drawing) for seeds in systems]
    against: dict[int, Against] = {}
    if baseline is not None:
        others = [place for place in range(len(systems)) if place != baseline]
        found = [statistics.compare(systems[place], systems[baseline], **drawing) for place in others]
        corrected = zip(holm([one.p_bootstrap for one in found]), holm([one.p_randomisation for one in found]),
                        strict=True)  # fmt: skip
        against = {place: Against(one, *both) for place, one, both in zip(others, found, corrected, strict=True)}
    placed = ranks([one.mean for one in spreads])
    return [
        Figure(spreads[place], intervals[place], values[place], placed[place], against.get(place))
        for place in range(len(systems))
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values made larger, so that one below α among any number of true null hypotheses is as rare as α.

    Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for before, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (len(p_values) - before) * p_values[place]))
        corrected[place] = least
    return corrected


def ranks(values: Sequence[float]) -> list[int]:
    """1 + how many are above each; those that are not a number come last."""
    known = [-math.inf if math.isnan(value) else value for value in values]
    return [1 + sum(other > value + _ROUNDING for other in known) for value in known]


def _classes(seeds: Sequence[Scored]) -> dict[str, Figures]:
    """Precision, recall and F1 of each class, mean over seeds; a class that a seed does not have is 0 there."""
    found = [one.classes.by_class() for one in seeds if one.classes is not None]
    if not found:
        return {}
    none = Figures(0.0, 0.0, 0.0, 0)
    told = {}
    for name in sorted({name for one in found for name in one}):
        some = [one.get(name, none) for one in found]
        precision, recall, f1 = np.mean([[one.precision, one.recall, one.f1] for one in some], 0).tolist()
        told[name] = Figures(precision, recall, f1, max(one.support for one in some))
    return told


def _kept(task: Task, protocol: Protocol, documents: Sequence[Document]) -> tuple[int, Counter[str]]:
    """How many entities are annotated, and what the policy leaves out of them, by reason."""
    if task.kind != "spans":
        return 0, Counter()
    policy = scoring.policy_of(task, protocol)
    lost = sum((nesting.layers(document, policy, task.layers)[1] for document in documents), Counter[str]())
    return sum(len(document.entities) for document in documents), lost


# ---------------------------------------------------------------------------------------------------------------------
# What it takes


def _cost(result: Result) -> Cost:
    told, system = result.runs, result.system
    seconds = [one.seconds for some in result.answers.values() for one in some.values() if one.seconds is not None]
    documents = [len(some) for some in result.answers.values()]
    energy = [one.get("energy") or {} for one in told]
    return Cost(
        kind=str(system.get("kind", "")),
        parameters=system.get("parameters"),
        bytes=system.get("bytes"),
        training_seconds=_mean(one.get("training_seconds") for one in told),
        latency=float(np.mean(seconds)) if seconds else _each(told, "prediction_seconds", documents),
        latency_95=float(np.quantile(seconds, 0.95)) if seconds else None,
        one_by_one=bool(seconds),
        kwh=_mean(one.get("kwh") for one in energy),
        kwh_1000=_each(told, "prediction_kwh", documents, 1_000),
        metered=next((str(one["how"]) for one in energy if one.get("how")), ""),
    )


def _each(told: Sequence[Mapping[str, Any]], what: str, documents: Sequence[int], times: int = 1) -> float | None:
    """What runs took by the number of documents; None where none of them tells."""
    pairs = [(one[what], count) for one, count in zip(told, documents, strict=False) if one.get(what) is not None]
    asked = sum(count for _, count in pairs)
    return times * float(sum(taken for taken, _ in pairs)) / asked if asked else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _lost(result: Result) -> dict[str, float]:
    """What a system could not learn or say, by reason, with the part of the data where the system tells it by part.

    What it said that comes to no entity is dropped: scorers see neither a hit nor an error there, so readers must.
    """
    total: Counter[str] = Counter()
    for one in result.runs:
        for reason, count in (one.get("lost") or {}).items():
            if not isinstance(count, Mapping):
                total[reason] += count
            elif reason != "dev":
                total.update({f"{reason}: {why}": times for why, times in count.items() if why not in _NOT_LOST})
        total.update({f"{part}: texts cut": times for part, times in (one.get("truncated") or {}).items()})
        total.update({f"dropped: {why}": times for why, times in (one.get("dropped") or {}).items()})
        total["dropped: I- that goes on with nothing"] += one.get("strays") or 0
    return {reason: count / len(result.runs) for reason, count in total.most_common() if count}


def _problems(result: Result) -> Counter[str]:
    return Counter(one.problem for some in result.answers.values() for one in some.values() if one.problem)


# ---------------------------------------------------------------------------------------------------------------------
# What must be said


def _said(some: _Scored, chosen: str | None, wanted: str | None) -> list[str]:
    """Sentences on one ranking."""
    first = some.systems[0][1]
    documents = len(first.documents)
    notes = []
    if documents < some.asked:
        told = ", ".join(f"{name} {len(next(iter(one.answers.values()))):,}" for name, one in some.systems)
        notes.append(f"Compared on the {documents:,} of {some.asked:,} documents that all systems were asked ({told}).")
    if some.units == 1:
        notes.append(f"There is a single {some.unit} to draw from: no interval, and p-values of 1.")
    elif some.unit == "document" and (groups := len({one.group or one.id for one in first.documents})) < documents:
        notes.append(
            f"The documents belong to {_groups(groups)}, too few to be drawn: documents are drawn as if they had "
            "nothing to do with each other, so intervals are too narrow, p-values too small."
        )
    elif some.units < scoring.FEW:
        notes.append(f"{some.units} {some.unit}s are few to draw from: intervals are too narrow, p-values too small.")
    if chosen is None:
        notes.append(f"The baseline {wanted} was not run on this: there are no differences.")
    if any(one.tokens != first.tokens for _, one in some.systems):
        notes.append("Scorers of tokens count what each system reads as tokens, and these are not the same for all.")
    seeds = {name: len(result.answers) for name, result in some.systems}
    if len(set(seeds.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in seeds.items())
        notes.append(f"Not all systems have as many seeds ({told}): in differences the runs of the fewer are repeated.")
    notes += _departing(some.systems)
    notes += _tuned(some.systems)
    return notes


def _groups(count: int) -> str:
    return f"{count} groups" if count > 1 else "one group"


def _departing(systems: Sequence[tuple[str, Result]]) -> list[str]:
    """What all encoders have in common that is not what the protocol of that name says."""
    given = [result.protocol for _, result in systems if result.system.get("kind") == "encoder"]
    if not given or given[0].name not in protocols.shipped():
        return []
    said = protocols.load(given[0].name)
    other = [
        f"{field} {getattr(given[0], field)}, not {getattr(said, field)}"
        for field in Protocol.model_fields
        if (field in _RULE or field not in _ASIDE)
        and {getattr(one, field) for one in given} == {getattr(given[0], field)} != {getattr(said, field)}
    ]
    return [f"Not as the protocol {said.name} says: {'; '.join(other)}."] if other else []


def _tuned(systems: Sequence[tuple[str, Result]]) -> list[str]:
    """What differs in the fine-tuning of encoders."""
    encoders = [(name, result.protocol) for name, result in systems if result.system.get("kind") == "encoder"]
    differing = []
    for field in Protocol.model_fields:
        told = {name: getattr(protocol, field) for name, protocol in encoders}
        if field not in _ASIDE and len(set(told.values())) > 1:
            differing.append(f"{field} ({', '.join(f'{name} {value}' for name, value in told.items())})")
    return [f"The encoders were fine-tuned with other settings: {'; '.join(differing)}."] if differing else []


def _notes(rankings: Sequence[Ranking]) -> list[str]:
    """Sentences on all of it."""
    rules: dict[str, list[str]] = defaultdict(list)
    for ranking in rankings:
        rules[ranking.task.name].append(title(ranking, rankings).partition(", ")[2])
    return [
        f"{task} was scored by {len(some)} protocols ({'; '.join(some)}): figures of one are not to be compared with "
        "those of another, so they stand in tables of their own."
        for task, some in rules.items()
        if len(some) > 1
    ]


def title(ranking: Ranking, among: Sequence[Ranking] = ()) -> str:
    """What a ranking is called; with what its protocol counts by where another one is called alike."""
    told = f"{ranking.task.name}, {ranking.protocol.name}"
    alike = [one for one in among if (one.task.name, one.protocol.name) == (ranking.task.name, ranking.protocol.name)]
    if len(alike) < 2:
        return told
    rule = scoring.policy_of(ranking.task, ranking.protocol), ranking.protocol.count
    prefixes = " with prefixes" if ranking.protocol.prefixes else ""
    return f"{told} ({rule[0]}, {ranking.headline}, {rule[1]}{prefixes})"


def _overall(rankings: Sequence[Ranking], wanted: str | None) -> list[Overall]:
    """Ranks and wins over the tasks of each protocol, where there are several."""
    by_protocol: dict[str, list[Ranking]] = defaultdict(list)
    for ranking in rankings:
        by_protocol[ranking.protocol.name].append(ranking)
    found = []
    for protocol, some in by_protocol.items():
        if len(some) < 2:
            continue
        means = [{one.name: one.figures[each.headline].spread.mean for one in each.systems} for each in some]
        names = list(dict.fromkeys(name for one in means for name in one))
        whole = [place for place, one in enumerate(means) if len(one) == len(names)]
        left_out = tuple(title(some[place], some) for place in range(len(some)) if place not in whole)
        tasks = tuple(some[place].task.name for place in whole)
        baselines = {some[place].baseline for place in whole}
        chosen = baselines.pop() if len(baselines) == 1 else wanted
        places = []
        for name in names if whole else ():
            of = [one.figures[some[place].headline].rank for place in whole for one in some[place].systems
                  if one.name == name]  # fmt: skip
            rate = None
            if chosen is not None and name != chosen:
                rate = statistics.win_rate(*([means[place][who] for place in whole] for who in (name, chosen)))
            places.append(Place(name, float(np.mean(of)), rate))
        places.sort(key=lambda place: place.mean_rank)
        found.append(Overall(protocol, tasks, left_out, chosen, tuple(places)))
    return found
