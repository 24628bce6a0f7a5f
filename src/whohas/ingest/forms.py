"""Parse the text of cells in the forms that exports use: times, time zones, words of booleans, names, and lists.

`parse_time_form` and `parse_zone_setting` parse a mapping's settings, `find_ambiguous_formats` and
`compatible_with_rfc3339` compare formats. Cells of columns without such settings are read by `DEFAULT_FORM`.
`first_component_value` extracts a name to show from a distinguished name (RFC 4514): `CN=Ledger Post,OU=Groups,
DC=example` gives "Ledger Post". Cells that hold several values are split at a separator or read as a JSON array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from whohas.ingest.readers.batches import RecordNumbers
from whohas.warehouse.arrow import as_array, pc
from whohas.warehouse.times import OFFSET_PATTERN
from whohas.zones import UnknownZone, parse_zone, unknown_zone, zone_name

NUMERIC_TIMES: Final = ("seconds", "milliseconds", "filetime")
"""Keywords for times that are numbers: since 1970 in seconds or milliseconds, and Windows FILETIME."""
TIME_KEYWORDS: Final = ("ldap", *NUMERIC_TIMES)
"""Keywords for formats of times; `ldap` is generalized time, such as `20240131120000Z`."""

TRUE_WORDS: Final = ("true", "t", "yes", "y", "1")
FALSE_WORDS: Final = ("false", "f", "no", "n", "0")


class InvalidTextForm(ValueError):
    """An invalid format or time zone; its text says why."""


class TimeReference(Enum):
    """The time zone in which a text gives a time."""

    ZONE = "the column's zone"
    OFFSET = "the offset in the text"
    UTC = "UTC"


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """A format of times for DuckDB.

    Attributes:
        pattern: an RE2 pattern that a text has to match to be parsed with the format.
        format: the format for `try_strptime`.
        clock: the time zone of the result.
    """

    pattern: str
    format: str
    clock: TimeReference


@dataclass(frozen=True, slots=True)
class WrittenForms:
    """A format of times in the notation of strptime.

    Attributes:
        text: the format as the mapping has it.
        pieces: its directives, and the characters between them.
        formats: the formats for DuckDB; there are two if it has `%z`, because the offset may also be written as `Z`.
        weekday: `%a` or `%A` if it has the day of the week, which is the only group of the pattern and has to fit the
            date.
    """

    text: str
    pieces: tuple[str, ...]
    formats: tuple[TimeFormat, ...]
    weekday: str | None


@dataclass(frozen=True, slots=True)
class TextForm:
    """The settings for the text of a column's cells.

    Attributes:
        times: formats of times in addition to RFC 3339: parsed strptime formats, or keywords.
        zone: the time zone of times without an offset; None for UTC.
        true: words for true, in addition to the usual ones.
        false: words for false, in addition to the usual ones.
        negated: whether the column means the opposite.
        flag: the bit of an integer that holds a boolean; None if the cell is not an integer of flags.
        iso: whether times in RFC 3339 are accepted; false if a format of `times` reads such texts as other times.
    """

    times: tuple[str | WrittenForms, ...] = ()
    zone: str | None = None
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    negated: bool = False
    flag: int | None = None
    iso: bool = True


DEFAULT_FORM: Final = TextForm()
"""The settings of columns for which a mapping sets nothing."""

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def _names(names: Sequence[str]) -> str:
    return "|".join(names)


_SHORT = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M"}
_ONE_OR_TWO = frozenset({"%d", "%m", "%H", "%I"})
"""Directives that accept a single digit, unless a digit or a directive of digits is next to them."""

_PATTERNS = {
    "%Y": r"\d{4}", "%y": r"\d\d", "%m": r"\d\d", "%d": r"\d\d", "%H": r"\d\d", "%I": r"\d\d", "%M": r"\d\d",
    "%S": r"\d\d", "%j": r"\d{3}", "%f": r"\d+", "%p": "AM|PM", "%z": OFFSET_PATTERN,
    "%b": _names([name[:3] for name in _MONTHS]), "%B": _names(_MONTHS),
    "%a": _names([name[:3] for name in _DAYS]), "%A": _names(_DAYS),
}  # fmt: skip
_EQUIVALENT = {"%B": "%b", "%A": "%a", "%Y": "%y"}
"""Directives that are equivalent to another one when directives are checked for repetition."""


def parse_time_form(text: str) -> str | WrittenForms:
    """Return a format of times: a keyword as it is, another text parsed as a strptime format.

    Raises:
        InvalidTextForm: it is neither.
    """
    return text if text in TIME_KEYWORDS else parse_strptime_format(text)


def parse_zone_setting(given: object) -> str | None:
    """Return the name of a time zone, or an offset such as `+05:30`; None for UTC.

    Raises:
        InvalidTextForm: the value is not text, or no such time zone exists.
    """
    if not isinstance(given, str):
        raise InvalidTextForm('it is not text; write zone = "Europe/Berlin"')
    if given == "Etc/UTC":
        return None
    try:
        zone = parse_zone(given)
    except UnknownZone as fault:
        raise InvalidTextForm(str(fault)) from None
    name = zone_name(zone)
    if name == "UTC":
        return None
    # names without a slash are refused: CET is ambiguous, and DuckDB does not know all abbreviations and countries
    if isinstance(zone, ZoneInfo) and "/" not in name and name not in ("EST", "MST", "HST"):
        raise InvalidTextForm(str(unknown_zone(given)))
    return name


def parse_strptime_format(text: str) -> WrittenForms:
    r"""Parse a format in the notation of strptime.

    `%d.%m.%Y` has the pieces `%d`, `.`, `%m`, `.`, `%Y` and the pattern
    `(?i)(?:\d{1,2})(?:\.)(?:\d{1,2})(?:\.)(?:\d{4})`.

    Raises:
        InvalidTextForm: a directive is unknown, repeated or incomplete, or the format has no date.
    """
    if "%" not in text:
        near = get_close_matches(text.casefold(), TIME_KEYWORDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidTextForm(
            f"{text!r} is neither a form with % such as %d.%m.%Y nor one of {', '.join(TIME_KEYWORDS)}{hint}"
        )
    pieces = tuple(_pieces(text))
    _check_directives(text, pieces)
    weekday = next((piece for piece in pieces if piece in ("%a", "%A")), None)
    formats = [
        TimeFormat(_pattern(pieces), _format(pieces), TimeReference.OFFSET if "%z" in pieces else TimeReference.ZONE)
    ]
    if "%z" in pieces:
        zulu = tuple("Z" if piece == "%z" else piece for piece in pieces)
        formats.append(TimeFormat(_pattern(zulu), _format(zulu), TimeReference.UTC))
    return WrittenForms(text, pieces, tuple(formats), weekday)


def _pieces(text: str) -> Iterator[str]:
    """Yield the directives of a format and, one by one, the characters between them.

    %F, %T and %R are expanded, `%-d` gives `%d`, and `%%` gives `%`.

    Raises:
        InvalidTextForm: a directive is unknown.
    """
    for name, short in _SHORT.items():
        text = re.sub(rf"(?<!%)((?:%%)*){name}", lambda found, short=short: found[1] + short, text)
    for found in re.finditer(r"%-?(.?)|[^%]", text, re.DOTALL):
        piece = found[0]
        if piece == "%%" or piece[0] != "%":
            yield "%" if piece == "%%" else piece
        elif f"%{found[1]}" in _PATTERNS:
            yield f"%{found[1]}"
        else:
            why = "; name the zone by zone" if piece == "%Z" else '; use "seconds"' if piece == "%s" else ""
            known = " ".join((*_PATTERNS, *_SHORT, "%%"))
            raise InvalidTextForm(f"{text!r} has {piece!r}, which is no directive{why}. There are: {known}")


def _check_directives(text: str, pieces: tuple[str, ...]) -> None:
    """Raise `InvalidTextForm` if the directives of a format repeat each other, or give no date or definite time."""
    directives = [_EQUIVALENT.get(piece, piece) for piece in pieces if _is_directive(piece)]
    repeated = sorted({piece for piece in directives if directives.count(piece) > 1})
    if repeated:
        raise InvalidTextForm(f"{text!r} gives {repeated[0]} twice")
    if "%y" not in directives or ("%j" in directives) == bool({"%b", "%m", "%d"} & set(directives)):
        raise InvalidTextForm(f"{text!r} gives no date: it needs %Y or %y, with %m (or %b, %B) and %d, or with %j")
    if "%j" not in directives and (("%b" in directives) == ("%m" in directives) or "%d" not in directives):
        raise InvalidTextForm(f"{text!r} gives no single date: write exactly one of %m, %b and %B, and also %d")
    if ("%I" in directives) != ("%p" in directives) or {"%H", "%I"} <= set(directives):
        raise InvalidTextForm(f"{text!r} gives no clear hour: use %H alone, or %I with %p")
    if "%f" in pieces and pieces[pieces.index("%f") - 1] not in (".", ","):
        raise InvalidTextForm(f"{text!r} has %f, a fraction of any length, without . or , before it")
    for part, before in (("%M", ("%H", "%I")), ("%S", ("%M",)), ("%f", ("%S",)), ("%z", ("%H", "%I"))):
        if part in directives and not set(before) & set(directives):
            raise InvalidTextForm(f"{text!r} gives {part} without {' or '.join(before)}")


def _is_directive(piece: str) -> bool:
    return len(piece) == 2


def _piece_patterns(pieces: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Return the regular expression of each piece, and its directive (None for other characters)."""
    patterns: list[tuple[str, str | None]] = []
    for index, piece in enumerate(pieces):
        if not _is_directive(piece):
            patterns.append((re.escape(piece), None))
            continue
        neighbours = (*pieces[max(index - 1, 0) : index], *pieces[index + 1 : index + 2])
        digits = any("\\d" in _PATTERNS[b] if _is_directive(b) else b.isdigit() for b in neighbours)
        patterns.append((r"\d{1,2}" if piece in _ONE_OR_TWO and not digits else _PATTERNS[piece], piece))
    return patterns


