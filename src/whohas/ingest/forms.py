"""How a column's cells are written: forms of times, words of booleans. Mappings say it; without one it is `USUAL`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from whohas.warehouse.times import OFFSET
from whohas.zones import UnknownZone, parse_zone, unknown_zone, zone_name

NUMBERS: Final = ("seconds", "milliseconds", "filetime")
KEYWORDS: Final = ("ldap", *NUMBERS)

TRUE: Final = ("true", "t", "yes", "y", "1")
FALSE: Final = ("false", "f", "no", "n", "0")


class FormFault(ValueError):
    """A form that is none; its text says what is wrong with it."""


class Clock(Enum):
    """The clock that a text's time is by."""

    ZONE = "the column's zone"
    OFFSET = "the offset in the text"
    UTC = "UTC"


@dataclass(frozen=True, slots=True)
class Format:
    """A form of times for the engine.

    Attributes:
        pattern: the only texts that are read by it, for RE2.
        format: for `try_strptime`.
    """

    pattern: str
    format: str
    clock: Clock


@dataclass(frozen=True, slots=True)
class Written:
    """A form of times in strptime's notation.

    Attributes:
        text: as the mapping has it.
        pieces: its directives and the characters between them.
        formats: for the engine; several where it has `%z`, which may be `Z` too.
        weekday: `%a` or `%A` if it names the day, the only group of the pattern; it has to be that of the date.
    """

    text: str
    pieces: tuple[str, ...]
    formats: tuple[Format, ...]
    weekday: str | None


@dataclass(frozen=True, slots=True)
class Form:
    """How the cells of a column are written.

    Attributes:
        times: further forms of times: strptime's, or keywords.
        zone: of times without an offset; None for UTC.
        true: words for true, in addition to the usual ones; likewise `false`.
        negated: whether the column says the opposite.
        flag: the bit of an integer that a boolean is.
        iso: whether times are read as RFC 3339 too; not where a form of `times` reads the same texts otherwise.
    """

    times: tuple[str | Written, ...] = ()
    zone: str | None = None
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    negated: bool = False
    flag: int | None = None
    iso: bool = True


USUAL: Final = Form()

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def _names(names: Sequence[str]) -> str:
    return "|".join(names)


_SHORT = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M"}
_ONE_OR_TWO = frozenset({"%d", "%m", "%H", "%I"})
"""Directives that may be one digit, unless another digit is beside them."""

_PATTERNS = {
    "%Y": r"\d{4}", "%y": r"\d\d", "%m": r"\d\d", "%d": r"\d\d", "%H": r"\d\d", "%I": r"\d\d", "%M": r"\d\d",
    "%S": r"\d\d", "%j": r"\d{3}", "%f": r"\d+", "%p": "AM|PM", "%z": OFFSET,
    "%b": _names([name[:3] for name in _MONTHS]), "%B": _names(_MONTHS),
    "%a": _names([name[:3] for name in _DAYS]), "%A": _names(_DAYS),
}  # fmt: skip
_SAME = {"%B": "%b", "%A": "%a", "%Y": "%y"}
"""Directives that say the same as another."""


def read_form(text: str) -> str | Written:
    """A form of times: a keyword, or strptime's notation.

    Raises:
        FormFault: it is neither.
    """
    return text if text in KEYWORDS else read_format(text)


def read_zone(given: object) -> str | None:
    """A time zone's name, or a difference from UTC as `+05:30`; None for UTC.

    Raises:
        FormFault: there is none of that name.
    """
    if not isinstance(given, str):
        raise FormFault('it is no text; write zone = "Europe/Berlin"')
    if given == "Etc/UTC":
        return None
    try:
        zone = parse_zone(given)
    except UnknownZone as fault:
        raise FormFault(str(fault)) from None
    name = zone_name(zone)
    if name == "UTC":
        return None
    # abbreviations and countries are refused: CET is no place, and DuckDB does not know all of them
    if isinstance(zone, ZoneInfo) and "/" not in name and name not in ("EST", "MST", "HST"):
        raise FormFault(str(unknown_zone(given)))
    return name


