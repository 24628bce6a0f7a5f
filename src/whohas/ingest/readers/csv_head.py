"""Read the head of a CSV file: lines before the header, the delimiter, and the names of the columns."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from whohas.errors import InvalidArguments
from whohas.ingest.readers.csv_stream import UNDECODABLE_PATTERN, CsvDialect, CsvStream, original_bytes
from whohas.ingest.readers.streams import ByteStream, open_bytes
from whohas.plurals import pluralize

_HEAD = 1 << 20
MAX_ROW_BYTES = 4 << 20
"""The most bytes that a row, or the header, may have."""
_SAMPLE = 200
"""How many lines are examined to detect the delimiter and the header."""

_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=([!#-~\t ])\1*"?', re.IGNORECASE)
_TYPE_LINE = re.compile(r'"?#TYPE ')
_BLANK = ' ",;\t|'
TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
"""A cell written as a text formula, so that Excel keeps it as text: ="0001"."""


@dataclass(frozen=True, slots=True)
class CsvHead:
    """The head of a CSV file.

    Attributes:
        delimiter: the character between cells.
        names: the header's cells; empty where a column has no name.
        preamble_lines: how many lines come before the header.
        preamble_bytes: how many bytes these lines have.
        header_bytes: how many bytes the header has in the output of `CsvStream`.
        extra_cells: how many empty cells the rows have after the header's last one.
    """

    delimiter: str
    names: tuple[str, ...]
    preamble_lines: int
    preamble_bytes: int
    header_bytes: int
    extra_cells: int


def read_head(path: Path, dialect: CsvDialect, needed: Collection[str], known: Collection[str]) -> CsvHead:
    """Read the head of a file.

    The delimiter is the mapping's, else the one of a `sep=;` line, else it is detected in the first lines.

    Args:
        dialect: the settings of the table [csv] of a mapping.
        needed: columns that the file must have.
        known: columns that it may have.

    Raises:
        InvalidArguments: the file is empty, its header is unreadable or repeats a name, or a later line is the header.
    """
    lift_field_limit()
    with open_bytes(path, dialect.encoding) as stream:
        head = stream.read(_HEAD)
    if not head.strip(b"\xef\xbb\xbf \t\r\n\0"):
        raise InvalidArguments(f"{path} is empty. A CSV file begins with a header that names its columns.")
    text = head.decode(errors="surrogateescape")
    lines = list(itertools.islice(io.StringIO(text, newline=""), dialect.skip_lines + _SAMPLE))
    before, named = _preamble(lines, dialect)
    if before >= len(lines):
        why = f"csv.skip is {dialect.skip_lines}, and " if dialect.skip_lines else ""
        raise InvalidArguments(
            f"{path} has no header: {why}there is nothing but {pluralize(len(lines), 'line')} without data."
        )
    rows = lines[before:]
    delimiter = dialect.delimiter or named or _delimiter("".join(rows), {*needed, *known})
    skipped = len("".join(lines[:before]).encode(errors="surrogateescape"))
    with open_bytes(path, dialect.encoding) as stream:
        names, size = _header(path, text_lines(CsvStream(stream, delimiter, dialect, skipped)), delimiter)
    _check_header(path, names, lines[before], before + 1, dialect)
    names = [unwrap_text_formula(name) if name.strip() else "" for name in names]
    sample = [row for row in csv.reader(rows, delimiter=delimiter) if any(map(str.strip, row))]
    later = _later_header(path, lines, before, delimiter, names, needed, known)
    if later:
        raise InvalidArguments(later)
    if not any(names):
        raise InvalidArguments(f"{path} has no header: line {before + 1} is empty.")
    repeated = sorted(name for name, count in Counter(filter(None, names)).items() if count > 1)
    if repeated:
        raise InvalidArguments(f"{path}: the header names {', '.join(map(repr, repeated))} more than once.")
    return CsvHead(delimiter, tuple(names), before, skipped, size, _surplus_cells(sample, len(names)))


@contextmanager
def open_csv(path: Path, dialect: CsvDialect, head: CsvHead) -> Generator[CsvStream]:
    """Open a file, positioned at its header."""
    with open_bytes(path, dialect.encoding) as stream:
        yield CsvStream(stream, head.delimiter, dialect, head.preamble_bytes)


def text_lines(stream: CsvStream) -> io.TextIOWrapper:
    """Return a text file over a stream, whose lines keep their line ends."""
    return io.TextIOWrapper(
        io.BufferedReader(_Readable(stream)), encoding="utf-8", errors="surrogateescape", newline=""
    )


def unwrap_text_formula(cell: str) -> str:
    """Return the text of a cell that is written as Excel's text formula (`="0001"` gives `0001`), else the cell."""
    found = TEXT_FORMULA.fullmatch(cell)
    return found[1].replace('""', '"') if found else cell


def lift_field_limit() -> None:
    """Allow cells of any length in Python's csv module, for the whole process."""
    csv.field_size_limit(sys.maxsize)