def _pattern(pieces: tuple[str, ...]) -> str:
    parts = (f"({part})" if name in ("%a", "%A") else f"(?:{part})" for part, name in _piece_patterns(pieces))
    return "(?i)" + "".join(parts)


def _format(pieces: tuple[str, ...]) -> str:
    return "".join("%%" if piece == "%" else piece for piece in pieces)


def _named_pattern(pieces: tuple[str, ...]) -> re.Pattern[str]:
    parts = (f"(?P<{name[1]}>{part})" if name else part for part, name in _piece_patterns(pieces))
    return re.compile("(?i)" + "".join(parts), re.ASCII)


_ISO = tuple(
    tuple(_pieces(text))
    for text in (
        "%Y-%m-%d",
        *(f"%Y-%m-%d{t}{c}{z}" for t in "T " for c in ("%R", "%T", "%T.%f") for z in ("", "%z", "Z", " %z", " Z")),
    )
)
"""The formats that are accepted in every column, to compare a mapping's formats with."""

_SAMPLES = (datetime(2010, 11, 12, 1, 2, 3), datetime(2001, 2, 3, 10, 11, 12), datetime(2012, 12, 11, 9, 10, 11))  # noqa: DTZ001
"""Times whose parts can be confused, because the day is also valid as a month, and so on."""