def read_format(text: str) -> Written:
    """A form in strptime's notation.

    Raises:
        FormFault: it has a directive that is not known or makes no sense there, or gives no date.
    """
    if "%" not in text:
        near = get_close_matches(text.casefold(), KEYWORDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise FormFault(f"{text!r} is neither a form with % such as %d.%m.%Y nor one of {', '.join(KEYWORDS)}{hint}")
    pieces = tuple(_pieces(text))
    _check(text, pieces)
    weekday = next((piece for piece in pieces if piece in ("%a", "%A")), None)
    formats = [Format(_pattern(pieces), _format(pieces), Clock.OFFSET if "%z" in pieces else Clock.ZONE)]
    if "%z" in pieces:
        zulu = tuple("Z" if piece == "%z" else piece for piece in pieces)
        formats.append(Format(_pattern(zulu), _format(zulu), Clock.UTC))
    return Written(text, pieces, tuple(formats), weekday)


def _pieces(text: str) -> Iterator[str]:
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
            raise FormFault(f"{text!r} has {piece!r}, which is no directive{why}. There are: {known}")


def _check(text: str, pieces: tuple[str, ...]) -> None:
    given = [_SAME.get(piece, piece) for piece in pieces if _is_directive(piece)]
    twice = sorted({piece for piece in given if given.count(piece) > 1})
    if twice:
        raise FormFault(f"{text!r} gives {twice[0]} twice")
    if "%y" not in given or ("%j" in given) == bool({"%b", "%m", "%d"} & set(given)):
        raise FormFault(f"{text!r} gives no date: it needs %Y or %y, with %m (or %b, %B) and %d, or with %j")
    if "%j" not in given and (("%b" in given) == ("%m" in given) or "%d" not in given):
        raise FormFault(f"{text!r} gives no date: it needs one of %m, %b and %B, and %d")
    if ("%I" in given) != ("%p" in given) or {"%H", "%I"} <= set(given):
        raise FormFault(f"{text!r} gives no clear hour: %H alone, or %I with %p")
    if "%f" in pieces and pieces[pieces.index("%f") - 1] not in (".", ","):
        raise FormFault(f"{text!r} has %f, a fraction of any length, without . or , before it")
    for part, before in (("%M", ("%H", "%I")), ("%S", ("%M",)), ("%f", ("%S",)), ("%z", ("%H", "%I"))):
        if part in given and not set(before) & set(given):
            raise FormFault(f"{text!r} gives {part} without {' or '.join(before)}")


def _is_directive(piece: str) -> bool:
    return len(piece) == 2


def _parts(pieces: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """The pattern of each piece, and the directive that it is."""
    found: list[tuple[str, str | None]] = []
    for place, piece in enumerate(pieces):
        if not _is_directive(piece):
            found.append((re.escape(piece), None))
            continue
        beside = (*pieces[max(place - 1, 0) : place], *pieces[place + 1 : place + 2])
        digits = any("\\d" in _PATTERNS[b] if _is_directive(b) else b.isdigit() for b in beside)
        found.append((r"\d{1,2}" if piece in _ONE_OR_TWO and not digits else _PATTERNS[piece], piece))
    return found


def _pattern(pieces: tuple[str, ...]) -> str:
    parts = (f"({part})" if name in ("%a", "%A") else f"(?:{part})" for part, name in _parts(pieces))
    return "(?i)" + "".join(parts)


def _format(pieces: tuple[str, ...]) -> str:
    return "".join("%%" if piece == "%" else piece for piece in pieces)


def _named(pieces: tuple[str, ...]) -> re.Pattern[str]:
    parts = (f"(?P<{name[1]}>{part})" if name else part for part, name in _parts(pieces))
    return re.compile("(?i)" + "".join(parts), re.ASCII)


_ISO = tuple(
    tuple(_pieces(text))
    for text in (
        "%Y-%m-%d",
        *(f"%Y-%m-%d{t}{c}{z}" for t in "T " for c in ("%R", "%T", "%T.%f") for z in ("", "%z", "Z", " %z", " Z")),
    )
)
"""The forms that are always read, for comparison with those of a mapping."""

_SAMPLES = (datetime(2010, 11, 12, 1, 2, 3), datetime(2001, 2, 3, 10, 11, 12), datetime(2012, 12, 11, 9, 10, 11))  # noqa: DTZ001
"""Times whose parts can be taken for each other."""


def ambiguous(times: Sequence[str | Written]) -> tuple[str, str, str] | None:
    """Two of a list of forms that read a text as different times, and such a text.

    A text that RFC 3339 reads otherwise than a form is none: the form counts then, see `reads_iso`.
    """
    written = [form for form in times if isinstance(form, Written)]
    readers: list[tuple[str, Callable[[str], object]]] = [(form.text, _reader(form.pieces)) for form in written]
    readers += [(form, _counts(form)) for form in times if isinstance(form, str)]
    for form in written:
        for text in _texts(form.pieces):
            mine = _reader(form.pieces)(text)
            for name, read in readers:
                other = read(text)
                if name != form.text and other is not None and other != mine:
                    return form.text, name, text
    return None


def reads_iso(times: Sequence[str | Written]) -> bool:
    """Whether RFC 3339 can be read beside these forms: none of them reads its texts as other times."""
    for form in times:
        if not isinstance(form, Written):
            continue
        mine = _reader(form.pieces)
        for pieces in _ISO:
            read = _reader(pieces)
            for text in (*_texts(pieces), *_texts(form.pieces)):
                if mine(text) is not None and read(text) is not None and mine(text) != read(text):
                    return False
    return True


def _texts(pieces: tuple[str, ...]) -> Iterator[str]:
    for sample in _SAMPLES:
        yield "".join("+00:00" if t == "%z" else sample.strftime(t) if _is_directive(t) else t for t in pieces)


def _reader(pieces: tuple[str, ...]) -> Callable[[str], object]:
    pattern = _named(pieces)

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


def _counts(keyword: str) -> Callable[[str], object]:
    """Whether a number or a generalized time may be what a text is."""
    pattern = {
        "seconds": r"\d{9,10}(\.\d+)?",
        "milliseconds": r"\d{11,13}",
        "filetime": r"\d{18}",
        "ldap": rf"\d{{14}}([.,]\d+)?(Z|{OFFSET})?|(\d{{10}}|\d{{12}})(Z|{OFFSET})",
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
