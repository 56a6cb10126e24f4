"""A comparison as tables: for the terminal, in Markdown and in LaTeX, with the same figures in the same form.

F1 and shares are times 100, as the field writes them. The best of a column is bold, and arrows mark what is surely
above or below the baseline; the caption says what the figures are of.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from corpuskit.evaluate import scoring
from corpuskit.evaluate.compare import Comparison, Figure, Overall, Ranking, title
from corpuskit.evaluate.statistics import Interval, Spread

#: What stands where nothing is known.
UNKNOWN = "–"
#: Characters of a name that stay in one line on a terminal, where figures need the rest.
_NAME = 20

#: What each measure takes for right.
MEANINGS = {
    "strict": "same boundaries and same label (seqeval, strict IOB2); micro F1",
    "strict_macro": "the same, mean of the labels' F1",
    "exact_span": "same boundaries, any label; micro F1",
    "overlap": "a character in common and same label; micro F1",
    "overlap_span": "a character in common, any label; micro F1",
    "token_with_o": "label of each token, those outside of entities counted; micro F1",
    "token_with_o_weighted": "the same, mean of the labels' F1 by their frequency: mostly that of O",
    "token_with_o_macro": "the same, mean of the labels' F1, O among them",
    "token": "label of each token in an entity; micro F1",
    "token_weighted": "the same, mean of the labels' F1 by their frequency",
    "token_macro": "the same, mean of the labels' F1",
    "strict_all": "strict, against all that is annotated, whatever the policy leaves out",
    "micro_f1": "F1 over all labels together",
    "macro_f1": "mean of the labels' F1",
    "weighted_f1": "mean of the labels' F1 by their frequency",
    "accuracy": "share of texts with the right label",
    "exact_match": "share of texts with all answers right and none wrong",
    "hamming": "share of single answers that are right",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell; ``mark`` is set behind it."""

    text: str
    best: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, before it takes a form.

    Attributes:
        name: in letters, digits and hyphens.
        title: a line.
        caption: what the figures are, a sentence each.
        heads: of the columns; the first is that of names.
        rows: a cell a column.
    """

    name: str
    title: str
    caption: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


# ---------------------------------------------------------------------------------------------------------------------
# Numbers


def hundred(value: float | None) -> str:
    """``73.03`` for 0.7303."""
    return UNKNOWN if value is None or math.isnan(value) else f"{100 * value:.2f}"


def spread(found: Spread) -> str:
    """``73.03 ± 0.42``; without a deviation where there is one seed."""
    told = hundred(found.mean)
    return told if found.deviation is None or told == UNKNOWN else f"{told} ± {hundred(found.deviation)}"


def interval(found: Interval, sign: str = "") -> str:
    """``[70.10, 75.90]``."""
    if found.low is None or found.high is None:
        return UNKNOWN
    return f"[{100 * found.low:{sign}.2f}, {100 * found.high:{sign}.2f}]"


def difference(value: float, low: float | None, high: float | None) -> str:
    """``+1.20 [-0.30, +2.70]``."""
    if math.isnan(value):
        return UNKNOWN
    told = f"{100 * value:+.2f}"
    return told if low is None else f"{told} {interval(Interval(value, low, high), '+')}"


def share(value: float | None) -> str:
    """``80 %``."""
    return UNKNOWN if value is None else f"{100 * value:.0f} %"


def amount(value: float | None) -> str:
    """Three digits that count: ``1,230``, ``12.3``, ``0.0123``."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if value == 0:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def large(value: float | None, units: Sequence[str] = ("", "k", "M", "G")) -> str:
    """``110 M``, ``438 MB``."""
    if value is None:
        return UNKNOWN
    power = min(len(units) - 1, max(0, math.floor(math.log10(value) / 3))) if value else 0
    return f"{amount(value / 1_000**power)} {units[power]}".rstrip()


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def of(comparison: Comparison) -> list[Table]:
    """All tables of a comparison, ranking by ranking, and those over several tasks at the end."""
    found = [table for one in comparison.rankings for table in of_ranking(one, comparison.rankings).values()]
    return found + [overall(one) for one in comparison.overall]


