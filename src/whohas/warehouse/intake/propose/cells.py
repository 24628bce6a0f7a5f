"""Times, booleans and lists: how a column is read, and why."""

from __future__ import annotations

from dataclasses import dataclass

from whohas.plurals import counted
from whohas.warehouse.intake.propose.profile import Column, Profile
from whohas.warehouse.intake.propose.times import ISO, is_number
from whohas.warehouse.intake.propose.words import BUILT_IN, ENDED, FALSE, TRUE, WORKING, Concept, all_in, word
from whohas.warehouse.intake.propose.written import Value

_ENOUGH = 0.8
"""The share of a column's cells that a form has to read for the column to be proposed as a time."""

ACCOUNT_DISABLED = 2
"""The bit of userAccountControl by which an account is disabled (ACCOUNTDISABLE)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a column's cells are read: what the mapping says, and why. Without a value only the reason counts."""

    value: Value | None
    why: str


def time_reading(column: Column) -> Reading:
    """Return how a column is read as times."""
    times = column.times
    name = quoted(column)
    if times is None or times.share < _ENOUGH:
        read = f"only {times.read:,} of {counted(times.of, 'cell')}" if times else "no half of the cells"
        shown = ", ".join(repr(value) for value, _ in column.frequent[:3])
        return Reading(None, f"{name} has the name of a time, but {read} can be read as one ({shown}): an attribute")
    forms = [form for form in times.formats if form != ISO]
    shown = [*forms, *(["RFC 3339"] if ISO in times.formats else [])]
    why = f"{' and '.join(shown)}: reads {count(times.read, times.of)}"
    if times.unread:
        why += f"; not {', '.join(map(repr, times.unread))}, which {_become(len(times.unread))} empty"
    if times.other:
        why += f"; {times.other} reads as many: make sure which of day and month comes first"
    if times.local:
        why += "; without an offset it is UTC unless zone says otherwise"
    if not forms:
        return Reading(column.name, why)
    return Reading({"column": column.name, "times": forms}, why)


def _become(count: int) -> str:
    return "becomes" if count == 1 else "become"


def boolean_reading(column: Column, negated: bool = False) -> Reading:
    """Return how a column of words that mean yes and no is read.

    Args:
        negated: whether the column means the opposite of ours, as `Enabled` does of `disabled`.
    """
    words = column.words
    if words is None or not all_in(words, TRUE | FALSE):
        unknown = [value for value, _ in column.frequent if word(value) not in TRUE | FALSE][:5]
        listed = ", ".join(map(repr, unknown)) or "many words"
        return Reading(None, f"{quoted(column)}: {listed} cannot be told to mean yes or no: an attribute")
    yes = [value for value in words if word(value) in TRUE]
    no = [value for value in words if word(value) not in TRUE]
    seen = f"its words: {', '.join(f'{value} ({n:,})' for value, n in column.frequent)}"
    own_yes = [value for value in yes if value.casefold() not in BUILT_IN]
    own_no = [value for value in no if value.casefold() not in BUILT_IN]
    if not own_yes and not own_no:
        return Reading({"column": column.name, "not": True} if negated else column.name, seen)
    if negated and len(own_yes) == len(yes) and len(own_no) == len(no):
        return _lists(column, own_no, own_yes, seen)
    reading = _lists(column, own_yes, own_no, seen)
    if negated and isinstance(reading.value, dict):
        return Reading({"column": column.name, "not": True, **reading.value}, seen)
    return reading


def status_reading(column: Column) -> Reading:
    """Return how a column of states says that an account is disabled."""
    words = column.words
    if words is None:
        return Reading(None, f"{quoted(column)} has {column.distinct:,} different values, too many for a status")
    if all_in(words, TRUE | FALSE) and not all_in(words, WORKING | ENDED):
        return Reading(None, f"{quoted(column)}: {', '.join(map(repr, words))} do not say whether yes means in use")
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
    value: dict[str, Value] = {"column": column.name}
    if yes:
        value["true"] = sorted(yes, key=str.casefold)
    if no:
        value["false"] = sorted(no, key=str.casefold)
    return Reading(value, why)


def disabled_readings(profile: Profile) -> list[Reading]:
    """Return how a file says that an account is disabled: what can be read first, then what cannot."""
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
    """Whether a column without a known name has times, and not just numbers that could be some."""
    times = column.times
    return times is not None and times.share >= _ENOUGH and not is_number(times)


def quoted(column: Column) -> str:
    return f'"{column.name}"'


def count(part: int, of: int) -> str:
    """Return `all 12 cells` or `11 of 12 cells`."""
    cells = counted(of, "cell")
    return f"all {cells}" if part == of else f"{part:,} of {cells}"
