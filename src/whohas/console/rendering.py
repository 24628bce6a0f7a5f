"""Templates: the Jinja environment of the console, and the filters that show values to people.

| filter | value | shown |
| --- | --- | --- |
| `number` | 1234567 | 1,234,567 |
| `size` | 1234567 | 1.2 MB |
| `duration` | milliseconds: 83000 | 1 min 23 s |
| `when` | a time | 2026-11-29 13:05 UTC |
| `ago` | a time | 3 minutes ago |
| `share` | 0.125 | 12.5 % |
| `cell` | any value of a table | text, `Yes` or `No`, a time, or texts joined by `; ` |
| `prose` | a description with words between backticks | these words as code |
| `segment` | an id | the id as a part of a path |

Times are in UTC, as in the files that programs read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from whohas import __version__
from whohas.api.csrf import TOKEN_FIELD
from whohas.console.assets import asset_address, icon
from whohas.console.path_segments import encode_segment
from whohas.plurals import pluralize

NOTHING = "—"
"""Shown in place of a value that does not exist."""

_KB = 1000
_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def render(template: str, **context: Any) -> str:
    """Return a template with its variables inserted; texts are escaped.

    Args:
        template: the name of a file in the folder `templates`.
        context: the variables.
    """
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("whohas.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Jinja types both as what it has there itself
    filters: dict[str, Any] = environment.filters
    names: dict[str, Any] = environment.globals
    filters.update(
        number=number,
        size=size,
        duration=duration,
        when=when,
        ago=ago,
        share=share,
        prose=prose,
        plural=pluralize,
        cell=cell,
        segment=encode_segment,
    )
    names.update(asset=asset_address, icon=icon(), version=__version__, token_field=TOKEN_FIELD)
    return environment


def number(value: int | None) -> str:
    """Return a number with thousands separators; a dash for None."""
    return NOTHING if value is None else f"{value:,}"


def size(value: int) -> str:
    """Return a number of bytes in the largest fitting unit: `1.2 MB`."""
    amount = float(value)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < _KB:
            return f"{value:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= _KB
    return f"{amount:,.1f} TB"


def duration(milliseconds: float | None) -> str:
    """Return a duration: `0.4 s`, `12 s`, `1 min 23 s`, `2 h 5 min`; a dash for None."""
    if milliseconds is None:
        return NOTHING
    seconds = milliseconds / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def when(time: datetime | None) -> Markup:
    """Return a time as an HTML element: `2026-11-29 13:05 UTC`; a dash for None."""
    if time is None:
        return Markup.escape(NOTHING)
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(_iso(utc), f"{utc.year:04}-{utc:%m-%d %H:%M} UTC")


def ago(time: datetime | None) -> Markup:
    """Return how long ago a time was as an HTML element with the time as its title: `3 minutes ago`."""
    if time is None:
        return Markup("never")
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _iso(utc), f"{utc.year:04}-{utc:%m-%d %H:%M:%S} UTC", age_text((datetime.now(UTC) - utc).total_seconds())
    )


def age_text(seconds: float) -> str:
    """Return an age in the largest fitting unit: `just now`, `3 minutes ago`, `in 2 hours` for a negative one."""
    for unit, length in _UNITS:
        if abs(seconds) >= length:
            text = pluralize(int(abs(seconds) // length), unit)
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now" if seconds >= 0 else "in a moment"


def prose(text: str) -> Markup:
    """Return a description in which words between backticks are code: `` `x` `` becomes `<code>x</code>`."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 and index < len(parts) - 1 else part
        for index, part in enumerate(parts)
    )


def share(value: float) -> str:
    """Return a fraction of 1 as a percentage: 0.125 is `12.5 %`."""
    return f"{value * 100:.1f} %".replace(".0 %", " %")


def cell(value: object) -> str:
    """Return a value of a table for people: a dash for nothing, `Yes` or `No`, a time, texts joined by `; `."""
    match value:
        case None | "":
            return NOTHING
        case bool():
            return "Yes" if value else "No"
        case int():
            return number(value)
        case datetime():
            return when(value)
        case list():
            return "; ".join(map(str, cast("list[object]", value))) or NOTHING
        case _:
            return str(value)


def _iso(utc: datetime) -> str:
    return utc.isoformat(timespec="seconds").replace("+00:00", "Z")
