"""Charts as inline SVG, without scripts: horizontal bars, each with its number, and a stacked bar of shares.

A chart is an image for people who see; its numbers are also in a table, which the macro `chart` of `macros.html` writes
below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

_ROW: Final = 28
_BAR: Final = 16
_LABELS: Final = 180
_NUMBERS: Final = 80
_WIDTH: Final = 640
_LONGEST_LABEL: Final = 24
COLOURS: Final = 6
"""The number of colours of a stacked bar, `chart-1` to `chart-6` in the style sheet; further parts repeat them."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart.

    Attributes:
        label: its label.
        value: its length, not negative.
        text: the number as shown; empty for the value with thousands separators.
    """

    label: str
    value: float
    text: str = ""

    @property
    def shown(self) -> str:
        """The number as shown."""
        return self.text or f"{self.value:,.0f}"


def bars(title: str, items: Sequence[Bar]) -> Markup:
    """Return a chart of horizontal bars.

    Args:
        title: the title, which screen readers read.
        items: the bars, from top to bottom.
    """
    longest = max((item.value for item in items), default=0) or 1
    space = _WIDTH - _LABELS - _NUMBERS
    rows = Markup("").join(
        Markup(
            '<text x="{}" y="{}" class="chart-label">{}</text><rect x="{}" y="{}" width="{:.1f}" height="{}" rx="3" '
            'class="chart-1"/><text x="{:.1f}" y="{}" class="chart-number">{}</text>'
        ).format(
            _LABELS - 10,
            index * _ROW + 19,
            _shortened(item.label),
            _LABELS,
            index * _ROW + 6,
            max(1.0, item.value / longest * space) if item.value else 0.0,
            _BAR,
            _LABELS + item.value / longest * space + 8,
            index * _ROW + 19,
            item.shown,
        )
        for index, item in enumerate(items)
    )
    return _svg(title, _ROW * len(items), rows)


def stacked(title: str, items: Sequence[Bar]) -> Markup:
    """Return one bar that is divided into the shares of its parts.

    Args:
        title: the title, which screen readers read.
        items: the parts, from left to right.
    """
    total = sum(item.value for item in items) or 1
    parts: list[Markup] = []
    left = 0.0
    for index, item in enumerate(items):
        width = item.value / total * _WIDTH
        parts.append(
            Markup('<rect x="{:.1f}" y="0" width="{:.1f}" height="{}" class="chart-{}"/>').format(
                left, max(0.0, width - 1), _ROW, index % COLOURS + 1
            )
        )
        left += width
    return _svg(title, _ROW, Markup("").join(parts))


def _svg(title: str, height: int, content: Markup) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="xMinYMin">{}</svg>'
    ).format(_WIDTH, max(height, 1), title, content)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
