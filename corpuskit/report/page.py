"""The page: everything in one file, which a browser opens from the disk and which reaches for nothing.

Text of the corpus is a value, never markup: Jinja escapes it, the script sets it as text, the data lie in a script
element of JSON in which no character can end that element. The content security policy forbids every request.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from corpuskit.report import charts
from corpuskit.report.browse import Browsed
from corpuskit.report.compare import Compared
from corpuskit.report.figures import CLUSTERS, Figures

if TYPE_CHECKING:
    from jinja2 import Environment

#: Characters of a setting that are shown.
SETTING = 200
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


class ReportError(Exception):
    """A report that cannot be made; the message says why and what to do."""


def render(
    figures: Figures, browsed: Browsed, compared: Compared | None = None, sample: dict[str, Any] | None = None
) -> str:
    """The page as HTML.

    Raises:
        ReportError: Plotly or Jinja is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ReportError(f"reports need {error.name}: pip install 'corpuskit-fr[report]'") from None
    environment = Environment(
        loader=PackageLoader("corpuskit", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    _filters(environment)
    drawn = charts.of_folder(figures) | (charts.of_difference(compared) if compared else {})
    data = {
        "sources": charts.sources(figures),
        "charts": {name: asdict(chart) for name, chart in drawn.items()},
        "labels": [
            {
                "name": labels.name,
                "fields": [{"name": one.name, "type": one.type, "classes": one.classes} for one in labels.fields],
                "crosses": labels.crosses,
            }
            for labels in figures.labels
        ],
        "kept": browsed.kept,
        "dropped": browsed.dropped,
    }
    return environment.get_template("page.html").render(
        figures=figures,
        charts=drawn,
        browsed=browsed,
        compared=compared,
        sample=json.dumps(sample, indent=2, ensure_ascii=False) if sample else None,
        cluster=lambda bar: charts.interval(CLUSTERS, bar),
        style=Markup(_part("page.css")),
        script=Markup(_part("page.js")),
        plotly=Markup(get_plotlyjs()),
        data=Markup(embedded(data)),
    )


def write(output: Path, page: str) -> None:
    """Write the page, whole or not at all.

    Raises:
        ReportError: it cannot be written.
    """
    partial = output.with_name(f".{output.name}.partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(page, encoding="utf-8")
        partial.replace(output)
    except OSError as error:
        raise ReportError(f"{output} cannot be written: {error.strerror}") from None


def embedded(data: Any) -> str:
    """JSON that can stand inside a script element: nothing in it ends the element or a line of the script."""
    return orjson.dumps(data).decode().translate(_ESCAPED)


def _part(name: str) -> str:
    return resources.files("corpuskit.report").joinpath(name).read_text(encoding="utf-8")


def _filters(environment: Environment) -> None:
    """How numbers are told: 1,234,567; 12.3 %; an en dash for what is not known."""

    def number(value: float | None, digits: int = 0) -> str:
        return "–" if value is None else f"{value:,.{digits}f}"

    def share(value: float | None, of: float | None = None) -> str:
        if value is None or of == 0:
            return "–"
        return f"{value if of is None else value / of:.1%}".replace("%", " %")

    def told(value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= SETTING else f"{text[:SETTING]} […]"

    environment.filters |= {"number": number, "share": share, "json": told}
