"""The curves of a run, from its log: how the loss fell, at which learning rate, and how fast it went.

Losses of two objectives are two things: a run that changes from one to the other has a stretch of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

#: The validation loss of all sources together.
ALL = "all"
#: Colours that colour-blind people tell apart (Okabe & Ito 2008), and marks for those who see none.
LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
_INK, _QUIET, _PALE, _LINE = "#1d2125", "#5b636b", "#c3c9cf", "#e3e6e8"
#: Sources that are drawn one by one; more could not be told apart.
SOURCES = len(LOOKS)
#: Characters of a label, and the least distance of two, as a share of the height.
_LABEL, _APART = 22, 0.055


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; what a kill has left of a line is passed over.

    Raises:
        OSError: it cannot be read.
    """
    found = []
    for line in path.read_bytes().split(b"\n"):
        # A try that goes on may have written behind the rest of such a line.
        for part in (line, line[line.rfind(b'{"kind"') :]):
            try:
                told = orjson.loads(part)
            except orjson.JSONDecodeError:
                continue
            if isinstance(told, dict) and "kind" in told:
                found.append(told)
                break
    return found


@dataclass(frozen=True, slots=True)
class Stretch:
    """A curve for as long as one objective lasts, where it is known."""

    objective: str
    steps: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class Curves:
    """What is drawn of a run, by step."""

    loss: list[Stretch]
    #: By source, in the order of the log; :data:`ALL` is all of them together.
    validation: dict[str, list[Stretch]]
    learning_rate: list[Stretch]
    tokens_per_second: list[Stretch]
    #: The steps at which the run was taken up again.
    resumed: list[int]

    @classmethod
    def of(cls, log: Iterable[Mapping[str, Any]]) -> Curves:
        """From the lines of a log. What a try did beyond the checkpoint that the next one began at counts once."""
        # At a step where the objective changes both are looked at.
        lines: dict[str, dict[tuple[int, Any], Mapping[str, Any]]] = {"train": {}, "validation": {}}
        resumed = []
        for line in log:
            step = int(line.get("step") or 0)
            if line["kind"] == "resumed":
                resumed.append(step)
                lines = {kind: {at: one for at, one in some.items() if at[0] <= step} for kind, some in lines.items()}
            elif line["kind"] in lines:
                lines[line["kind"]][step, line.get("objective")] = line
        train, validation = lines["train"].values(), lines["validation"].values()
        sources = dict.fromkeys(name for line in validation for name in line.get("loss") or ())

        def of_source(name: str) -> list[Stretch]:
            return _stretches((line, (line.get("loss") or {}).get(name)) for line in validation)

        return cls(
            _stretches((line, line.get("loss")) for line in train),
            {name: found for name in sources if (found := of_source(name))},
            _stretches((line, line.get("learning_rate")) for line in train),
            _stretches((line, line.get("tokens_per_second")) for line in train),
            resumed,
        )

    @property
    def objectives(self) -> list[str]:
        """In their order."""
        known = [*self.loss, *(stretch for stretches in self.validation.values() for stretch in stretches)]
        begun = sorted(known, key=lambda stretch: stretch.steps[0])
        return list(dict.fromkeys(stretch.objective for stretch in begun))

    def changes(self) -> list[tuple[float, str]]:
        """Where an objective begins, and which: from the first step that was written of it."""
        return [(float(stretch.steps[0]), stretch.objective) for stretch in self.loss]

    def drawn(self) -> tuple[dict[str, list[Stretch]], int]:
        """The sources that have a curve of their own, and how many have none; a source alone is all of it."""
        names = [name for name in self.validation if name != ALL]
        shown = [*([ALL] if len(names) != 1 and ALL in self.validation else []), *names[:SOURCES]]
        return {name: self.validation[name] for name in shown}, max(0, len(names) - SOURCES)


def _stretches(values: Iterable[tuple[Mapping[str, Any], Any]]) -> list[Stretch]:
    found = []
    for objective, some in groupby(values, key=lambda one: str(one[0].get("objective") or "")):
        points = [(float(line["step"]), float(value)) for line, value in some if isinstance(value, int | float)]
        if points:
            steps, numbers = np.array(points).T
            found.append(Stretch(objective, steps, numbers))
    return found


