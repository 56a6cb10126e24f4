"""How far annotators agree: people, models and students, two by two and all together.

Every figure is a function of sums over paragraphs (a confusion matrix, a matrix of coincidences, moments), and these
are sums over articles. A resample of the bootstrap is then a weighted sum, and all resamples are computed at once:
the measures take any number of matrices, along the leading axes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations, permutations
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.enrich.annotations import Annotations, read
from corpuskit.enrich.measures import (
    NO_VARIANCE,
    Floats,
    accuracy,
    alpha,
    correlation,
    distance,
    kappa,
    macro_f1,
    mean_error,
    ordinal,
    pearson,
    precision_recall_f1,
    ratio,
    spearman,
)
from corpuskit.enrich.prompts import AnyField, FlagField, LabelField, ScoreField, SpansField

Integers = npt.NDArray[np.int64]

#: The column that a sheet's sampling weights have in a table of annotations.
WEIGHT = "sampling_weight"
CONFIDENCE = 0.95


class AgreementError(Exception):
    """Annotations that cannot be compared; the message says what each of them has."""


# ---------------------------------------------------------------------------------------------------------------------
# Intervals


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure and its interval; null where it is not defined, with the reason."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Whole articles drawn with replacement: the paragraphs of one article are not independent.

    Field and Welsh (2007), "Bootstrapping clustered data"; the interval is that of the percentiles, Efron and
    Tibshirani (1993), "An introduction to the bootstrap", chapter 13.

    Attributes:
        articles: the article of each paragraph, (n,), from 0.
        weights: how much each paragraph counts, (n,).
    """

    articles: Integers
    weights: Floats
    resamples: int
    seed: int

    @property
    def count(self) -> int:
        """The number of articles."""
        return int(self.articles.max()) + 1 if len(self.articles) else 0

    def sums(self, units: Integers, cells: Integers, size: int, values: Floats | None = None) -> Floats:
        """What falls into each cell: in the data (first row) and in each resample, (1 + resamples, size).

        Args:
            units: the paragraph of each value, (m,).
            cells: the cell that it falls into, (m,), from 0.
            size: number of cells.
            values: what falls, (m,); 1 unless given.
        """
        if not (articles := self.count):
            return np.zeros((1 + self.resamples, size))
        values = self.weights[units] if values is None else self.weights[units] * values
        keys, place = np.unique(self.articles[units] * size + cells, return_inverse=True)
        totals = np.bincount(place, values, minlength=len(keys))
        owners, into = np.divmod(keys, size)
        found = np.empty((1 + self.resamples, size))
        found[0] = np.bincount(into, totals, minlength=size)
        generator = np.random.default_rng(self.seed)  # the same articles for every measure
        for resample in range(1, 1 + self.resamples):
            drawn = np.bincount(generator.integers(articles, size=articles), minlength=articles)
            found[resample] = np.bincount(into, totals * drawn[owners], minlength=size)
        return found

    def figure(self, values: Floats, reason: str) -> Figure:
        """The measure of the data and its interval.

        Args:
            values: the measure in the data and in each resample, (1 + resamples,).
            reason: why it may not be defined.
        """
        if not len(self.articles):
            return Figure(None, reason="no paragraph that both have")
        if np.isnan(values[0]):
            return Figure(None, reason=reason)
        defined = values[1:][~np.isnan(values[1:])]
        if self.count < 2 or not len(defined):
            why = "of one article only" if self.count < 2 else "not defined in any resample"
            return Figure(float(values[0]), reason=f"no interval: {why}")
        low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        without = self.resamples - len(defined)
        told = f"interval without {without} of {self.resamples} resamples: {reason}" if without else ""
        return Figure(float(values[0]), float(low), float(high), told)


# ---------------------------------------------------------------------------------------------------------------------
# What is compared