def of_ranking(ranking: Ranking, among: Sequence[Ranking] = ()) -> dict[str, Table]:
    """The tables of a ranking, by what they tell; of nothing there is none."""
    called = title(ranking, among)
    found = {
        "headline": _headline(ranking, called),
        "scorers": _scorers(ranking, called),
        "labels": _labels(ranking, called),
        "costs": _costs(ranking, called),
        "losses": _losses(ranking, called),
    }
    return {what: table for what, table in found.items() if table.rows}


def overall(over: Overall) -> Table:
    """Ranks and wins over tasks."""
    caption = [f"Over {_count(len(over.tasks), 'task')} that all systems did: {', '.join(over.tasks) or 'none'}."]
    caption.append("Ranks are by the headline of each task, 1 the best.")
    if over.baseline:
        caption.append(f"Win rate: share of the tasks with a higher mean than {over.baseline}; a tie is half a win.")
    if over.left_out:
        caption.append(f"Left out, since not all did them: {'; '.join(over.left_out)}.")
    best = min((one.mean_rank for one in over.systems), default=0.0)
    rows = tuple(
        (Cell(one.name), Cell(f"{one.mean_rank:.2f}", one.mean_rank == best and len(over.systems) > 1),
         Cell(share(one.win_rate)))
        for one in over.systems
    )  # fmt: skip
    called = f"All tasks, {over.protocol}"
    return Table(_slug(called), called, tuple(caption), ("system", "mean rank", "win rate"), rows)


def _headline(ranking: Ranking, called: str) -> Table:
    heads = ["system", ranking.headline, f"{_per_cent(ranking)} interval"]
    others = [one for one in ranking.systems if one.name != ranking.baseline]
    compared = bool(ranking.baseline and others)
    if compared:
        heads += ["difference", "p bootstrap", "p randomisation", "win rate"]
    rows = []
    for one in ranking.systems:
        figure = one.figures[ranking.headline]
        row = [Cell(one.name), _cell(figure, ranking, spread(figure.spread)), Cell(interval(figure.interval))]
        if compared and figure.against is None:
            row += [Cell("baseline"), *[Cell("")] * 3]
        elif figure.against is not None:
            told = figure.against.difference
            row += [
                Cell(difference(told.value, told.low, told.high)), Cell(_p(figure.against.p_bootstrap)),
                Cell(_p(figure.against.p_randomisation)), Cell(share(told.win_rate)),
            ]  # fmt: skip
        rows.append(tuple(row))
    return Table(_slug(f"{called} headline"), called, _caption(ranking, compared), tuple(heads), tuple(rows))


def _caption(ranking: Ranking, compared: bool) -> tuple[str, ...]:
    """What the figures of a ranking are."""
    several = any(one.figures[ranking.headline].spread.count > 1 for one in ranking.systems)
    drawn = any(one.figures[ranking.headline].interval.low is not None for one in ranking.systems)
    told = [
        f"{ranking.task.title}: {ranking.headline} × 100 on {_count(len(ranking.documents), 'document')} of test, "
        f"protocol {ranking.protocol.name}; {_seeds(ranking)}."
    ]
    if several:
        told.append("Mean ± standard deviation over seeds.")
    if drawn:
        told.append(
            f"Intervals: {_per_cent(ranking)} of {ranking.protocol.resamples:,} bootstrap samples of the "
            f"{ranking.units:,} {ranking.unit}s."
        )
    if compared:
        others = len(ranking.systems) - 1
        told.append(f"Differences are to {ranking.baseline}; win rate: share of the seeds above it.")
        after = f", after Holm over the {others} systems compared with it" if others > 1 else ""
        told.append(f"p-values of the paired bootstrap and of approximate randomisation, two-sided{after}.")
        told.append(_arrows(ranking))
    if len(ranking.systems) > 1:
        told.append("The best is bold.")
    if ranking.left_out:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in ranking.left_out.most_common())
        policy = scoring.policy_of(ranking.task, ranking.protocol)
        told.append(
            f"Of {ranking.annotated:,} annotated entities the policy {policy} leaves out {ranking.left_out.total():,} "
            f"({reasons}); strict_all counts them all."
        )
    return (*told, *ranking.notes)


