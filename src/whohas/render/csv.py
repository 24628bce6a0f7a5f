"""CSV: RFC 4180 quoting, UTF-8, `\\n` at line ends, one header line.

A null and an empty text are an empty cell. A boolean is `true` or `false`; a time is UTC in RFC 3339 with
milliseconds; several values are joined with `;`. Options: a byte order mark, another separator, and an apostrophe
before a text that a spreadsheet would run as a formula (OWASP, "CSV Injection": `=`, `+`, `-`, `@`, tab and carriage
return at its begin).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from whohas.engine.sql import literal, quote
from whohas.engine.statement import Column
from whohas.render.definition import About, Format, Options, Rows
from whohas.render.pipe import BLOCK, pipe

LIST_SEPARATOR = ";"
_BOM = "\ufeff"
_GZIP_LEVEL = 1


def copy_statement(rows: Rows, path: Path, options: Options = Options(), more: str = "") -> str:  # noqa: B008 - frozen
    """The DuckDB statement that writes rows to a CSV file, in their order.

    Args:
        path: the file; an existing one is overwritten.
        more: further options of the COPY.
    """
    places = [f"c{n}" for n in range(1, len(rows.columns) + 1)]
    cells = [_cell(place, column, options) for place, column in zip(places, rows.columns, strict=True)]
    source = f"FROM (\n{rows.sql}\n) AS report({', '.join(places)})"
    names = [column.name for column in rows.columns]
    if options.bom:
        names[0] = _BOM + names[0]
    if header_rows(rows.columns):
        # DuckDB tells column names apart without regard to case; a header that is a row keeps `mail` and `Mail`
        texts = ", ".join(f"({cell})::VARCHAR" for cell in cells)
        body, header = f"SELECT {', '.join(map(literal, names))} UNION ALL SELECT {texts} {source}", "false"
    else:
        titled = ", ".join(f"{cell} AS {quote(name)}" for cell, name in zip(cells, names, strict=True))
        body, header = f"SELECT {titled} {source}", "true"
    separator = literal(options.separator)
    return f"COPY ({body}) TO {literal(str(path))} (FORMAT csv, HEADER {header}, DELIMITER {separator}{more})"


def header_rows(columns: Sequence[Column]) -> int:
    """How many of the rows that `copy_statement` writes are the header: 0, or 1 where the header is a row.

    Where it is 1, the statement must run in order, so that the header stays first.
    """
    return int(len({column.name.casefold() for column in columns}) != len(columns))


def _cell(place: str, column: Column, options: Options) -> str:
    match column.type:
        case "time":
            return f"strftime(make_timestamp(epoch_us({place})), '%Y-%m-%dT%H:%M:%S.%gZ')"
        case "texts":
            text = f"array_to_string({place}, {literal(LIST_SEPARATOR)})"
            return _disarmed(text) if options.disarm else text
        case "text":
            return _disarmed(place) if options.disarm else place
        case _:
            return place


def _disarmed(text: str) -> str:
    return f"CASE WHEN ascii({text}) IN (61, 43, 45, 64, 9, 13) THEN concat('''', {text}) ELSE {text} END"


def _copy(rows: Rows, path: Path, _: About, options: Options, more: str = "") -> str:
    return copy_statement(rows, path, options, more)


@contextmanager
def _gzipped(path: Path) -> Generator[Path]:
    """Compressed by ISA-L, ten times as fast as by the engine itself."""
    from isal import igzip

    def take(stream: BinaryIO) -> None:
        # no name and no time in its header: the same rows are the same bytes
        with path.open("wb") as file, igzip.IGzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            while block := stream.read(BLOCK):
                packed.write(block)

    with pipe(take) as place:
        yield place


FORMATS = (
    Format(
        "csv",
        "application/csv",
        "Comma-separated values, RFC 4180.",
        copy=_copy,
        uncounted=header_rows,
    ),
    Format(
        "csv.gz",
        "application/gzip",
        "The same, gzipped.",
        copy=_copy,
        uncounted=header_rows,
        through=_gzipped,
        weight=1.2,
    ),
    Format(
        "csv.zst",
        "application/zstd",
        "The same, compressed with Zstandard.",
        copy=partial(_copy, more=", COMPRESSION zstd"),
        uncounted=header_rows,
        weight=1.5,
    ),
)