@dataclass(frozen=True, slots=True)
class Rater:
    """An annotator, under the letter that stands for it."""

    letter: str
    folder: str
    kind: str
    name: str
    revision: str
    prompt: str
    #: Paragraphs with an answer, and all that were asked about.
    answered: int
    asked: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two raters about one field; the first is the reference."""

    raters: tuple[str, str]
    paragraphs: int
    articles: int
    figures: dict[str, Figure]
    #: Precision, recall and F1 of each label, and the paragraphs where the reference has it.
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Paragraphs by the reference's class (rows) and the other's, in the order of the classes.
    confusion: list[list[int]] = field(default_factory=list)
    #: Whose score is the mean of a distribution in `pearson_expected` and `mae_expected`.
    expected_of: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """All that is told of one field."""

    type: str
    classes: list[str]
    raters: list[str]
    #: Those that two raters at least answered about.
    paragraphs: int
    articles: int
    #: Krippendorff's α over all raters.
    alpha: dict[str, Figure]
    pairs: list[Pair]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What :func:`agree` found."""

    raters: list[Rater]
    fields: dict[str, FieldAgreement]
    #: Fields that were not compared or not asked in the same words.
    remarks: list[str]
    resamples: int
    seed: int
    weighted: bool
    confidence: float = CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return asdict(self)


def agree(folders: Sequence[Path], resamples: int = 1_000, seed: int = 0, weighted: bool = False) -> Agreement:
    """Compare annotations of the same paragraphs.

    Paragraphs are joined by their id, over those with an answer. α is taken over all raters and bears missing
    values; everything else is told of each two raters, over the paragraphs that both answered about.

    Args:
        folders: two or more folders of annotations; the first is the reference of the second, and so on.
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap.
        weighted: count each paragraph by its sampling weight, so that the figures hold for what a sheet was drawn
            from; those without a weight are left out.

    Raises:
        AgreementError: they have no field or no paragraph in common.
        AnnotationsError: a folder holds no annotations.
    """
    if not 2 <= len(folders) <= len(ascii_uppercase):
        raise AgreementError(f"{len(folders)} annotations: give from two to {len(ascii_uppercase)} to compare")
    found = dict(zip(ascii_uppercase, map(read, folders), strict=False))
    common, remarks = _common(found)
    tables = {letter: _table(one, common) for letter, one in found.items()}
    units = _units(found, tables)
    aligned = {letter: table.take(pc.index_in(units, _column(table, "id"))) for letter, table in tables.items()}
    articles = pc.coalesce(*(_column(table, "article_id") for table in aligned.values()), units)
    weights = _weights(aligned, len(units)) if weighted else np.ones(len(units))
    everything = _Compared(articles.dictionary_encode().indices.to_numpy().astype(np.int64), weights, resamples, seed)
    fields = {}
    for name, raters in common.items():
        asked = found[raters[0]].prompt.fields[name]
        sides = {letter: _Side(found[letter], aligned[letter], name, asked) for letter in raters}
        fields[name] = (_spans if isinstance(asked, SpansField) else _classes)(everything, asked, sides)
    each = [_rater(letter, one, len(tables[letter])) for letter, one in found.items()]
    return Agreement(each, fields, remarks, resamples, seed, weighted)


def _rater(letter: str, one: Annotations, answered: int) -> Rater:
    told = f"{one.prompt.name} {one.prompt.version} ({one.prompt.fingerprint[:12]})"
    return Rater(letter, str(one.path), *one.annotator, told, answered, one.dataset.count_rows())


def _common(found: Mapping[str, Annotations]) -> tuple[dict[str, list[str]], list[str]]:
    """The raters that can be compared on each field, and what is to be said of the others."""
    remarks: list[str] = []
    common: dict[str, list[str]] = {}
    names = dict.fromkeys(name for one in found.values() for name in one.prompt.fields)
    for name in names:
        fields = {letter: one.prompt.fields[name] for letter, one in found.items() if name in one.prompt.fields}
        kinds = {letter: _kind(asked) for letter, asked in fields.items()}
        kind = Counter(kinds.values()).most_common(1)[0][0]
        same = [letter for letter in fields if kinds[letter] == kind]
        remarks += [f"{name}: {letter} does not have it" for letter in found if letter not in fields]
        remarks += [
            f"{name}: {letter} has another: {_told(fields[letter])} instead of {_told(fields[same[0]])}"
            for letter in fields
            if letter not in same
        ]
        if len({tuple(fields[letter].describe()) for letter in same}) > 1:
            remarks.append(f"{name}: not all of {', '.join(same)} were asked in the same words")
        if len(same) > 1:
            common[name] = same
    if not common:
        each = [f"  {letter} {one.path}: " + _fields(one) for letter, one in found.items()]
        raise AgreementError("\n".join(["no field that two of the annotations have in common:", *each]))
    return common, remarks


def _kind(asked: AnyField) -> tuple[str, frozenset[str]]:
    return asked.type, frozenset(asked.classes)


