"""CSV: RFC 4180 quoting, UTF-8, `\\n` at line ends, one header line.

A null is an empty cell; an empty text is `""`, which most readers treat like a null. If there is only one column, a
null is written as `""` too, because its line would be empty otherwise and readers would skip it. If the name of the
first column begins with U+FEFF, it is quoted, because readers would treat that character as a byte order mark. A
boolean is `true` or `false`; a time is UTC in RFC 3339 with milliseconds; several values are joined with `;`.
Options: a byte order mark, another separator, and an apostrophe before a text or a column's name that a spreadsheet
would execute as a formula (OWASP, "CSV Injection").
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from whohas.engine.sql import quote_identifier, string_literal
from whohas.engine.statement import ResultColumn
from whohas.formats.base import Format, ReportMetadata, RowsQuery, WriteOptions
from whohas.formats.streaming import BLOCK, pipe

LIST_SEPARATOR = ";"
_ARMED = ("=+-@", "\t\r\n", "\uff1d\uff0b\uff0d\uff20")
"""First characters of a text that a spreadsheet executes. The last are full-width forms, which some execute too."""
_BOM = "\ufeff"
_GZIP_LEVEL = 1


def copy_statement(rows: RowsQuery, path: Path, options: WriteOptions = WriteOptions(), more: str = "") -> str:  # noqa: B008 - frozen
    """Return the DuckDB COPY statement that writes rows to a CSV file in their order.

    Args:
        path: the file to write; an existing file is overwritten.
        more: SQL text of further COPY options, appended to the list; it begins with a comma.
    """
    places = [f"c{n}" for n in range(1, len(rows.columns) + 1)]
    values = [f"{_value(place, column)} AS {place}" for place, column in zip(places, rows.columns, strict=True)]
    source = f"FROM (SELECT {', '.join(values)} FROM (\n{rows.sql}\n) AS report({', '.join(places)}))"
    # in an outer SELECT: an expression that is named three times would be computed three times
    cells = [
        _disarmed(place) if options.disarm and column.type in ("text", "texts") else place
        for place, column in zip(places, rows.columns, strict=True)
    ]
    if len(cells) == 1:
        cells = [f"coalesce(({cells[0]})::VARCHAR, '')"]
    names = [_disarmed_name(column.name) if options.disarm else column.name for column in rows.columns]
    if header_rows(rows.columns):
        # DuckDB compares column names without regard to case and refuses empty ones; a header row keeps them
        texts = ", ".join(f"({cell})::VARCHAR" for cell in cells)
        header = ", ".join(f"{string_literal(name)} AS {place}" for name, place in zip(names, places, strict=True))
        body, begin, first = f"SELECT {header} UNION ALL SELECT {texts} {source}", "HEADER false, ", places[0]
    else:
        titled = ", ".join(f"{cell} AS {quote_identifier(name)}" for cell, name in zip(cells, names, strict=True))
        body, begin, first = (
            f"SELECT {titled} {source}",
            "" if options.bom else "HEADER true, ",
            quote_identifier(names[0]),
        )
    if options.bom:
        # The prefix precedes the header and its quotes. DuckDB requires a suffix with a prefix, and writes a header
        # unless HEADER is false
        begin += f"PREFIX '{_BOM}', SUFFIX '\n', "
    if names[0].startswith(_BOM):
        # a file that begins with EF BB BF begins with a byte order mark, but one that begins with a quote does not; the
        # engine quotes a column's name together with its cells (nulls stay bare)
        begin += f"FORCE_QUOTE ({first}), "
    separator = string_literal(options.separator)
    return f"COPY ({body}) TO {string_literal(str(path))} (FORMAT csv, {begin}DELIMITER {separator}{more})"


def header_rows(columns: Sequence[ResultColumn]) -> int:
    """Return how many rows of the statement of `copy_statement` are header rows: 0 or 1.

    It is 1 if names are empty or equal apart from case, which DuckDB allows in no header: the header is then selected
    as a row. Such a statement must preserve the order of rows, so that the header stays first.
    """
    names = {column.name.casefold() for column in columns}
    return int(len(names) != len(columns) or "" in names)


def _value(place: str, column: ResultColumn) -> str:
    match column.type:
        case "time":
            return f"strftime(make_timestamp(epoch_us({place})), '%Y-%m-%dT%H:%M:%S.%gZ')"
        case "texts" if not column.single:
            # most lists have one value, and array_to_string is the slow part
            joined = f"array_to_string({place}, {string_literal(LIST_SEPARATOR)})"
            return f"CASE WHEN len({place}) = 1 THEN {place}[1] ELSE {joined} END"
        case _:
            return place


def _disarmed(text: str) -> str:
    # nearly every text begins with a letter or a digit; comparisons find that faster than ascii() does
    other = f"({text} < 'A' OR {text} > '\uff00') AND ({text} < '.' OR {text} > '<')"
    # several short lists, because DuckDB turns an IN list of more than five values into a join
    armed = [f"ascii({text}) IN ({', '.join(str(ord(letter)) for letter in some)})" for some in _ARMED]
    return f"CASE WHEN {other} AND ({' OR '.join(armed)}) THEN concat('''', {text}) ELSE {text} END"


def _disarmed_name(name: str) -> str:
    return f"'{name}" if name.startswith(tuple("".join(_ARMED))) else name


def _copy(rows: RowsQuery, path: Path, _: ReportMetadata, options: WriteOptions, more: str = "") -> str:
    return copy_statement(rows, path, options, more)


@contextmanager
def _gzipped(path: Path) -> Generator[Path]:
    """Yield the path of a pipe whose bytes are gzipped into `path` by ISA-L, ten times as fast as DuckDB does it."""
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
        count_header_rows=header_rows,
    ),
    Format(
        "csv.gz",
        "application/gzip",
        "CSV, gzipped.",
        copy=_copy,
        count_header_rows=header_rows,
        open_output=_gzipped,
        relative_time=1.2,
    ),
    Format(
        "csv.zst",
        "application/zstd",
        "CSV, compressed with Zstandard.",
        copy=partial(_copy, more=", COMPRESSION zstd"),
        count_header_rows=header_rows,
        streams=False,  # DuckDB does not compress output to a pipe
        relative_time=1.5,
    ),
)
