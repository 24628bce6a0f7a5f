"""Key figures and breakdowns as HTML, for templates: the report as HTML and the console."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from whohas.engine.summary import BreakdownValue, FigureValue
from whohas.formats.breakdowns import further_note, series_label
from whohas.formats.charts import chart_svg
from whohas.formats.markup import html_text


def figure_content(figure: FigureValue) -> dict[str, str]:
    """Return the texts of a key figure: `label`, `value`, and of a share `of` (of how many) and `share` (percent)."""
    of = "" if figure.of is None else f"of {figure.of:,}"
    share = "" if figure.percent is None else f"{figure.percent:.1f} %"
    return {"label": html_text(figure.label), "value": f"{figure.value:,}", "of": of, "share": share}


def breakdown_content(breakdown: BreakdownValue, name: str) -> dict[str, Any]:
    """Return what a template needs of a breakdown.

    `label` is its name, `chart` an SVG element, or empty where it would have a single bar, `note` a sentence on
    categories that are not drawn, or empty. `series` has the headings of the columns of numbers, and `rows` the name
    and the numbers of each category.

    Args:
        breakdown: the breakdown.
        name: the beginning of the ids in the chart; see `charts.chart_svg`.
    """
    several = len(breakdown.series) > 1
    return {
        "label": html_text(breakdown.label),
        "chart": Markup(chart_svg(breakdown, name) if breakdown.charted else ""),  # noqa: S704 - each text is escaped
        "note": further_note(breakdown),
        "series": [html_text(series_label(text)) for text in breakdown.series] + (["Total"] if several else []),
        "rows": [
            (
                html_text(category.name),
                [f"{number:,}" for number in (*category.numbers, *([category.total] if several else []))],
            )
            for category in breakdown.rows
        ],
    }
