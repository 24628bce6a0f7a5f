"""Breakdowns as inline SVG bar charts, for HTML pages: the report as HTML and the console.

A chart has a line of text and a bar for each category. Sizes are in pixels and widths in percent, so that the text has
the same size at every width of the page. Colours are custom properties of `chart_style`, which the page has in its
style sheet; each series also has a pattern, so that nothing depends on colour alone. A chart needs neither
script nor inline style.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from whohas.engine.summary import BreakdownValue, Category
from whohas.formats.breakdowns import describe_breakdown, series_label
from whohas.formats.markup import plain_text

MAX_SERIES: Final = 6
"""The number of colours and patterns of series; further series repeat them in turn."""

_ROW, _TEXT, _BAR = 40, 15, 12
"""Height of a category, position of its text and height of its bar, in pixels."""
_LEGEND: Final = 26
_LONGEST_LABEL: Final = 42
"""Maximum length of the visible name of a category, in characters; readers get longer ones as a tooltip."""

_PATTERNS: Final = (
    "",
    '<rect width="3" height="6" class="gap"/>',
    '<rect width="6" height="2" class="gap"/>',
    '<circle cx="3" cy="3" r="1.6" class="gap"/>',
    '<rect width="2" height="6" class="gap"/><rect width="6" height="2" class="gap"/>',
    '<rect width="3" height="3" class="gap"/><rect x="3" y="3" width="3" height="3" class="gap"/>',
)
"""What the pattern of each series leaves blank in a square of 6 pixels; the first series is solid."""
_TURNED: Final = (2, 5)
"""The series whose pattern is turned by 45 degrees."""


@cache
def chart_style() -> str:
    """Return the style sheet of charts, with colours for light and dark pages and for paper.

    A page may set the custom properties otherwise, such as to the colours of its theme.
    """
    return Path(__file__).with_name("charts.css").read_text(encoding="utf-8")


def chart_svg(breakdown: BreakdownValue, name: str) -> str:
    """Return a breakdown as an SVG element with a bar for each category, stacked if there are several series.

    The categories that the breakdown adds up are not drawn; see `breakdowns.further_note`.

    Args:
        breakdown: the breakdown.
        name: the beginning of the ids in the element, unique on the page and without white space.
    """
    top, legend = (_LEGEND, _legend(breakdown.series, name)) if breakdown.divided else (0, "")
    largest = max((category.total for category in breakdown.categories), default=0)
    bars = "".join(
        _category(category, top + _ROW * place, largest, name) for place, category in enumerate(breakdown.categories)
    )
    height = top + _ROW * len(breakdown.categories)
    return (
        f'<svg class="chart" role="img" aria-labelledby="{name}-title {name}-text" width="100%" height="{height}">'
        f'<title id="{name}-title">{plain_text(breakdown.label)}</title>'
        f'<desc id="{name}-text">{plain_text(describe_breakdown(breakdown))}</desc>'
        f"{_definitions(len(breakdown.series), name)}{legend}{bars}</svg>"
    )


def _category(category: Category, top: int, largest: int, name: str) -> str:
    """Return the name, the total and the bar of a category.

    Args:
        category: the category.
        top: the position of its upper edge, in pixels.
        largest: the total of the largest category, whose bar is as wide as the chart.
        name: see `chart_svg`.
    """
    label = plain_text(category.name)
    shown = plain_text(_shortened(category.name))
    parts: list[str] = []
    before = 0
    for place, number in enumerate(category.numbers):
        if number:
            start, width = _percent(before, largest), _percent(number, largest)
            box = f'x="{start}" y="{top + _TEXT + 6}" width="{width}" height="{_BAR}"'
            parts.append(f"<rect {box} {_fill(place, name)}/>")
            before += number
    track = f'<rect class="track" y="{top + _TEXT + 6}" width="100%" height="{_BAR}"/>'
    return (
        f'<g><title>{label}: {category.total:,}</title><text y="{top + _TEXT}">{shown}</text>'
        f'<text x="100%" y="{top + _TEXT}" text-anchor="end">{category.total:,}</text>{track}{"".join(parts)}</g>'
    )


def _legend(series: Sequence[str], name: str) -> str:
    """Return the legend: the series side by side, in columns of the same width."""
    share = 100 / len(series)
    return "".join(
        f'<svg x="{place * share:.4g}%" width="{share:.4g}%" height="{_LEGEND}">'
        f'<rect width="12" height="12" y="3" {_fill(place, name)}/>'
        f'<text x="18" y="13">{plain_text(_shortened(series_label(text)))}</text></svg>'
        for place, text in enumerate(series)
    )


def _definitions(series: int, name: str) -> str:
    """Return the patterns of the series."""
    patterns = "".join(
        f'<pattern id="{name}-{place + 1}" width="6" height="6" patternUnits="userSpaceOnUse"'
        f'{_turn(place + 1)}><rect width="6" height="6" class="series-{place + 1}"/>{_PATTERNS[place]}</pattern>'
        for place in range(1, min(series, MAX_SERIES))
    )
    return f"<defs>{patterns}</defs>" if patterns else ""


def _turn(number: int) -> str:
    return ' patternTransform="rotate(45)"' if number in _TURNED else ""


def _fill(place: int, name: str) -> str:
    number = place % MAX_SERIES + 1
    return f'class="bar" fill="url(#{name}-{number})"' if number > 1 else 'class="bar series-1"'


def _percent(number: int, whole: int) -> str:
    return f"{100 * number / whole:.4g}%"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
