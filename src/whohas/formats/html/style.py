"""The inline style sheet of a page, and the source expression by which its policy allows it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from whohas.engine.statement import ResultColumn
from whohas.formats.charts import chart_style

_UPRIGHT = 6
"""Maximum number of columns that are printed in portrait; wider tables are printed in landscape."""
_HERE = Path(__file__).parent


def complete_style(columns: Sequence[ResultColumn]) -> str:
    """Return the style sheet of a complete page: `page.css`, and rules for its columns and for paper."""
    return "\n".join([_sheet("page.css"), *_paper(columns), *_column_rules(columns, "tr")])


def readable_style(columns: Sequence[ResultColumn]) -> str:
    """Return the style sheet of a readable page: `page.css`, that of readable pages and of charts, and rules for its
    columns and for paper."""
    rules = _column_rules(columns, ".rows tbody tr:not(.group)")
    return "\n".join([_sheet("page.css"), _sheet("readable.css"), chart_style(), *_paper(columns), *rules])


def style_source(style: str) -> str:
    """Return the source expression by which a Content-Security-Policy allows only this inline style sheet."""
    return f"sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}"


def _sheet(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _paper(columns: Sequence[ResultColumn]) -> list[str]:
    return ["@page{size:landscape}"] if len(columns) > _UPRIGHT else []


def _column_rules(columns: Sequence[ResultColumn], row: str) -> list[str]:
    """Return rules for the columns of numbers, times and booleans; `row` selects the rows."""
    line = "white-space:nowrap"
    rules = {"integer": f"text-align:right;{line}", "time": line, "boolean": line}
    styled = ((place, rules.get(column.type)) for place, column in enumerate(columns, 1))
    return [f"{row}>:nth-child({place}){{{rule}}}" for place, rule in styled if rule]