def _arrows(ranking: Ranking) -> str:
    return f"↑ and ↓: above and below {ranking.baseline}, both p-values below {_alpha(ranking)}."


def _scorers(ranking: Ranking, called: str) -> Table:
    names = [one.name for one in ranking.systems]
    many = len(names) > 1
    rows = []
    for measure in ranking.measures:
        row = [Cell(measure)]
        for one in ranking.systems:
            figure = one.figures[measure]
            row.append(_cell(figure, ranking, spread(figure.spread) + (f" ({figure.rank})" if many else "")))
        rows.append(tuple(row))
    caption = [f"The same answers by every scorer, × 100, on {_count(len(ranking.documents), 'document')} of test."]
    if many:
        caption.append("In brackets the rank by each scorer; the best is bold.")
        caption += _moved(ranking)
        if ranking.baseline:
            caption.append(_arrows(ranking) + (" After Holm, scorer by scorer." if len(names) > 2 else ""))
    return Table(_slug(f"{called} scorers"), f"{called}: all scorers", tuple(caption), ("scorer", *names), tuple(rows))


def _moved(ranking: Ranking) -> list[str]:
    """The system whose rank hangs most on the rule, in a sentence; none where no rule moves any."""
    moves = []
    for one in ranking.systems:
        by = {measure: figure.rank for measure, figure in one.figures.items()}
        here = by[ranking.headline]
        far = max(by, key=lambda measure, by=by, here=here: abs(by[measure] - here))  # type: ignore[misc]
        moves.append((abs(by[far] - here), one.name, here, far, by[far]))
    most, name, here, measure, there = max(moves, key=lambda move: move[0])
    if not most:
        return ["No scorer changes the ranking."]
    return [f"The rule moves the ranking: {name} has rank {here} by {ranking.headline}, {there} by {measure}."]


def _labels(ranking: Ranking, called: str) -> Table:
    labels = sorted({label for one in ranking.systems for label in one.classes})
    rows = []
    for label in labels:
        figures = [one.classes.get(label) for one in ranking.systems]
        values = [one.f1 if one else 0.0 for one in figures]
        support = max(one.support for one in figures if one)
        best = max(values) if len(values) > 1 else math.inf
        meaning = Cell(label)
        rows.append((meaning, Cell(f"{support:,}"), *(Cell(hundred(value), value == best > 0) for value in values)))
    kind = "strict F1 of each label" if ranking.task.kind == "spans" else "F1 of each label"
    caption = (f"{kind[0].upper()}{kind[1:]} × 100, mean over seeds; support: how many there are in the gold.",)
    heads = ("label", "support", *(one.name for one in ranking.systems))
    return Table(_slug(f"{called} labels"), f"{called}: by label", caption, heads, tuple(rows))


_BYTES = ("B", "kB", "MB", "GB")