def find_ambiguous_formats(times: Sequence[str | WrittenForms]) -> tuple[str, str, str] | None:
    """Return two formats of a list that read the same text as different times, and such a text, or None.

    For `%d/%m/%Y` and `%m/%d/%Y` the text is `12/11/2010`. RFC 3339 is not compared here: if a format conflicts with
    it, the format takes precedence, see `compatible_with_rfc3339`.
    """
    written = [form for form in times if isinstance(form, WrittenForms)]
    readers: list[tuple[str, Callable[[str], object]]] = [(form.text, _reader(form.pieces)) for form in written]
    readers += [(form, _keyword_reader(form)) for form in times if isinstance(form, str)]
    for form in written:
        for text in _texts(form.pieces):
            mine = _reader(form.pieces)(text)
            for name, read in readers:
                other = read(text)
                if name != form.text and other is not None and other != mine:
                    return form.text, name, text
    return None


def compatible_with_rfc3339(times: Sequence[str | WrittenForms]) -> bool:
    """Return whether RFC 3339 can be accepted in addition to these formats.

    That is the case if no format reads a text in RFC 3339 as another time.
    """
    for form in times:
        if not isinstance(form, WrittenForms):
            continue
        mine = _reader(form.pieces)
        for pieces in _ISO:
            read = _reader(pieces)
            for text in (*_texts(pieces), *_texts(form.pieces)):
                if mine(text) is not None and read(text) is not None and mine(text) != read(text):
                    return False
    return True


