"""Propose how a mapping parses a column's cells as times or booleans, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from whohas.ingest.proposals.profile import FileProfile, ProfiledColumn
from whohas.ingest.proposals.times import ISO, are_numeric
from whohas.ingest.proposals.words import (
    BUILT_IN_BOOLEANS,
    DISABLED,
    FALSE_WORDS,
    IN_USE,
    TRUE_WORDS,
    Concept,
    all_in,
    normalized_word,
)
from whohas.ingest.proposals.written import Value
from whohas.plurals import pluralize

_ENOUGH = 0.8
"""The share of a column's cells that time formats must parse for the column to be proposed as a time."""

ACCOUNT_DISABLED = 2
"""The bit ACCOUNTDISABLE of Active Directory's attribute userAccountControl."""


@dataclass(frozen=True, slots=True)
class CellReading:
    """A proposal for parsing a column's cells.

    Attributes:
        value: the value of the column's key in the mapping; None if the cells cannot be parsed.
        why: the reason, or the reason why they cannot be parsed.
    """

    value: Value | None
    why: str


def propose_time(column: ProfiledColumn) -> CellReading:
    """Return the proposal for a column whose name says that it has times."""
    times = column.times
    name = quoted(column)
    if times is None or times.share < _ENOUGH:
        read = (
            f"only {times.parsed_cells:,} of {pluralize(times.examined_cells, 'cell')}"
            if times
            else "fewer than half of the cells"
        )
        shown = ", ".join(repr(value) for value, _ in column.frequent[:3])
        return CellReading(
            None,
            f"{name} is named like a time, but {read} can be parsed as one ({shown}); kept as an attribute. If they "
            "are times, write their form in the key times",
        )
    forms = [form for form in times.formats if form != ISO]
    shown = [*forms, *(["RFC 3339"] if ISO in times.formats else [])]
    why = f"{' and '.join(shown)}: reads {counted_of(times.parsed_cells, times.examined_cells)}"
    if times.unparsed:
        why += f"; not {', '.join(map(repr, times.unparsed))}, which {_become(len(times.unparsed))} empty"
    if times.ambiguous_with:
        why += f"; {times.ambiguous_with} reads as many: check whether the day or the month comes first"
    if times.has_local_times:
        why += "; times without an offset are in UTC unless the key zone names a time zone"
    if not forms:
        return CellReading(column.name, why)
    return CellReading({"column": column.name, "times": forms}, why)


def _become(count: int) -> str:
    return "becomes" if count == 1 else "become"


def propose_boolean(column: ProfiledColumn, negated: bool = False) -> CellReading:
    """Return the proposal for a column of words that mean yes and no.

    Args:
        column: the column.
        negated: whether it means the opposite of the warehouse's column, as `Enabled` does of `disabled`.
    """
    words = column.state_words
    if words is None or not all_in(words, TRUE_WORDS | FALSE_WORDS):
        unknown = [value for value, _ in column.frequent if normalized_word(value) not in TRUE_WORDS | FALSE_WORDS][:5]
        listed = ", ".join(map(repr, unknown)) or "many words"
        return CellReading(
            None,
            f"{quoted(column)}: unknown whether {listed} means yes or no; kept as an attribute. If you know, list the "
            "words in the keys true and false",
        )
    yes = [value for value in words if normalized_word(value) in TRUE_WORDS]
    no = [value for value in words if normalized_word(value) not in TRUE_WORDS]
    seen = f"its words: {', '.join(f'{value} ({n:,})' for value, n in column.frequent)}"
    unusual_yes = [value for value in yes if value.casefold() not in BUILT_IN_BOOLEANS]
    unusual_no = [value for value in no if value.casefold() not in BUILT_IN_BOOLEANS]
    if not unusual_yes and not unusual_no:
        return CellReading({"column": column.name, "not": True} if negated else column.name, seen)
    if negated and len(unusual_yes) == len(yes) and len(unusual_no) == len(no):
        return _lists(column, unusual_no, unusual_yes, seen)
    reading = _lists(column, unusual_yes, unusual_no, seen)
    if negated and isinstance(reading.value, dict):
        return CellReading({"column": column.name, "not": True, **reading.value}, seen)
    return reading


def propose_disabled_from_status(column: ProfiledColumn) -> CellReading:
    """Return the proposal for `disabled` from a column of states such as `active` and `terminated`.

    Its `value` is None, and `why` says the reason, if there are too many states or one cannot be classified.
    """
    words = column.state_words
    if words is None:
        return CellReading(None, f"{quoted(column)} has {column.distinct:,} different values, too many for a status")
    if all_in(words, TRUE_WORDS | FALSE_WORDS) and not all_in(words, IN_USE | DISABLED):
        return CellReading(
            None, f"{quoted(column)}: {', '.join(map(repr, words))} do not show whether yes means in use or disabled"
        )
    unknown = [value for value in words if normalized_word(value) not in IN_USE | DISABLED]
    if unknown:
        listed = ", ".join(map(repr, unknown))
        return CellReading(
            None,
            f"{quoted(column)}: {listed} cannot be told to mean in use or not. If you know, add "
            f'disabled = {{ column = "{column.name}", true = [the words for disabled], false = [all others] }}',
        )
    ended = [value for value in words if normalized_word(value) in DISABLED]
    seen = f"its words: {', '.join(f'{value} ({n:,})' for value, n in column.frequent)}"
    if not ended:
        seen += "; none of them means disabled: add such a word to true when you see one"
    return _lists(column, ended, [value for value in words if value not in ended], seen)


def _lists(column: ProfiledColumn, yes: list[str], no: list[str], why: str) -> CellReading:
    """Return a proposal that lists the words for true and for false."""
    value: dict[str, Value] = {"column": column.name}
    if yes:
        value["true"] = sorted(yes, key=str.casefold)
    if no:
        value["false"] = sorted(no, key=str.casefold)
    return CellReading(value, why)


def propose_disabled(profile: FileProfile) -> list[CellReading]:
    """Return the proposals for `disabled` from all columns of a file: those with a value first."""
    found: list[CellReading] = []
    for column in profile.columns_of(Concept.UAC):
        if column.shape_share("integer") == 1:
            flags = CellReading(
                {"column": column.name, "flag": ACCOUNT_DISABLED},
                f"bit {ACCOUNT_DISABLED} of userAccountControl is ACCOUNTDISABLE",
            )
            found.append(flags)
    found += [propose_boolean(column, negated=True) for column in profile.columns_of(Concept.ENABLED)]
    found += [propose_boolean(column) for column in profile.columns_of(Concept.DISABLED)]
    found += [propose_disabled_from_status(column) for column in profile.columns_of(Concept.STATUS)]
    return sorted(found, key=lambda reading: reading.value is None)


def has_times(column: ProfiledColumn) -> bool:
    """Return whether a column has times by its cells alone, without plain numbers that only might be times."""
    times = column.times
    return times is not None and times.share >= _ENOUGH and not are_numeric(times)


def quoted(column: ProfiledColumn) -> str:
    """Return the column's name in double quotes, for a comment."""
    return f'"{column.name}"'


def counted_of(part: int, of: int) -> str:
    """Return `all 12 cells` or `11 of 12 cells`."""
    cells = pluralize(of, "cell")
    return f"all {cells}" if part == of else f"{part:,} of {cells}"
