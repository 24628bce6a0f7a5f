"""Time against rows, both logarithmic, as an SVG that follows the reader's light or dark theme."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Final

from bench.rounds import Series

_RIGHT, _HEIGHT = 552, 440
"""Where the lines end, in pixels from the left; the names stand beside them."""
_LEFT, _TOP, _BOTTOM = 64, 52, 48
_LETTER: Final = 7.8
"""A letter of a name at the widest that fonts of the system make it, on average."""
_LEAST_APART: Final = 15
"""From one name at the right edge to the next one, in pixels."""
_HUES: Final = (
    "#2f6fd0",
    "#c2571a",
    "#2e8b57",
    "#8e5bb5",
    "#b8860b",
    "#c03a6b",
    "#4d7d8c",
    "#7a6a55",
    "#5a5a9c",
    "#a03030",
)
_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .quiet { fill: #57606a }
  .grid { stroke: #d8dee4 }
  .paper { fill: #ffffff }
  .line { fill: none; stroke-width: 1.8 }
  .whohas { stroke-width: 3.4 }
  .bold { font-weight: 700 }
  .lead { stroke-width: 1; opacity: 0.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9da7b1 }
    .grid { stroke: #30363d }
    .paper { fill: #0d1117 }
  }
"""


def plots(series: Sequence[Series]) -> Iterable[tuple[str, str]]:
    """A file's name and its SVG for each format; of a format with two tables the one with more peers."""
    for format in dict.fromkeys(one.format for one in series):
        chosen: list[Series] = []
        for table in dict.fromkeys(one.table for one in series if one.format == format):
            found = [one for one in series if (one.table, one.format) == (table, format) and "whohas, " not in one.by]
            chosen = max(chosen, found, key=lambda each: len({one.by for one in each}))
        if len({one.rows for one in chosen}) > 1:
            yield f"bench-{format}.svg", _svg(chosen)


def _svg(series: Sequence[Series]) -> str:
    names = list(dict.fromkeys(one.by for one in series))
    low_x, high_x = (edge(math.log10(one.rows) for one in series) for edge in (min, max))
    width = round(_RIGHT + 40 + _LETTER * max(map(len, names)))
    low_y = math.floor(min(math.log10(one.seconds) for one in series))
    high_y = max(low_y + 1, math.ceil(max(math.log10(one.seconds) for one in series)))

    def x(rows: float) -> float:
        return _LEFT + (math.log10(rows) - low_x) / (high_x - low_x) * (_RIGHT - _LEFT)

    def y(seconds: float) -> float:
        return _TOP + (high_y - math.log10(seconds)) / (high_y - low_y) * (_HEIGHT - _TOP - _BOTTOM)

    title = f"{series[0].label}: seconds for so many rows ({series[0].table})"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{_HEIGHT}" rx="6"/>',
        f'<text class="title" x="{_LEFT}" y="28">{html.escape(title)}</text>',
    ]
    foot = _HEIGHT - _BOTTOM
    for power in range(low_y, high_y + 1):
        at = y(10**power)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="quiet" x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{_seconds(power)}</text>')
    powers = [10**power for power in range(math.ceil(low_x), math.floor(high_x) + 1)]
    for size in sorted({*powers, max(one.rows for one in series)}):
        at = x(size)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{foot}"/>')
        parts.append(f'<text class="quiet" x="{at:.1f}" y="{foot + 20}" text-anchor="middle">{size:,}</text>')
    parts.append(f'<text class="quiet" x="{(_LEFT + _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">rows</text>')
    ends: list[tuple[float, float, str, str]] = []
    for number, name in enumerate(names):
        hue = _HUES[number % len(_HUES)]
        points = [(x(one.rows), y(one.seconds)) for one in sorted(series, key=lambda one: one.rows) if one.by == name]
        own = " whohas" if name == "whohas" else ""
        path = " ".join(f"{at:.1f},{up:.1f}" for at, up in points)
        parts.append(f'<polyline class="line{own}" points="{path}" stroke="{hue}"{_dashes(number)}/>')
        parts += [
            f'<circle cx="{at:.1f}" cy="{up:.1f}" r="{4 if own else 3}" fill="{hue}"><title>{html.escape(name)}</title>'
            "</circle>"
            for at, up in points
        ]
        ends.append((points[-1][1], points[-1][0], name, hue))
    for (up, at, name, hue), place in zip(sorted(ends), _apart([end[0] for end in sorted(ends)]), strict=True):
        lead = f"{at + 5:.1f},{up:.1f} {_RIGHT + 10},{place:.1f} {_RIGHT + 20},{place:.1f}"
        parts.append(f'<polyline class="line lead" points="{lead}" stroke="{hue}"/>')
        bold = ' class="bold"' if name == "whohas" else ""
        parts.append(
            f'<text{bold} x="{_RIGHT + 25}" y="{place + 4:.1f}" style="fill: {hue}">{html.escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _dashes(number: int) -> str:
    return "" if number < len(_HUES) else ' stroke-dasharray="5 3"'


def _seconds(power: int) -> str:
    return f"{10**power:,} s" if power >= 0 else f"{10**power:.{-power}f} s"


def _apart(places: Sequence[float]) -> list[float]:
    """Ascending places, moved as little as needed to be apart and on the paper."""
    moved = list(places)
    for _ in range(200):
        for n in range(1, len(moved)):
            short = _LEAST_APART - (moved[n] - moved[n - 1])
            if short > 0.01:
                moved[n - 1] -= short / 2
                moved[n] += short / 2
        floor = _HEIGHT - 12 - (len(moved) - 1) * _LEAST_APART
        moved = [min(max(place, _TOP + n * _LEAST_APART), floor + n * _LEAST_APART) for n, place in enumerate(moved)]
    return moved
