"""Propose how a mapping parses a column's cells as times or booleans, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from whohas.ingest.proposals.profile import Column, Profile
from whohas.ingest.proposals.times import ISO, is_number
from whohas.ingest.proposals.words import BUILT_IN, ENDED, FALSE, TRUE, WORKING, Concept, all_in, word
from whohas.ingest.proposals.written import Value
from whohas.plurals import counted

_ENOUGH = 0.8
"""The share of a column's cells that time formats must parse for the column to be proposed as a time."""

ACCOUNT_DISABLED = 2
"""The bit ACCOUNTDISABLE of Active Directory's attribute userAccountControl."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A proposal for parsing a column's cells.

    Attributes:
        value: the value of the column's key in the mapping; None if the cells cannot be parsed.
        why: the reason, or the reason why they cannot be parsed.
    """

    value: Value | None
    why: str


def time_reading(column: Column) -> Reading:
    """Return the proposal for a column whose name says that it has times."""
    times = column.times
    name = quoted(column)
    if times is None or times.share < _ENOUGH:
        read = f"only {times.read:,} of {counted(times.of, 'cell')}" if times else "fewer than half of the cells"
        shown = ", ".join(repr(value) for value, _ in column.frequent[:3])
        return Reading(
            None, f"{name} is named like a time, but {read} can be parsed as one ({shown}); kept as an attribute"
        )
    forms = [form for form in times.formats if form != ISO]
    shown = [*forms, *(["RFC 3339"] if ISO in times.formats else [])]
    why = f"{' and '.join(shown)}: reads {count(times.read, times.of)}"
    if times.unread:
        why += f"; not {', '.join(map(repr, times.unread))}, which {_become(len(times.unread))} empty"
    if times.other:
        why += f"; {times.other} reads as many: check whether the day or the month comes first"
    if times.local:
        why += "; times without an offset are in UTC unless the key zone names a time zone"
    if not forms:
        return Reading(column.name, why)
    return Reading({"column": column.name, "times": forms}, why)


def _become(count: int) -> str:
    return "becomes" if count == 1 else "become"


def boolean_reading(column: Column, negated: bool = False) -> Reading:
    """Return the proposal for a column of words that mean yes and no.

    Args:
        column: the column.
        negated: whether it means the opposite of the warehouse's column, as `Enabled` does of `disabled`.
    """
    words = column.words
    if words is None or not all_in(words, TRUE | FALSE):
        unknown = [value for value, _ in column.frequent if word(value) not in TRUE | FALSE][:5]
        listed = ", ".join(map(repr, unknown)) or "many words"
        return Reading(None, f"{quoted(column)}: unknown whether {listed} means yes or no; kept as an attribute")
    yes = [value for value in words if word(value) in TRUE]
    no = [value for value in words if word(value) not in TRUE]
    seen = f"its words: {', '.join(f'{value} ({n:,})' for value, n in column.frequent)}"
    unusual_yes = [value for value in yes if value.casefold() not in BUILT_IN]
    unusual_no = [value for value in no if value.casefold() not in BUILT_IN]
    if not unusual_yes and not unusual_no:
        return Reading({"column": column.name, "not": True} if negated else column.name, seen)
    if negated and len(unusual_yes) == len(yes) and len(unusual_no) == len(no):
        return _lists(column, unusual_no, unusual_yes, seen)
    reading = _lists(column, unusual_yes, unusual_no, seen)
    if negated and isinstance(reading.value, dict):
        return Reading({"column": column.name, "not": True, **reading.value}, seen)
    return reading


def status_reading(column: Column) -> Reading:
    """Return the proposal for `disabled` from a column of states such as `active` and `terminated`."""
    words = column.words
    if words is None:
        return Reading(None, f"{quoted(column)} has {column.distinct:,} different values, too many for a status")
    if all_in(words, TRUE | FALSE) and not all_in(words, WORKING | ENDED):
        return Reading(
            None, f"{quoted(column)}: {', '.join(map(repr, words))} do not show whether yes means in use or disabled"
        )
    unknown = [value for value in words if word(value) not in WORKING | ENDED]
    if unknown:
        listed = ", ".join(map(repr, unknown))
        return Reading(
            None,
            f"{quoted(column)}: {listed} cannot be told to mean in use or not. If you know, add "
            f'disabled = {{ column = "{column.name}", true = [the words for disabled], false = [all others] }}',
        )
    ended = [value for value in words if word(value) in ENDED]
    seen = f"its words: {', '.join(f'{value} ({n:,})' for value, n in column.frequent)}"
    if not ended:
        seen += "; none of them means disabled: add such a word to true when you see one"
    return _lists(column, ended, [value for value in words if value not in ended], seen)


def _lists(column: Column, yes: list[str], no: list[str], why: str) -> Reading:
    """Return a proposal that lists the words for true and for false."""
    value: dict[str, Value] = {"column": column.name}
    if yes:
        value["true"] = sorted(yes, key=str.casefold)
    if no:
        value["false"] = sorted(no, key=str.casefold)
    return Reading(value, why)


def disabled_readings(profile: Profile) -> list[Reading]:
    """Return the proposals for `disabled` from all columns of a file: those with a value first."""
    found: list[Reading] = []
    for column in profile.of(Concept.UAC):
        if column.shape("integer") == 1:
            flags = Reading(
                {"column": column.name, "flag": ACCOUNT_DISABLED},
                f"bit {ACCOUNT_DISABLED} of userAccountControl is ACCOUNTDISABLE",
            )
            found.append(flags)
    found += [boolean_reading(column, negated=True) for column in profile.of(Concept.ENABLED)]
    found += [boolean_reading(column) for column in profile.of(Concept.DISABLED)]
    found += [status_reading(column) for column in profile.of(Concept.STATUS)]
    return sorted(found, key=lambda reading: reading.value is None)


def is_time(column: Column) -> bool:
    """Return whether a column has times by its cells alone, without plain numbers that only might be times."""
    times = column.times
    return times is not None and times.share >= _ENOUGH and not is_number(times)


def quoted(column: Column) -> str:
    """Return the column's name in double quotes, for a comment."""
    return f'"{column.name}"'


def count(part: int, of: int) -> str:
    """Return `all 12 cells` or `11 of 12 cells`."""
    cells = counted(of, "cell")
    return f"all {cells}" if part == of else f"{part:,} of {cells}"
