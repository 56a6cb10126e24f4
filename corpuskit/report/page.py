"""The page: everything in one file, which a browser opens from the disk and which reaches for nothing.

Text of the corpus is a value, never markup: Jinja escapes it, the script sets it as text, the data lie in a script
element of JSON in which no character can end that element. The content security policy forbids every request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from corpuskit.report import charts
from corpuskit.report.browse import Browsed
from corpuskit.report.charts import Chart
from corpuskit.report.compare import Compared
from corpuskit.report.figures import CLUSTERS, Figures

if TYPE_CHECKING:
    from jinja2 import Environment

#: Characters of a setting that are shown.
SETTING = 200
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


class ReportError(Exception):
    """A report that cannot be made; the message says why and what to do."""


def render(figures: Figures, browsed: Browsed, compared: Compared | None = None) -> str:
    """The page of a corpus as HTML.

    Raises:
        ReportError: Plotly or Jinja is not installed.
    """
    drawn = charts.of_folder(figures) | (charts.of_difference(compared) if compared else {})
    data = {
        "sources": charts.sources(figures),
        "labels": [
            {
                "name": labels.name,
                "fields": [{"name": one.name, "type": one.type, "classes": one.classes} for one in labels.fields],
                "crosses": labels.crosses,
            }
            for labels in figures.labels
            if labels.annotator
        ],
        "kept": browsed.kept,
        "dropped": browsed.dropped,
    }
    return filled(
        "page.html",
        ("page.js", "browser.js"),
        drawn,
        data,
        name=figures.name,
        tool=figures.tool or "Parquet of paragraphs",
        manifest=figures.manifest,
        figures=figures,
        browsed=browsed,
        compared=compared,
        sample=json.dumps(figures.sample, indent=2, ensure_ascii=False) if figures.sample else None,
        cluster=lambda bar: charts.interval(CLUSTERS, bar),
    )


def filled(template: str, scripts: Sequence[str], drawn: Mapping[str, Chart], data: Any, **values: Any) -> str:
    """A page as HTML.

    Args:
        template: its name; it extends `base.html`.
        scripts: the names of its scripts.
        drawn: the charts, by the place that the page has for them.
        data: what its scripts need besides.
        values: for the template.

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
    return environment.get_template(template).render(
        values,
        charts=drawn,
        style=Markup(_part("page.css")),
        script=Markup("\n".join(map(_part, scripts))),
        plotly=Markup(get_plotlyjs()),
        data=Markup(embedded(data | {"charts": {name: asdict(chart) for name, chart in drawn.items()}})),
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

    def amount(value: float | None) -> str:
        return "–" if value is None else f"{value:,.4g}"

    environment.filters |= {"number": number, "share": share, "amount": amount, "json": told}
