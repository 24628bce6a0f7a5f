"""The page: a title block, and the rows as a table, streamed from the extract batch by batch.

WHATWG HTML: a text is the same text again for whoever reads the page. Two characters need help: a carriage return is a
reference, or it would be read as a line feed; NUL, which no HTML can have, is shown as U+2400 in an `abbr` of its own.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from whohas.engine.statement import Column
from whohas.formats.base import About, Extract, Options
from whohas.formats.display import texts
from whohas.formats.metadata import facts
from whohas.plurals import counted

ROWS = 10_000
"""What a page shows at most: a browser takes a second or two for so many, and nobody reads on."""
BYTES = 16 << 20
"""What the rows' texts may have together, but for the first row, which is always whole."""

_TOLD = 1_000
_CELLS, _BATCH_BYTES = 1 << 14, 1 << 20
_UPRIGHT = 6
"""Columns that paper has room for upright."""
_HERE = Path(__file__).parent
_NUL = Markup('<abbr title="NUL">\u2400</abbr>')


def write(extract: Extract, path: Path, about: About, options: Options) -> Sequence[str]:
    """Write the page; return a note if it does not show all rows."""
    columns = extract.rows.columns
    shown = _fitting(extract, options.zone)
    note = _note(extract, shown)
    title = f"{about.title}: {extract.rows.name}" if extract.rows.name else about.title
    style = _style(columns)
    page = _template().stream(
        title=_text(title),
        description=_text(about.description),
        facts=[(label, _text(value)) for label, value in facts(about, extract.count, options.zone)],
        names=[_text(column.name) for column in columns],
        rows=_rows(extract, shown, options.zone),
        count=extract.count,
        note=note,
        style=Markup(style),  # noqa: S704 - ours
        style_hash=_hash(style),
    )
    page.enable_buffering(4_096)
    with path.open("wb") as file:
        page.dump(file, "utf-8")
    return [note] if note else []


def _note(extract: Extract, shown: int) -> str:
    if shown == extract.count:
        return ""
    first = "the first row" if shown == 1 else f"the first {shown:,}"
    rows = f"{extract.rows.name}: the" if extract.rows.name else "The"
    more = counted(extract.count - shown, "more is", "more are")
    return (
        f"{rows} HTML page shows {first} of {counted(extract.count, 'row')}; {more} not on it. "
        "All of them are in every other format, such as CSV, XLSX and PDF."
    )


def _fitting(extract: Extract, zone: str) -> int:
    """Return the number of rows that a page can show."""
    size = 0
    for number, row in enumerate(islice(_values(extract, zone), ROWS)):
        size += sum(len(text.encode()) for text in row)
        if size > BYTES and number:
            return number
    return min(extract.count, ROWS)


def _rows(extract: Extract, shown: int, zone: str) -> Iterator[Markup]:
    """What stands in each row: a cell of a key tells what the row is of, and so is its header."""
    tags = ['th scope="row"' if column.key else "td" for column in extract.rows.columns]
    for number, row in enumerate(islice(_values(extract, zone), shown), 1):
        cells = (f"<{tag}>{_text(text)}</{tag[:2]}>" for tag, text in zip(tags, row, strict=True))
        yield Markup("".join(cells))  # noqa: S704 - each text is escaped
        if number % _TOLD == 0 or number == shown:
            extract.on_rows(number)


def _values(extract: Extract, zone: str) -> Iterator[tuple[str, ...]]:
    """The rows as texts, few of them in memory at a time."""
    columns = extract.rows.columns
    for batch in extract.batches(extract.batch_size(_CELLS, _BATCH_BYTES)):
        cells = [texts(values, one.type, zone).to_pylist() for values, one in zip(batch.columns, columns, strict=True)]
        yield from zip(*cells, strict=True)


def _text(text: str) -> Markup:
    """A text as it stands between tags. Halves of characters, which JSON can have, are written as `\\ud800`."""
    whole = text if text.isascii() else text.encode(errors="backslashreplace").decode()
    marked = escape(whole)
    if "\r" in text or "\0" in text:
        return Markup(marked.replace("\r", Markup("&#13;")).replace("\0", _NUL))  # noqa: S704 - escaped above
    return marked


@cache
def _template() -> Template:
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html")


def _style(columns: Sequence[Column]) -> str:
    """The style sheet: numbers to the right, what never needs two lines in one, and a wide table on wide paper."""
    line = "white-space:nowrap"
    rules = {"integer": f"text-align:right;{line}", "time": line, "boolean": line}
    ruled = ((place, rules.get(column.type)) for place, column in enumerate(columns, 1))
    styled = [f"tr>:nth-child({place}){{{rule}}}" for place, rule in ruled if rule]
    paper = ["@page{size:landscape}"] if len(columns) > _UPRIGHT else []
    return "\n".join([(_HERE / "page.css").read_text(encoding="utf-8"), *paper, *styled])


def _hash(style: str) -> str:
    """As a Content-Security-Policy allows one inline style sheet and no other."""
    return f"sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}"
