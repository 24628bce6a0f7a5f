"""CSV: RFC 4180 quoting, UTF-8, `\\n` at line ends, one header line.

A null is an empty cell; an empty text is one in quotes, `""`, which most readers take for the same. Where there is
one column only, a null is in quotes too, or its line would be empty and readers would pass over it. A first column
whose name begins with U+FEFF is in quotes, or readers would take that for a byte order mark. A boolean is `true` or
`false`; a time is UTC in RFC 3339 with milliseconds; several values are joined with `;`. Options: a byte order mark,
another separator, and an apostrophe before a text or a column's name that a spreadsheet would run as a formula (OWASP,
"CSV Injection").
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from whohas.engine.sql import literal, quote
from whohas.engine.statement import Column
from whohas.formats.base import About, Format, Options, Rows
from whohas.formats.streaming import BLOCK, pipe

LIST_SEPARATOR = ";"
_ARMED = ("=+-@", "\t\r\n", "\uff1d\uff0b\uff0d\uff20")
"""What a text that is run begins with; the last are wide forms, which some spreadsheets run too."""
_BOM = "\ufeff"
_GZIP_LEVEL = 1


def copy_statement(rows: Rows, path: Path, options: Options = Options(), more: str = "") -> str:  # noqa: B008 - frozen
    """The DuckDB statement that writes rows to a CSV file, in their order.

    Args:
        path: the file; an existing one is overwritten.
        more: further options of the COPY.
    """
    places = [f"c{n}" for n in range(1, len(rows.columns) + 1)]
    values = [f"{_value(place, column)} AS {place}" for place, column in zip(places, rows.columns, strict=True)]
    source = f"FROM (SELECT {', '.join(values)} FROM (\n{rows.sql}\n) AS report({', '.join(places)}))"
    # on top of the values, since a value that is named three times would be made three times
    cells = [
        _disarmed(place) if options.disarm and column.type in ("text", "texts") else place
        for place, column in zip(places, rows.columns, strict=True)
    ]
    if len(cells) == 1:
        cells = [f"coalesce(({cells[0]})::VARCHAR, '')"]
    names = [_disarmed_name(column.name) if options.disarm else column.name for column in rows.columns]
    if header_rows(rows.columns):
        # DuckDB tells column names apart without regard to case, and wants one; a header that is a row keeps them all
        texts = ", ".join(f"({cell})::VARCHAR" for cell in cells)
        header = ", ".join(f"{literal(name)} AS {place}" for name, place in zip(names, places, strict=True))
        body, begin, first = f"SELECT {header} UNION ALL SELECT {texts} {source}", "HEADER false, ", places[0]
    else:
        titled = ", ".join(f"{cell} AS {quote(name)}" for cell, name in zip(cells, names, strict=True))
        body, begin, first = f"SELECT {titled} {source}", "" if options.bom else "HEADER true, ", quote(names[0])
    if options.bom:
        # before the header, and before its quotes; DuckDB wants to know then how the file ends, and writes a header
        # unless it is told not to
        begin += f"PREFIX '{_BOM}', SUFFIX '\n', "
    if names[0].startswith(_BOM):
        # a file that begins with EF BB BF begins with a byte order mark, but one that begins with a quote does not; the
        # engine quotes a column's name together with its cells (nulls stay bare)
        begin += f"FORCE_QUOTE ({first}), "
    separator = literal(options.separator)
    return f"COPY ({body}) TO {literal(str(path))} (FORMAT csv, {begin}DELIMITER {separator}{more})"


def header_rows(columns: Sequence[Column]) -> int:
    """How many of the rows that `copy_statement` writes are the header: 0, or 1 where the header is a row.

    Where it is 1, the statement must run in order, so that the header stays first.
    """
    names = {column.name.casefold() for column in columns}
    return int(len(names) != len(columns) or "" in names)


def _value(place: str, column: Column) -> str:
    match column.type:
        case "time":
            return f"strftime(make_timestamp(epoch_us({place})), '%Y-%m-%dT%H:%M:%S.%gZ')"
        case "texts" if not column.single:
            # most lists are of one value, and to join is what takes its time
            joined = f"array_to_string({place}, {literal(LIST_SEPARATOR)})"
            return f"CASE WHEN len({place}) = 1 THEN {place}[1] ELSE {joined} END"
        case _:
            return place


def _disarmed(text: str) -> str:
    # nearly every text begins with a letter or a digit, which a comparison or two tells sooner than what it begins with
    other = f"({text} < 'A' OR {text} > '\uff00') AND ({text} < '.' OR {text} > '<')"
    # several short lists: of one of more than five the engine makes a join
    armed = [f"ascii({text}) IN ({', '.join(str(ord(letter)) for letter in some)})" for some in _ARMED]
    return f"CASE WHEN {other} AND ({' OR '.join(armed)}) THEN concat('''', {text}) ELSE {text} END"


def _disarmed_name(name: str) -> str:
    return f"'{name}" if name.startswith(tuple("".join(_ARMED))) else name


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
        "CSV, gzipped.",
        copy=_copy,
        uncounted=header_rows,
        through=_gzipped,
        weight=1.2,
    ),
    Format(
        "csv.zst",
        "application/zstd",
        "CSV, compressed with Zstandard.",
        copy=partial(_copy, more=", COMPRESSION zstd"),
        uncounted=header_rows,
        streams=False,  # the engine compresses nothing that it writes to a pipe
        weight=1.5,
    ),
)