def _told(asked: AnyField) -> str:
    if isinstance(asked, ScoreField):
        return f"score {asked.least}–{asked.most}"
    return f"label {', '.join(asked.classes)}" if isinstance(asked, LabelField) else asked.type


def _fields(one: Annotations) -> str:
    return "; ".join(f"{name} ({_told(asked)})" for name, asked in one.prompt.fields.items())


def _table(one: Annotations, fields: Mapping[str, Sequence[str]]) -> pa.Table:
    """The answers, each paragraph once."""
    wanted = ["id", "article_id", *(own for name in fields for own in (name, f"{name}_expected", f"{name}_density"))]
    table = one.table([name for name in [*wanted, WEIGHT] if name in one.dataset.schema.names])
    if pc.count_distinct(table["id"]).as_py() != len(table):
        twice = next(name for name, times in Counter(table["id"].to_pylist()).items() if times > 1)
        raise AgreementError(f"{one.path}: paragraph {twice} has two answers; keep one of them")
    return table


def _units(found: Mapping[str, Annotations], tables: Mapping[str, pa.Table]) -> pa.Array:
    """The ids that two raters at least answered about, in their order."""
    ids = pa.concat_arrays([_column(table, "id") for table in tables.values()])
    counted = pc.value_counts(ids)
    shared = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    if not len(shared):
        each = [
            f"  {letter} {one.path}: {len(tables[letter])} paragraphs with an answer"
            + (f", such as {tables[letter]['id'][0]}" if len(tables[letter]) else "")
            for letter, one in found.items()
        ]
        raise AgreementError("\n".join(["no paragraph that two of the annotations have in common:", *each]))
    return shared.sort()


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks()
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column


def _weights(aligned: Mapping[str, pa.Table], units: int) -> Floats:
    """The sampling weight of each paragraph, NaN where there is none."""
    known = [_column(table, WEIGHT) for table in aligned.values() if WEIGHT in table.column_names]
    found = pc.coalesce(*known) if known else pa.nulls(units, pa.float64())
    if found.null_count == units:
        raise AgreementError("no sampling weights: none of the annotations was read from a sheet")
    return np.asarray(found.to_numpy(zero_copy_only=False), np.float64)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The paragraphs: their articles and weights, (n,)."""

    articles: Integers
    weights: Floats
    resamples: int
    seed: int

    def among(self, kept: npt.NDArray[np.bool_]) -> tuple[Bootstrap, Integers]:
        """The bootstrap over some paragraphs, and which they are."""
        units = np.flatnonzero(kept & ~np.isnan(self.weights))
        articles = np.unique(self.articles[units], return_inverse=True)[1].astype(np.int64)
        weights = self.weights[units]
        # Their mean is 1, so that sums keep the size of the sample, which α takes into account.
        return Bootstrap(
            articles, weights / weights.mean() if len(units) else weights, self.resamples, self.seed
        ), units


class _Side:
    """What one rater answered to one field, in the order of the paragraphs."""

    def __init__(self, one: Annotations, aligned: pa.Table, name: str, asked: AnyField) -> None:
        self.column = _column(aligned, name)
        self.answered = np.asarray(pc.is_valid(self.column))
        self.expected = self._floats(aligned, f"{name}_expected")
        self.density = self._floats(aligned, f"{name}_density")
        if isinstance(asked, SpansField):
            return
        values = self.column
        if isinstance(asked, FlagField):
            values = pc.if_else(values, "true", "false")
        codes = pc.index_in(values.cast(pa.string()), pa.array(asked.classes, pa.string()))
        if codes.null_count > self.column.null_count:
            odd = next(value for value, code in zip(values, codes, strict=True) if value.is_valid and not code.is_valid)
            raise AgreementError(f"{one.path}: {name}: {odd} is none of {', '.join(asked.classes)}")
        #: The place of each class in the field's classes, (n,); -1 where there is no answer.
        self.codes: Integers = pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype(np.int64)

    @staticmethod
    def _floats(aligned: pa.Table, name: str) -> Floats:
        if name not in aligned.column_names:
            return np.full(len(aligned), np.nan)
        return np.asarray(_column(aligned, name).to_numpy(zero_copy_only=False), np.float64)


_ONE_CLASS = "only one class was used"
_NO_SPREAD = "a side does not vary"


def _classes(everything: _Compared, asked: AnyField, sides: Mapping[str, _Side]) -> FieldAgreement:
    """Labels, flags and scores."""
    size = len(asked.classes)
    codes = np.stack([side.codes for side in sides.values()])
    bootstrap, units = everything.among((codes >= 0).sum(0) > 1)
    matrices = _coincidences(bootstrap, codes[:, units], size)
    alphas = {name: bootstrap.figure(values, _ONE_CLASS) for name, values in _alphas(asked, matrices).items()}
    pairs = [_pair(everything, asked, pair, sides) for pair in combinations(sides, 2)]
    return FieldAgreement(asked.type, asked.classes, list(sides), len(units), bootstrap.count, alphas, pairs)


def _coincidences(bootstrap: Bootstrap, codes: Integers, size: int) -> Floats:
    """The matrices of coincidences of raters' codes (raters, n), -1 for none, (1 + resamples, size, size)."""
    answers = (codes >= 0).sum(0)
    units, cells, values = [], [], []
    for one, other in permutations(codes, 2):
        both = np.flatnonzero((one >= 0) & (other >= 0))
        units.append(both)
        cells.append(one[both] * size + other[both])
        values.append(1 / (answers[both] - 1))
    sums = bootstrap.sums(np.concatenate(units), np.concatenate(cells), size * size, np.concatenate(values))
    return sums.reshape(-1, size, size)


