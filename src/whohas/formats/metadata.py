"""What a file for people says of its run: who, what, when, as of when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from whohas.formats.base import About
from whohas.formats.display import moment


def facts(about: About, rows: int, zone: str) -> list[tuple[str, str]]:
    """Labels and values. What differs between two runs over the same data has the same length: run id and times."""
    loaded = f", loaded {moment(about.loaded_at, zone)} {zone}" if about.loaded else ""
    gaps = [("Data", about.gaps)] if about.gaps else []
    named = [("Organisation", about.org)] if about.org else []
    return [
        ("Report", f"{about.title} ({about.report})"),
        *named,
        ("Arguments", in_words(about.arguments)),
        ("Run by", about.launcher),
        ("Started", f"{moment(about.started_at, zone)} {zone}"),
        ("Snapshot", f"{about.snapshot}{loaded}"),
        *gaps,
        ("Rows", f"{rows:,}"),
        ("Run", about.run),
    ]


def in_words(arguments: Mapping[str, Any]) -> str:
    """Arguments as people read them: `source name: Payroll; correlated only: yes`."""
    told = [f"{_words(name)}: {_value(value)}" for name, value in arguments.items()]
    return "; ".join(told) or "none"


def _words(name: str) -> str:
    """`correlatedOnly` to `correlated only`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def _value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list():
            return ", ".join(map(_value, value))
        case _:
            return json.dumps(value, ensure_ascii=False)