def _costs(ranking: Ranking, called: str) -> Table:
    heads = ("system", "kind", ranking.headline, "parameters", "size", "training s", "ms a document", "95 % within ms",
             "Wh a run", "Wh per 1,000 documents")  # fmt: skip
    rows = []
    for one in ranking.systems:
        cost = one.cost
        latency, tail = (None if value is None else 1_000 * value for value in (cost.latency, cost.latency_95))
        energy, each = (None if value is None else 1_000 * value for value in (cost.kwh, cost.kwh_1000))
        rows.append((
            Cell(one.name), Cell(cost.kind), Cell(hundred(one.figures[ranking.headline].spread.mean)),
            Cell(large(cost.parameters)), Cell(large(cost.bytes, _BYTES)), Cell(amount(cost.training_seconds)),
            Cell(amount(latency), mark="" if cost.one_by_one or latency is None else "≈"), Cell(amount(tail)),
            Cell(amount(energy)), Cell(amount(each)),
        ))  # fmt: skip
    caption = ["What each system takes: training of a seed, time of a document, energy of a seed's run and of answers."]
    costs = [one.cost for one in ranking.systems]
    if any(one.latency is not None and not one.one_by_one for one in costs):
        caption.append("≈: documents are not answered one by one; the time of all by their number.")
    if asked := [one for one in ranking.systems if one.cost.one_by_one]:
        at_once = [f"{one.name}: {one.result.system['concurrency']}" for one in asked
                   if one.result.system.get("concurrency")]  # fmt: skip
        busy = f" (questions under way at a time: {', '.join(at_once)})" if at_once else ""
        caption.append(f"Without ≈: from question to answer, document by document{busy}.")
    metered: dict[str, list[str]] = defaultdict(list)
    for one in ranking.systems:
        if one.cost.metered:
            metered[one.cost.metered].append(one.name)
    if metered:
        told = "; ".join(f"{how} ({', '.join(names)})" for how, names in metered.items())
        caption.append(f"How the energy is known: {told if len(metered) > 1 else next(iter(metered))}.")
    return Table(_slug(f"{called} costs"), f"{called}: costs", tuple(caption), heads, tuple(rows))


def _losses(ranking: Ranking, called: str) -> Table:
    rows = []
    for one in ranking.systems:
        if not one.lost and not one.problems:
            continue
        lost = ", ".join(f"{reason} {count:,.10g}" for reason, count in one.lost.items())
        answers = sum(map(len, one.result.answers.values()))
        why = ", ".join(f"{reason} {count:,}" for reason, count in one.problems.most_common(3))
        rows.append((
            Cell(one.name), Cell(lost or "none"),
            Cell(f"{one.problems.total():,} of {answers:,}" + (f": {why}" if why else "")),
        ))  # fmt: skip
    caption = (
        "Entities that a system could not learn or say, texts that it read in part, and what it said that comes to no "
        "entity (dropped: no scorer takes it for an error), mean over seeds; answers that are not whole, of all seeds. "
        "Scores count them as they are.",
    )
    heads = ("system", "lost", "answers not whole")
    return Table(_slug(f"{called} losses"), f"{called}: lost", caption, heads, tuple(rows))


def _cell(figure: Figure, ranking: Ranking, text: str) -> Cell:
    best = figure.rank == 1 and len(ranking.systems) > 1 and not math.isnan(figure.spread.mean)
    return Cell(text, best, figure.against.mark(ranking.protocol.confidence) if figure.against else "")


def _p(value: float) -> str:
    return f"{value:.3f}"


def _per_cent(ranking: Ranking) -> str:
    return f"{100 * ranking.protocol.confidence:.10g} %"


def _alpha(ranking: Ranking) -> str:
    return f"{1 - ranking.protocol.confidence:.10g}"


def _seeds(ranking: Ranking) -> str:
    counts = {len(one.result.answers) for one in ranking.systems}
    return _count(counts.pop(), "seed") if len(counts) == 1 else f"{min(counts)} to {max(counts)} seeds"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


# ---------------------------------------------------------------------------------------------------------------------
# Forms


def terminal(comparison: Comparison) -> RenderableType:
    """For the terminal."""
    return Group(*map(to_terminal, of(comparison)), *(Text(note, "yellow") for note in comparison.notes))