def smoothed(values: Floats, window: int) -> Floats:
    """The mean of each value and as many on either side, up to ``window`` in all; fewer towards the ends."""
    if not len(values):
        return values
    half = np.minimum(max(0, window - 1) // 2, np.minimum(np.arange(len(values)), np.arange(len(values))[::-1]))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    means: Floats = (sums[at + half + 1] - sums[at - half]) / (2 * half + 1)
    return means


def first_and_last(curves: Curves) -> list[dict[str, Any]]:
    """The validation losses that a run began and ended with, by objective and source, with their steps."""
    return [
        {
            "objective": stretch.objective,
            "source": name,
            "first": float(stretch.values[0]),
            "first_step": int(stretch.steps[0]),
            "last": float(stretch.values[-1]),
            "last_step": int(stretch.steps[-1]),
        }
        for objective in curves.objectives
        for name, stretches in curves.validation.items()
        for stretch in stretches
        if stretch.objective == objective
    ]


def in_manifest(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What :func:`first_and_last` tells, from a manifest, where there is no log: without steps.

    Where the objectives of the two looks differ each has rows of its own, with None for the other look.
    """
    loss = training.get("loss") or {}
    first, last = (loss.get(name) or {} for name in ("first", "last"))
    objective = loss.get("objective") or {}
    begun, ended = objective.get("first"), objective.get("last")
    pairs = [(begun, first, {}), (ended, {}, last)] if begun != ended else [(begun, first, last)]
    return [
        {"objective": one, "source": name, "first": some.get(name), "first_step": None, "last": others.get(name),
         "last_step": None}
        for one, some, others in pairs for name in dict.fromkeys([*some, *others])
    ]  # fmt: skip


def draw(log: Iterable[Mapping[str, Any]], path: Path) -> bool:
    """Draw the curves as a PNG; False where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        return False
    drawn = figure(Curves.of(log))
    FigureCanvasAgg(drawn)
    partial = path.with_suffix(".partial")
    drawn.savefig(partial, format="png", metadata={"Software": None})
    partial.replace(path)
    return True


def figure(curves: Curves) -> Figure:
    """The losses large, learning rate and speed small beside them; meant for a page 800 points wide."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 9.5, "axes.titlesize": 10, "font.family": "sans-serif"}):
        drawn = Figure(figsize=(8, 4.6), dpi=200, layout="constrained")
        grid = drawn.add_gridspec(2, 2, width_ratios=[2.5, 1])
        large = drawn.add_subplot(grid[:, 0])
        rate, speed = (drawn.add_subplot(grid[row, 1], sharex=large) for row in range(2))
        _losses(large, curves)
        for axes, title, stretches in (
            (rate, "learning rate", curves.learning_rate),
            (speed, "tokens a second", curves.tokens_per_second),
        ):
            _plain(axes, title)
            for stretch in stretches:
                _line(axes, stretch, _INK, width=1.3)
            axes.set_ylim(bottom=0)
        rate.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        speed.yaxis.set_major_formatter(lambda value, _: f"{value / 1e3:,.4g}k" if value >= 1e4 else f"{value:,.4g}")
        for axes in (large, rate, speed):
            for step in curves.resumed:
                axes.axvline(step, color=_QUIET, linewidth=0.8, linestyle=(0, (1, 2)), gid="resumed")
        for axes in (large, speed):
            axes.set_xlabel("step", color=_QUIET)
    return drawn


def _losses(axes: Axes, curves: Curves) -> None:
    _plain(axes, "loss")
    labels: list[tuple[float, str, str, str]] = []
    calm = []
    for stretch in curves.loss:
        _line(axes, stretch, _PALE, width=0.8)
        smooth = smoothed(stretch.values, max(1, len(stretch.values) // 20))
        calm.append(smooth)
        _line(axes, Stretch(stretch.objective, stretch.steps, smooth), _QUIET, width=1.6)
    if curves.loss:
        labels.append((float(calm[-1][-1]), "training", _QUIET, "_"))
    shown, left = curves.drawn()
    looks = cycle(LOOKS)
    for name, stretches in shown.items():
        colour, mark = (_INK, "o") if name == ALL else next(looks)
        for stretch in stretches:
            calm.append(stretch.values)
            _line(axes, stretch, colour, width=2.2 if name == ALL else 1.5, mark=mark)
        labels.append((float(stretches[-1].values[-1]), "validation" if name == ALL else name, colour, mark))
    finite = np.concatenate(calm) if calm else np.zeros(0)
    finite = finite[np.isfinite(finite)]
    if len(finite):  # single steps may leap out of the picture
        room = 0.06 * max(float(np.ptp(finite)), 1e-3 * max(1.0, abs(float(finite.max()))))
        axes.set_ylim(float(finite.min()) - room, float(finite.max()) + 2 * room)
    else:
        axes.text(0.5, 0.5, "no step in the log yet", transform=axes.transAxes, ha="center", color=_QUIET)
        axes.set_yticks([])
    _label(axes, labels)
    _notes(axes, curves, left)


def _notes(axes: Axes, curves: Curves, left: int) -> None:
    changes = curves.changes()
    if len(changes) > 1:
        for place, (step, objective) in enumerate(changes):
            if place:
                axes.axvline(step, color=_QUIET, linewidth=1, gid="objective")
            axes.annotate(
                objective, (step, 1), xycoords=("data", "axes fraction"), xytext=(4, -4), textcoords="offset points",
                va="top", color=_QUIET, parse_math=False,
            )  # fmt: skip
    told = [f"dotted: resumed {len(curves.resumed)} time(s)"] if curves.resumed else []
    told += [f"{left} more source(s) not drawn"] if left else []
    if told:
        axes.set_title("; ".join(told), loc="right", color=_QUIET, fontsize=8.5)


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_PALE)
    axes.tick_params(colors=_QUIET, length=3)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.margins(x=0.02)


def _line(axes: Axes, stretch: Stretch, colour: str, width: float, mark: str = "") -> None:
    mark = mark or ("o" if len(stretch.steps) == 1 else "")
    every = max(1, len(stretch.steps) // 12)
    axes.plot(
        stretch.steps, stretch.values, color=colour, linewidth=width, marker=mark, markevery=every, markersize=3.5
    )


def _label(axes: Axes, labels: Sequence[tuple[float, str, str, str]]) -> None:
    """Write the names of curves where they end, moved apart where they would meet: a value, name, colour, mark each."""
    low, high = axes.get_ylim()
    places = [min(1.0, max(0.0, (value - low) / (high - low))) if np.isfinite(value) else 0.0 for value, *_ in labels]
    order = sorted(range(len(labels)), key=places.__getitem__)
    for place, number in zip(_apart([places[number] for number in order], _APART), order, strict=True):
        _, name, colour, mark = labels[number]
        shown = name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"
        axes.plot(
            [1.02], [place], transform=axes.transAxes, color=colour, marker=mark, markersize=6, clip_on=False,
            scalex=False, scaley=False, gid="mark",
        )  # fmt: skip
        axes.annotate(
            shown, (1.02, place), xycoords="axes fraction", xytext=(7, 0), textcoords="offset points", va="center",
            color=_INK, parse_math=False, annotation_clip=False,
        )  # fmt: skip


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Places in rising order, moved as little as sets each ``least`` above the one below it, and all from 0.02 to 1.

    Without those distances it is isotonic regression, by pooling adjacent violators (Ayer et al. 1955).
    """
    pools: list[tuple[float, int]] = []
    for number, place in enumerate(places):
        mean, count = place - number * least, 1
        while pools and pools[-1][0] > mean:
            other, many = pools.pop()
            mean, count = (mean * count + other * many) / (count + many), count + many
        pools.append((mean, count))
    top = max(0.02, 1 - least * (len(places) - 1))
    flat = [min(max(mean, 0.02), top) for mean, count in pools for _ in range(count)]
    return [mean + number * least for number, mean in enumerate(flat)]