def _alphas(asked: AnyField, coincidences: Floats) -> dict[str, Floats]:
    points = np.arange(len(asked.classes), dtype=np.float64)
    if not isinstance(asked, ScoreField):
        return {"nominal": alpha(coincidences, distance(points, 0))}
    return {
        "interval": alpha(coincidences, distance(points, 2)),
        "ordinal": alpha(coincidences, ordinal(coincidences)),
    }


def _pair(everything: _Compared, asked: AnyField, pair: tuple[str, str], sides: Mapping[str, _Side]) -> Pair:
    left, right = (sides[letter] for letter in pair)
    size = len(asked.classes)
    bootstrap, units = everything.among(left.answered & right.answered)
    cells = left.codes[units] * size + right.codes[units]
    matrices = bootstrap.sums(np.arange(len(units)), cells, size * size).reshape(-1, size, size)
    counts = np.bincount(cells, minlength=size * size).reshape(size, size)
    points = np.arange(size, dtype=np.float64)
    alphas = _alphas(asked, matrices + matrices.swapaxes(-2, -1))
    measures = {"accuracy": (accuracy(matrices), "")}
    if isinstance(asked, ScoreField):
        measures |= {
            "kappa_quadratic": (kappa(matrices, distance(points, 2)), _ONE_CLASS),
            "kappa_linear": (kappa(matrices, distance(points, 1)), _ONE_CLASS),
            "pearson": (pearson(matrices, points, points), _NO_SPREAD),
            "spearman": (spearman(matrices), _NO_SPREAD),
            "mae": (mean_error(matrices, points), ""),
        }
    else:
        measures |= {
            "kappa": (kappa(matrices, distance(points, 0)), _ONE_CLASS),
            "macro_f1": (macro_f1(matrices), "no class was used"),
        }
    measures |= {f"alpha_{name}": (values, _ONE_CLASS) for name, values in alphas.items()}
    figures = {name: bootstrap.figure(*told) for name, told in measures.items()}
    found = Pair(pair, len(units), bootstrap.count, figures, confusion=counts.tolist())
    if not isinstance(asked, ScoreField):
        found.labels.update(_labels(bootstrap, asked.classes, matrices, counts, pair))
    elif soft := [letter for letter in pair if not np.isnan(sides[letter].expected[units]).all()]:
        found.expected_of.extend(soft)
        scores: list[Floats] = [
            sides[letter].expected if letter in soft else sides[letter].codes.astype(np.float64) + asked.least
            for letter in pair
        ]
        known = left.answered & right.answered & ~np.isnan(scores[0] + scores[1])
        figures |= _numbers(everything, scores, known, "{}_expected")
    return found


def _labels(
    bootstrap: Bootstrap, classes: Sequence[str], matrices: Floats, counts: Integers, pair: tuple[str, str]
) -> dict[str, dict[str, Any]]:
    """Support, precision, recall and F1 of each label."""
    whys = (f"{pair[1]} never has it", f"{pair[0]} never has it", "neither has it")
    measures = list(zip(("precision", "recall", "f1"), precision_recall_f1(matrices), whys, strict=True))
    return {
        label: {"support": int(counts[place].sum())}
        | {name: bootstrap.figure(values[:, place], why) for name, values, why in measures}
        for place, label in enumerate(classes)
    }