def _texts(pieces: tuple[str, ...]) -> Iterator[str]:
    """Yield the sample times in a format."""
    for sample in _SAMPLES:
        yield "".join("+00:00" if t == "%z" else sample.strftime(t) if _is_directive(t) else t for t in pieces)


def _reader(pieces: tuple[str, ...]) -> Callable[[str], object]:
    """Return a function that parses a text by a format, to compare formats.

    It returns the time and the fraction of a second in nanoseconds, or None if the text does not fit.
    """
    pattern = _named_pattern(pieces)

    def read(text: str) -> object:
        found = pattern.fullmatch(text)
        if found is None:
            return None
        parts = {name: value.lower() for name, value in found.groupdict().items() if name not in "aAz"}
        year = parts.get("Y") or parts["y"]
        if len(year) == 2:
            year = ("20" if int(year) <= 68 else "19") + year
        hour = int(parts.get("H") or parts.get("I") or 0) % (12 if "I" in parts else 24) + 12 * (parts.get("p") == "pm")
        month = parts.get("m") or parts.get("b", "")[:3] or parts.get("B", "")[:3]
        if month and not month.isdigit():
            month = str([name[:3].lower() for name in _MONTHS].index(month) + 1)
        try:
            day = (
                datetime.strptime(f"{year} {parts['j']}", "%Y %j")  # noqa: DTZ007
                if "j" in parts
                else datetime(int(year), int(month), int(parts["d"]))  # noqa: DTZ001
            )
            fraction = int((parts.get("f") or "0").ljust(9, "0"))
            return day.replace(hour=hour, minute=int(parts.get("M", 0)), second=int(parts.get("S", 0))), fraction
        except ValueError:
            return None

    return read


def _keyword_reader(keyword: str) -> Callable[[str], object]:
    """Return a function that reads a text by a keyword, to compare it with formats.

    It returns the time for generalized time to the second, the keyword for numbers, and None if the text does not fit.
    """
    pattern = {
        "seconds": r"\d{9,10}(\.\d+)?",
        "milliseconds": r"\d{11,13}",
        "filetime": r"\d{18}",
        "ldap": rf"\d{{14}}([.,]\d+)?(Z|{OFFSET_PATTERN})?|(\d{{10}}|\d{{12}})(Z|{OFFSET_PATTERN})",
    }[keyword]

    def read(text: str) -> object:
        if not re.fullmatch(pattern, text, re.ASCII):
            return None
        if keyword == "ldap" and len(text) >= 14 and text[:14].isdigit():
            try:
                return datetime.strptime(text[:14], "%Y%m%d%H%M%S"), 0  # noqa: DTZ007
            except ValueError:
                return None
        return keyword

    return read