def to_terminal(table: Table) -> RenderableType:
    """One table for the terminal."""
    told = Padding(Text(" ".join(table.caption), "dim"), (0, 0, 1, 0))
    return Group(Text(table.title, "bold underline"), _Fitted(table), told)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A table in the width that there is: its words stay whole, names before figures, as long as that can be."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [[f"{cell.text}{cell.mark}" for cell in row] for row in self.table.rows]
        columns = list(zip(self.table.heads, *rows, strict=True))
        whole = [max(map(cell_len, column)) for column in columns]
        least = [max(cell_len(word) for text in column for word in text.split()) for column in columns]
        least[0] = min(whole[0], _NAME)
        spare = options.max_width - sum(least) - 2 * (len(columns) - 1)
        fits, widths = spare >= 0, list(least)
        for place in sorted(range(len(columns)), key=lambda place: (place > 0, whole[place] - least[place])):
            more = max(0, min(spare, whole[place] - least[place]))
            widths[place], spare = widths[place] + more, spare - more
        grid = Grid(box=None, pad_edge=False, header_style="dim")
        for place, head in enumerate(self.table.heads):
            grid.add_column(
                Text(head), justify="right" if place else "left", overflow="fold", no_wrap=not place and not fits,
                width=widths[place] if fits else None,
            )  # fmt: skip
        for row, texts in zip(self.table.rows, rows, strict=True):
            grid.add_row(*(Text(text, "bold" if cell.best else "") for cell, text in zip(row, texts, strict=True)))
        yield grid


def markdown(comparison: Comparison) -> str:
    """As Markdown (GitHub's)."""
    return "\n\n".join([*map(_md, comparison.notes), *map(to_markdown, of(comparison))]) + "\n"


def to_markdown(table: Table, heading: str = "##") -> str:
    """One table as Markdown, its title as a heading."""
    rule = ["---"] + ["---:"] * (len(table.heads) - 1)
    lines = [map(_md, table.heads), rule, *(map(_md_cell, row) for row in table.rows)]
    grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{heading} {_md(table.title)}\n\n{grid}\n\n{_md(' '.join(table.caption))}"


#: An underscore inside a word is no emphasis, and brackets without what follows them no link.
_MARKUP = re.compile(r"[\\`*|<>]|(?<=\])\(|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def _md(text: str) -> str:
    return _MARKUP.sub(lambda found: f"\\{found[0]}", _line(text))


def _md_cell(cell: Cell) -> str:
    return (f"**{_md(cell.text)}**" if cell.best else _md(cell.text)) + cell.mark


def latex(comparison: Comparison, before: Sequence[Table] = ()) -> str:
    """As LaTeX, a table environment each, after others if there are any; needs ``\\usepackage{booktabs}``."""
    head = "\n".join([r"% \usepackage{booktabs}", *(f"% {_line(note)}" for note in comparison.notes)])
    return "\n\n".join([head, *map(to_latex, (*before, *of(comparison)))]) + "\n"


def to_latex(table: Table) -> str:
    """One table as LaTeX."""
    lines = [
        r"\begin{table}[ht]",
        r"\centering",
        rf"\caption{{{_tex(table.title)}. {_tex(' '.join(table.caption))}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.heads) - 1)}}}",
        r"\toprule",
        " & ".join(map(_tex, table.heads)) + r" \\",
        r"\midrule",
        *map(_tex_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "×": r"$\times$",
    "–": "--", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "≈": r"$\approx$",
}  # fmt: skip


def _tex(text: str) -> str:
    told = "".join(_TEX.get(character, character) for character in _line(text))
    return re.sub(r"(?<!\S)(\[?)([-+])(?=\d)", r"\1$\2$", told)


def _tex_cell(cell: Cell) -> str:
    return (rf"\textbf{{{_tex(cell.text)}}}" if cell.best else _tex(cell.text)) + _tex(cell.mark)


def _tex_row(row: Sequence[Cell]) -> str:
    told = " & ".join(map(_tex_cell, row))
    # A row must not begin with what the \\ before it takes for its option.
    return ("{}" if told.startswith("[") else "") + told + r" \\"


def _line(text: str) -> str:
    return " ".join(text.split())