def _numbers(
    everything: _Compared, sides: Sequence[Floats], kept: npt.NDArray[np.bool_], called: str
) -> dict[str, Figure]:
    """Pearson's r and the mean absolute error of two raters' numbers, (n,) each."""
    bootstrap, units = everything.among(kept)
    left, right = (side[units] - (side[units].mean() if len(units) else 0) for side in sides)
    errors = np.abs(sides[0][units] - sides[1][units])
    sums = _moments(bootstrap, [np.ones(len(units)), left, right, left * left, right * right, left * right, errors])
    counts, of_left, of_right, left_squares, right_squares, products, error = sums
    related = correlation(
        products - ratio(of_left * of_right, counts),
        left_squares - ratio(of_left**2, counts),
        right_squares - ratio(of_right**2, counts),
        counts,
    )
    return {
        called.format("pearson"): bootstrap.figure(related, _NO_SPREAD),
        called.format("mae"): bootstrap.figure(ratio(error, counts), ""),
    }


def _moments(bootstrap: Bootstrap, values: Sequence[Floats]) -> Floats:
    """The sums of some values (n,) each, (values, 1 + resamples)."""
    units = np.tile(np.arange(len(values[0])), len(values))
    cells = np.repeat(np.arange(len(values)), len(values[0]))
    return bootstrap.sums(units, cells, len(values), np.concatenate(values)).T


def _spans(everything: _Compared, asked: AnyField, sides: Mapping[str, _Side]) -> FieldAgreement:
    """Passages: whether they are the same, case aside, and how much of the text they cover."""
    answered = np.stack([side.answered for side in sides.values()])
    bootstrap, units = everything.among(answered.sum(0) > 1)
    densities = np.stack([side.density for side in sides.values()])
    alphas = {"density": _density_alpha(everything, densities)}
    pairs = []
    passages: dict[str, list[frozenset[str] | None]] = {
        letter: [None if some is None else frozenset(map(str.casefold, some)) for some in side.column.to_pylist()]
        for letter, side in sides.items()
    }
    for pair in combinations(sides, 2):
        left, right = (sides[letter] for letter in pair)
        within, both = everything.among(left.answered & right.answered)
        sets = [[passages[letter][unit] or frozenset() for unit in both] for letter in pair]
        shared = np.array([len(one & other) for one, other in zip(*sets, strict=True)], np.float64)
        sizes = [np.array([len(some) for some in side], np.float64) for side in sets]
        hits, of_left, of_right = _moments(within, [shared, *sizes])
        figures = {
            "precision": within.figure(ratio(hits, of_right), f"{pair[1]} marks nothing"),
            "recall": within.figure(ratio(hits, of_left), f"{pair[0]} marks nothing"),
            "f1": within.figure(ratio(2 * hits, of_left + of_right), "neither marks anything"),
        }
        known = ~np.isnan(left.density + right.density)
        told = _numbers(everything, [left.density, right.density], known, "density_{}")
        told["density_alpha"] = _density_alpha(everything, np.stack([left.density, right.density]))
        pairs.append(Pair(pair, len(both), within.count, figures | told))
    return FieldAgreement(asked.type, [], list(sides), len(units), bootstrap.count, alphas, pairs)


def _density_alpha(everything: _Compared, densities: Floats) -> Figure:
    """Krippendorff's α for intervals of raters' numbers (raters, n), NaN for none."""
    known = ~np.isnan(densities)
    bootstrap, units = everything.among(known.sum(0) > 1)
    numbers, known = densities[:, units], known[:, units]
    numbers = np.where(known, numbers - (numbers[known].mean() if known.any() else 0), 0)
    answers, total, squares = known.sum(0).astype(np.float64), numbers.sum(0), (numbers**2).sum(0)
    # The squared differences of all ordered pairs of a paragraph are 2 (m Σx² − (Σx)²).
    within = 2 * (answers * squares - total**2) / np.maximum(answers - 1, 1)
    counts, sums, all_squares, observed = _moments(bootstrap, [answers, total, squares, within])
    chance = 2 * (counts * all_squares - sums**2)
    chance[chance <= NO_VARIANCE * counts**2] = 0
    return bootstrap.figure(1 - ratio(observed * (counts - 1), chance), _NO_SPREAD)