def encoding_hint(data: bytes) -> str:
    """Return a sentence that suggests the encoding of bytes that are not UTF-8, for the end of a message."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if even + odd > len(data) // 8:
        if odd > 8 * even:
            return 'It looks like UTF-16: in a mapping, set [csv] encoding = "utf-16-le".'
        if even > 8 * odd:
            return 'It looks like UTF-16: in a mapping, set [csv] encoding = "utf-16-be".'
        return "It is not text."
    if b"\0" not in data:
        try:
            data.decode("windows-1252")
        except UnicodeDecodeError:
            pass
        else:
            if not any(byte < 32 and byte not in b"\t\r\n" for byte in data):
                return 'If it is Windows-1252 (Western Europe), set [csv] encoding = "windows-1252" in a mapping.'
    return "If it has another encoding, set it in a mapping: [csv] encoding = …"


def _preamble(lines: list[str], dialect: CsvDialect) -> tuple[int, str | None]:
    """Return how many lines come before the header, and the delimiter if one of them is a `sep=` line."""
    before, delimiter = min(dialect.skip_lines, len(lines)), None
    while before < len(lines):
        line = lines[before].lstrip("\ufeff").rstrip("\r\n")
        if found := _SEPARATOR_LINE.fullmatch(line):
            delimiter = found[1]
        elif not (
            _TYPE_LINE.match(line) or not line.strip(_BLANK) or (dialect.comment and line.startswith(dialect.comment))
        ):
            break
        before += 1
    return before, delimiter


def _header(path: Path, lines: io.TextIOWrapper, delimiter: str) -> tuple[list[str], int]:
    """Return the header's cells, and its size in bytes."""
    size = 0

    def counted() -> Iterator[str]:
        nonlocal size
        while line := lines.readline(MAX_ROW_BYTES + 1):
            size += len(line.encode(errors="surrogateescape"))
            if size > MAX_ROW_BYTES:
                raise InvalidArguments(
                    f"{path} cannot be read as CSV: its header is longer than {MAX_ROW_BYTES >> 20} MiB, or a quoted "
                    "cell in it never ends."
                )
            yield line

    return next(csv.reader(counted(), delimiter=delimiter), []), size


def _check_header(path: Path, names: list[str], line: str, number: int, dialect: CsvDialect) -> None:
    """Raise InvalidArguments if the header has NUL bytes or bytes that are not UTF-8."""
    invalid = re.search(rf"{UNDECODABLE_PATTERN}|\0", "".join(names))
    if invalid is None:
        return
    bad_bytes = original_bytes(invalid[0])
    line_bytes = line.encode(errors="surrogateescape")
    excerpt = line_bytes[max(line_bytes.find(bad_bytes) - 20, 0) :][:40]
    with open_bytes(path, dialect.encoding) as stream:
        hint = encoding_hint(stream.read(1 << 16))
    shown = excerpt.decode(errors="backslashreplace").rstrip()
    raise InvalidArguments(f"{path} is no CSV file in UTF-8: line {number} cannot be read ({shown!r}). {hint}")


def _delimiter(text: str, wanted: Collection[str]) -> str:
    """Return the most likely delimiter of a text.

    Ranked by: wanted column names in the header, more than one column, quotes placed as in RFC 4180, and the number of
    columns weighted by the share of rows that have as many cells as the header.
    """

    def score(delimiter: str) -> tuple[int, bool, bool, float]:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
        names = {unwrap_text_formula(name) for name in rows[0]}
        width = len(rows[0])
        equal_share = sum(len(row) == width for row in rows[1:]) / max(len(rows) - 1, 1) if len(rows) > 1 else 1.0
        data = io.BytesIO(text.encode(errors="surrogateescape"))
        quotes = CsvStream(ByteStream(Path(), data, data, None), delimiter, CsvDialect())
        while quotes.read():
            pass
        quotes_regular = not (quotes.literal or quotes.stray.count)
        return len(names & set(wanted)), width > 1, quotes_regular, equal_share * (width - 1)

    return max(_DELIMITERS, key=score)


def _surplus_cells(rows: list[list[str]], width: int) -> int:
    """Return how many empty cells most rows have after the header's last one, or 0."""
    wider = Counter(len(row) - width for row in rows[1:] if len(row) > width and not any(row[width:]))
    found = wider.most_common(1)
    return found[0][0] if found and 2 * found[0][1] > len(rows) - 1 else 0


def _later_header(
    path: Path,
    lines: list[str],
    before: int,
    delimiter: str,
    names: list[str],
    needed: Collection[str],
    known: Collection[str],
) -> str | None:
    """Return the error message if the header seems to be a later line, else None."""
    missing = [name for name in needed if name not in names]
    if not (missing if needed else known and not set(names) & set(known)):
        return None
    for number in range(before + 1, len(lines)):
        for separator in (delimiter, *_DELIMITERS):
            cells = {unwrap_text_formula(cell) for cell in next(csv.reader([lines[number]], delimiter=separator), [])}
            if (cells >= set(needed)) if needed else len(cells & set(known)) > 1:
                return (
                    f"{path}: the header is line {number + 1}, and the lines before it are not data. Set [csv] skip = "
                    f"{number} in a mapping."
                )
    widths = [len(next(csv.reader([line], delimiter=delimiter), [])) for line in lines]
    usual, times = Counter(widths[before:]).most_common(1)[0]
    if needed and usual > 1 and usual != len(names) and 2 * times > len(lines) - before:
        return (
            f"{path}: the header, line {before + 1}, has no column {missing[0]!r} but {pluralize(len(names), 'cell')}, "
            f"and most lines have {usual}. If the header is line "
            f"{widths.index(usual, before) + 1}, set [csv] skip = {widths.index(usual, before)} in the mapping."
        )
    return None


class _Readable(io.RawIOBase):
    def __init__(self, stream: CsvStream) -> None:
        self._stream = stream
        self._buffered = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._buffered or self._stream.read(_HEAD)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        self._buffered = data[size:]
        return size