_FIRST = r"(?:CN|OU|O|UID|DC|L|ST|C|STREET|2\.5\.4\.\d+)"
_ALONE = r"(?:CN|OU|UID|2\.5\.4\.\d+)"
_TYPE = r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)"
_VALUE = r'(?:"(?:[^"\\]|\\.)*+"\s*+|[^,;+"<>\\]*+(?:\\.[^,;+"<>\\]*+)*+)'
_PAIR = rf"\s*+{_TYPE}\s*+=\s*+{_VALUE}"
# possessive quantifiers throughout: a long text that is not a name must be rejected without backtracking
_NAME = re.compile(
    rf"\s*+(?:{_ALONE}\s*+=\s*+(?P<only>{_VALUE})|{_FIRST}\s*+=\s*+(?P<value>{_VALUE})(?:[,;+]{_PAIR})++)",
    re.IGNORECASE | re.DOTALL,
)
_ESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)

DISTINGUISHED_NAME_PATTERN = rf"(?i)\s*{_FIRST}\s*=.*"
"""Matches every text for which `first_component_value` may return a name; valid in RE2 and Python."""


def first_component_value(text: str) -> str | None:
    r"""Return the value of the first component of a distinguished name, unescaped.

    `CN=Smith\, Ann,OU=Staff` gives "Smith, Ann", `CN=M\C3\BCller,DC=example` gives "Müller".

    Returns:
        None if the text is not a distinguished name, or if its value cannot be shown as text. A single component is
        only accepted with the types CN, OU and UID, because texts such as `c=3` or `o=all` may mean anything.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    value = found["only"] if found["only"] is not None else found["value"]
    if value.startswith("#"):  # an encoded value, not a text
        return None
    value = value.rstrip()[1:-1] if value.startswith('"') else _without_blanks(value)
    if "\\" not in value:
        return value or None
    try:
        return _ESCAPED.sub(_unescaped, value) or None
    except UnicodeDecodeError:
        return None


def _without_blanks(value: str) -> str:
    """Remove the blanks at the end, but not one that a backslash escapes."""
    short = value.rstrip()
    backslashes = len(short) - len(short.rstrip("\\"))
    return value[: len(short) + 1] if backslashes % 2 and len(short) < len(value) else short


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8") if found[1] else found[2]


_DISTINGUISHED = r"(?i)^\s*(cn|ou|o|uid|dc|l|st|c|street)\s*="
_BACKSLASHES, _SEPARATOR = "\x1d", "\x1e"
r"""Placeholders for `\\` and for the escaped separator while a cell is split; see `_split`."""


def split_cells(connection: Any, cells: pa.Array, separator: str | None) -> tuple[pa.Array, RecordNumbers]:
    r"""Split cells into their values. Values are trimmed; empty and repeated values of a cell are left out.

    A cell with a JSON array yields its elements, whatever the separator. In distinguished names an escaped separator
    does not split (`CN=Sales\;East,OU=Groups` is one value), since no name ends with a single backslash.

    An example: the cells `["b; a;b", "", "c"]` with the separator `;` yield the values `["b", "a", "c"]` and the
    indexes `[0, 0, 2]`.

    Args:
        connection: DuckDB, to parse JSON.
        cells: texts; null or empty if a cell has no value.
        separator: the separator of values; None if cells without a JSON array hold one value each.

    Returns:
        All values in order, and for each the index of its cell.
    """
    arrays = _arrays(connection, cells)
    if arrays is None and separator is None:
        filled = _filled(cells)
        return cells.filter(pa.array(filled)), np.flatnonzero(filled).astype(np.int64)
    lists = _split(cells, separator)
    if arrays is not None:
        lists = pc.coalesce(arrays, lists)
    values, cell_indexes = lists.flatten(), pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    values = pc.utf8_trim_whitespace(values)
    filled = _filled(values)
    if not filled.all():
        values, cell_indexes = values.filter(pa.array(filled)), cell_indexes[filled]
    first = _first_of_each(values, cell_indexes)
    return (values, cell_indexes) if first is None else (values.take(pa.array(first)), cell_indexes[first])


def as_lists(connection: Any, cells: pa.Array, separator: str | None) -> pa.Array:
    """Return the values of cells as an array of lists, one list per cell; see `split_cells`."""
    values, cell_indexes = split_cells(connection, cells, separator)
    offsets = np.zeros(len(cells) + 1, np.int32)
    np.cumsum(np.bincount(cell_indexes, minlength=len(cells)), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def has_arrays(cells: pa.Array) -> bool:
    """Return whether any cell begins with `[`, so that it may hold a JSON array."""
    return bool(pc.any(pc.starts_with(cells, "[")).as_py())


def first_of_each(columns: list[pa.Array]) -> RecordNumbers:
    """Return the index of the first row of each distinct combination of values, ascending.

    The columns are combined into one number per row. An example: of the columns `[x, y, x, x]` and `[p, p, q, p]` the
    codes are `[1, 2, 1, 1]` and `[1, 1, 2, 1]`, the combined numbers `[1, 4, 2, 1]`, the result `[0, 1, 2]`.
    """
    combined: Any = None
    for column in columns:
        codes = as_array(column).dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64) + 1
        if combined is None:
            combined = codes
        else:
            # renumbered without gaps at each step, so that the product fits into 64 bits
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64) * (int(codes.max(initial=0)) + 1)
            combined += codes
    return np.sort(np.unique(combined, return_index=True)[1])


def _first_of_each(values: pa.Array, cell_indexes: RecordNumbers) -> RecordNumbers | None:
    """Return the indexes of the values without repeats within a cell; None if no cell has several values."""
    if not len(cell_indexes) or not (np.diff(cell_indexes) == 0).any():
        return None
    return first_of_each([values, pa.array(cell_indexes)])


def _split(cells: pa.Array, separator: str | None) -> pa.Array:
    r"""Split cells at a separator, except at escaped separators of distinguished names.

    An example, with the separator `;`: in `CN=A\;B;CN=C` the escaped separator is replaced by U+001E, the text is
    split into `CN=A<U+001E>B` and `CN=C`, and the placeholder is replaced by `\;` again: `CN=A\;B`, `CN=C`. Escaped
    backslashes are hidden first, so that the separator in `CN=A\\;CN=B` is not taken for an escaped one.
    """
    if separator is None:
        return pa.ListArray.from_arrays(pa.array(np.arange(len(cells) + 1, dtype=np.int32)), cells)
    escaped = "\\" + separator
    if separator != "\\" and pc.any(pc.match_substring(cells, escaped)).as_py():
        names = pc.match_substring_regex(cells, _DISTINGUISHED)
        hidden = pc.replace_substring(cells, "\\\\", _BACKSLASHES)
        hidden = pc.replace_substring(hidden, escaped, _SEPARATOR)
        lists = as_array(pc.split_pattern(pc.if_else(names, hidden, cells), separator))
        values = pc.replace_substring(lists.flatten(), _SEPARATOR, escaped)
        values = pc.replace_substring(values, _BACKSLASHES, "\\\\")
        sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values)
    return as_array(pc.split_pattern(cells, separator))


def _arrays(connection: Any, cells: pa.Array) -> pa.Array | None:
    """Return the elements of cells that hold JSON arrays, null for other cells; None if no cell holds one."""
    if not has_arrays(cells):
        return None
    connection.register("cells", pa.table({"t": cells}))
    found = connection.sql(
        "SELECT CASE WHEN starts_with(t, '[') AND json_valid(t) THEN json_extract_string(t, '$[*]') END AS v FROM cells"
    ).to_arrow_table()
    arrays = as_array(found.column("v")).cast(pa.list_(pa.string()))
    return arrays if arrays.null_count < len(arrays) else None


def _filled(values: pa.Array) -> Any:
    filled = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0).fill_null(False)
    return filled.to_numpy(zero_copy_only=False)
