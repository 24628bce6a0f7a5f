"""Writer of the HTML page: a title block and a table of rows, streamed from the extract batch by batch.

A program that parses the page (WHATWG HTML) gets the same texts back. Two characters need care: a carriage return is
written as a character reference, because it would be read as a line feed otherwise; NUL, which HTML cannot contain, is
shown as U+2400 in an `abbr` element.
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

from whohas.engine.statement import ResultColumn
from whohas.formats.base import Extract, ReportMetadata, WriteOptions
from whohas.formats.display import display_texts, encodable
from whohas.formats.metadata import metadata_lines
from whohas.plurals import pluralize

MAX_ROWS = 10_000
"""Maximum number of rows of a page. A browser needs one or two seconds to show these."""
MAX_BYTES = 16 << 20
"""Maximum size of the texts of all rows, in UTF-8. The first row is always shown, even if it is larger."""

_PROGRESS_ROWS = 1_000
"""Number of rows between two progress reports."""
_CELLS, _BATCH_BYTES = 1 << 14, 1 << 20
_UPRIGHT = 6
"""Maximum number of columns that are printed in portrait; wider tables are printed in landscape."""
_HERE = Path(__file__).parent
_NUL = Markup('<abbr title="NUL">\u2400</abbr>')


def write(extract: Extract, path: Path, about: ReportMetadata, options: WriteOptions) -> Sequence[str]:
    """Write the page; return a note if it does not show all rows."""
    columns = extract.rows.columns
    shown = _shown_rows(extract, options.zone)
    note = _note(extract, shown)
    title = f"{about.title}: {extract.rows.name}" if extract.rows.name else about.title
    style = _style(columns)
    page = _template().stream(
        title=_text(title),
        description=_text(about.description),
        facts=[(label, _text(value)) for label, value in metadata_lines(about, extract.count, options.zone)],
        names=[_text(column.name) for column in columns],
        rows=_rows(extract, shown, options.zone),
        count=extract.count,
        note=note,
        style=Markup(style),  # noqa: S704 - from page.css, no user input
        style_hash=_hash(style),
    )
    page.enable_buffering(4_096)
    with path.open("wb") as file:
        page.dump(file, "utf-8")
    return [note] if note else []


def _note(extract: Extract, shown: int) -> str:
    """Return a note that the page shows only the first `shown` rows; empty if it shows all."""
    if shown == extract.count:
        return ""
    first = "the first row" if shown == 1 else f"the first {shown:,}"
    rows = f"{extract.rows.name}: the" if extract.rows.name else "The"
    more = pluralize(extract.count - shown, "more is", "more are")
    return (
        f"{rows} HTML page shows {first} of {pluralize(extract.count, 'row')}; {more} not on it. "
        "All of them are in every other format, such as CSV, XLSX and PDF."
    )


def _shown_rows(extract: Extract, zone: str) -> int:
    """Return the number of rows that a page can show."""
    size = 0
    for number, row in enumerate(islice(_values(extract, zone), MAX_ROWS)):
        size += sum(len(text.encode()) for text in row)
        if size > MAX_BYTES and number:
            return number
    return min(extract.count, MAX_ROWS)


def _rows(extract: Extract, shown: int, zone: str) -> Iterator[Markup]:
    """Yield the cells of each row. Cells of key columns are marked as row headers, for screen readers."""
    tags = ['th scope="row"' if column.key else "td" for column in extract.rows.columns]
    for number, row in enumerate(islice(_values(extract, zone), shown), 1):
        cells = (f"<{tag}>{_text(text)}</{tag[:2]}>" for tag, text in zip(tags, row, strict=True))
        yield Markup("".join(cells))  # noqa: S704 - each text is escaped
        if number % _PROGRESS_ROWS == 0 or number == shown:
            extract.on_rows(number)


def _values(extract: Extract, zone: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows as display texts; only one batch is in memory at a time."""
    columns = extract.rows.columns
    for batch in extract.batches(extract.batch_size(_CELLS, _BATCH_BYTES)):
        cells = [
            display_texts(values, column.type, zone).to_pylist()
            for values, column in zip(batch.columns, columns, strict=True)
        ]
        yield from zip(*cells, strict=True)


def _text(text: str) -> Markup:
    """Return a text as HTML. A lone surrogate, which JSON can contain and UTF-8 cannot, is written as `\\ud800`."""
    escaped = escape(encodable(text))
    if "\r" in text or "\0" in text:
        return Markup(escaped.replace("\r", Markup("&#13;")).replace("\0", _NUL))  # noqa: S704 - escaped above
    return escaped


@cache
def _template() -> Template:
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html")


def _style(columns: Sequence[ResultColumn]) -> str:
    """Return the style sheet: `page.css`, and rules for numbers, times and booleans, and for
    printing wide tables in landscape."""
    line = "white-space:nowrap"
    rules = {"integer": f"text-align:right;{line}", "time": line, "boolean": line}
    column_rules = ((place, rules.get(column.type)) for place, column in enumerate(columns, 1))
    styled = [f"tr>:nth-child({place}){{{rule}}}" for place, rule in column_rules if rule]
    paper = ["@page{size:landscape}"] if len(columns) > _UPRIGHT else []
    return "\n".join([(_HERE / "page.css").read_text(encoding="utf-8"), *paper, *styled])


def _hash(style: str) -> str:
    """Return the source expression by which a Content-Security-Policy allows only this inline style sheet."""
    return f"sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}"
