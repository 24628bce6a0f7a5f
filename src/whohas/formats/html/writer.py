"""Writer of the HTML page: a title block and a table of rows, streamed from the extract batch by batch.

A readable page has a summary too, labels as headings, sections and groups; see `readable_page`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from whohas.formats.base import Extract, ReportMetadata, WriteOptions
from whohas.formats.html.readable_page import readable_content, table_layout
from whohas.formats.html.style import complete_style, readable_style, style_source
from whohas.formats.html.table_rows import display_rows, first_rows, row_cells
from whohas.formats.markup import html_text
from whohas.formats.metadata import for_readers, metadata_lines, readable_metadata_lines
from whohas.formats.readable import choose_columns
from whohas.plurals import pluralize

MAX_ROWS = 10_000
"""Maximum number of rows of a page. A browser needs one or two seconds to show these."""
MAX_BYTES = 16 << 20
"""Maximum size of the texts of all rows, in UTF-8. The first row is always shown, even if it is larger."""

_HERE = Path(__file__).parent


def write(extract: Extract, path: Path, about: ReportMetadata, options: WriteOptions) -> Sequence[str]:
    """Write the page; return a note if it does not show all rows."""
    choice = choose_columns(extract, options)
    shown = _shown_rows(extract, choice.shown, options)
    note = _note(extract, shown)
    title = f"{about.title}: {extract.rows.name}" if extract.rows.name else about.title
    if options.detail == "readable":
        about = for_readers(about, extract.rows.name)
        title = about.title
        layout = table_layout(choice, extract.rows.group)
        template, style = "readable.html", readable_style(layout.table_columns)
        content = readable_content(extract, layout, shown, options)
        facts = [*readable_metadata_lines(about, extract.count, options.zone), *choice.left_out]
    else:
        columns = extract.rows.columns
        facts = metadata_lines(about, extract.count, options.zone)
        template, style = "page.html", complete_style(columns)
        content = {"names": [html_text(column.name) for column in columns], "rows": _rows(extract, shown, options)}
    page = (
        _environment()
        .get_template(template)
        .stream(
            title=html_text(title),
            description=html_text(about.description),
            facts=[(label, html_text(value)) for label, value in facts],
            count=extract.count,
            note=note,
            style=Markup(style),  # noqa: S704 - from our style sheets, no user input
            style_hash=style_source(style),
            **content,
        )
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


def _shown_rows(extract: Extract, places: Sequence[int], options: WriteOptions) -> int:
    """Return the number of rows that a page can show of some columns."""
    size = 0
    for number, row in enumerate(islice(display_rows(extract, places, options), MAX_ROWS)):
        size += sum(len(text.encode()) for text in row)
        if size > MAX_BYTES and number:
            return number
    return min(extract.count, MAX_ROWS)


def _rows(extract: Extract, shown: int, options: WriteOptions) -> Iterator[Markup]:
    """Yield the cells of each row of a complete page."""
    columns = extract.rows.columns
    return (row_cells(columns, row) for row in first_rows(extract, range(len(columns)), shown, options))


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
