"""Read the parts of a mapping that name a file's columns and say how the text of their cells is to be converted.

`ColumnSettingsReader` checks the tables `[values]` and `[accounts.columns]` (and similar ones) of the TOML file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from whohas.errors import InvalidArguments
from whohas.ingest.forms import (
    DEFAULT_FORM,
    InvalidTextForm,
    TextForm,
    WrittenForms,
    compatible_with_rfc3339,
    find_ambiguous_formats,
    parse_time_form,
    parse_zone_setting,
)
from whohas.warehouse.columns import BOOLEAN, TIME, Table

COLUMN_KEYS: Final = ("column", "not", "flag", "times", "zone", "true", "false")
"""Keys of the inline table that describes one column, such as `{ column = "enabled", not = true }`."""

VALUES_KEYS: Final = ("times", "zone", "true", "false", "empty")
"""Keys of the table [values]."""

ErrorFactory = Callable[[str], InvalidArguments]


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """The column of a file from which a column of a table is read.

    Attributes:
        column: its name in the file's header.
        form: how to convert the text of its cells.
    """

    column: str
    form: TextForm = DEFAULT_FORM


@dataclass(frozen=True, slots=True)
class ValueDefaults:
    """The defaults that a mapping's table [values] sets for all its columns.

    Attributes:
        form: how to convert cells of columns that set nothing else.
        empty: texts that are read as an empty cell.
    """

    form: TextForm = DEFAULT_FORM
    empty: tuple[str, ...] = ()


_OPPOSITES: Final = {
    "disabled": (("enabled", "active", "activated", "aktiv", "aktiviert", "actif", "activo"), ("disabled", "inactive")),
    "inactive": (("enabled", "active", "activated", "aktiv", "aktiviert", "actif", "activo"), ("disabled", "inactive")),
    "locked": (("unlocked", "enabled", "active"), ("locked", "lockedout")),
    "correlated": (("uncorrelated",), ("correlated",)),
    "uncorrelated": (("correlated",), ("uncorrelated",)),
}
"""By column of a table: words in the name of a file's column that mean the opposite, and words that mean the same.

They serve to warn: `disabled` read from a column `isActive` probably lacks `not = true`.
"""

_FLAGS: Final = {
    "useraccountcontrol": {"disabled": 2, "inactive": 2, "locked": 16},
    "msdsuseraccountcontrolcomputed": {"locked": 16},
}
"""Columns of Active Directory that hold an integer of bit flags, with the bit for each column of a table."""


class ColumnSettingsReader:
    """Reads and checks the columns of a mapping.

    Args:
        fault: creates the error for a message, with the mapping's path.

    Attributes:
        notes: messages about settings that are valid, but probably a mistake.
    """

    def __init__(self, fault: ErrorFactory) -> None:
        self._fault = fault
        self._values = ValueDefaults()
        self.notes: list[str] = []

    def read_values(self, section: Mapping[str, Any]) -> ValueDefaults:
        """Read the table [values], whose settings become the defaults of columns that are read afterwards.

        Raises:
            InvalidArguments: a value is not valid.
        """
        form = self._form(section, "values", DEFAULT_FORM)
        self._values = ValueDefaults(form, self._texts(section, "values", "empty", DEFAULT_FORM.true))
        return self._values

    def read_column(self, key: str, given: object, kind: Any) -> ColumnSource | None:
        """Read the value of a key in [accounts.columns] or a similar table.

        Args:
            key: the key's full path, such as `accounts.columns.disabled`, for messages.
            given: the value: the name of a column, or an inline table of `COLUMN_KEYS`.
            kind: the type of the table's column.

        Returns:
            None if the value is neither text nor an inline table, or is an empty text.

        Raises:
            InvalidArguments: a key of the inline table is unknown, has a wrong value or does not fit the column's type.
        """
        if not isinstance(given, (str, dict)):
            return None
        table = {"column": given} if isinstance(given, str) else cast("dict[str, Any]", given)
        for name in table:
            if name not in COLUMN_KEYS:
                raise self._fault(f"{key}.{name} is not known; there are: {', '.join(COLUMN_KEYS)}")
        column = table.get("column")
        if not isinstance(column, str) or not column:
            if isinstance(given, str):
                return None
            raise self._fault(f'{key} names no column: write {{ column = "…" }}')
        self._check_kind(key, table, kind)
        form = self._form(table, key, self._values.form)
        if kind == BOOLEAN:
            self._check_boolean(key, column, table, form)
        return ColumnSource(column, form)

    def _check_kind(self, key: str, table: Mapping[str, Any], kind: Any) -> None:
        for names, type, description in (
            (("times", "zone"), TIME, "a time"),
            (("not", "flag", "true", "false"), BOOLEAN, "true or false"),
        ):
            for name in names:
                if name in table and kind != type:
                    raise self._fault(f"{key}.{name} is for columns that are {description}, which this one is not")

    def _check_boolean(self, key: str, column: str, table: Mapping[str, Any], form: TextForm) -> None:
        target, letters = key.rpartition(".")[2], re.sub(r"[^a-z]", "", column.lower())
        flag = _FLAGS.get(letters, {}).get(target)
        has_words = "true" in table or "false" in table
        if form.flag is None and letters in _FLAGS and not has_words:
            hint = f': write {target} = {{ column = "{column}", flag = {flag} }}' if flag else "; choose one with flag"
            raise self._fault(f"{key} is true or false, and {column} holds an integer of flags{hint}")
        opposite, same = _OPPOSITES.get(target, ((), ()))
        words = _words(column)
        if form.flag is not None or has_words or not words or {"not", "non", "no", "nicht"} & words:
            return
        if words & set(opposite) and not words & set(same) and not form.negated:
            self.notes.append(
                f"{key} is read from {column!r}, whose name says the opposite: if it does, write "
                f'{target} = {{ column = "{column}", not = true }}.'
            )
        if words & set(same) and not words & set(opposite) and form.negated:
            self.notes.append(
                f"{key} is read from {column!r} with not = true, although its name says the same: "
                "check whether not = true is right."
            )

    def _form(self, table: Mapping[str, Any], key: str, base: TextForm) -> TextForm:
        form = base
        if "times" in table:
            form = replace(form, times=self._times(table["times"], key))
        if "zone" in table:
            try:
                form = replace(form, zone=parse_zone_setting(table["zone"]))
            except InvalidTextForm as error:
                raise self._fault(f"{key}.zone: {error}") from None
        form = replace(
            form,
            true=self._texts(table, key, "true", form.true),
            false=self._texts(table, key, "false", form.false),
        )
        both = {word.strip().lower() for word in form.true} & {word.strip().lower() for word in form.false}
        if both:
            raise self._fault(f"{key}: {min(both)!r} is both in true and in false")
        negated, flag = table.get("not", False), table.get("flag")
        if not isinstance(negated, bool):
            raise self._fault(f"{key}.not is neither true nor false")
        if flag is not None:
            if isinstance(flag, bool) or not isinstance(flag, int) or flag <= 0 or flag & (flag - 1) or flag >= 1 << 62:
                raise self._fault(f"{key}.flag is no bit: write 1, 2, 4, 8 and so on, or 0x10")
            if "true" in table or "false" in table:
                raise self._fault(f"{key} has flag and words for true or false: keep one")
        return replace(form, negated=negated, flag=flag, iso=compatible_with_rfc3339(form.times))

    def _times(self, given: object, key: str) -> tuple[str | WrittenForms, ...]:
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise self._fault(f'{key}.times takes a list of formats, such as ["%d.%m.%Y", "ldap"]')
        try:
            times = tuple(dict.fromkeys(parse_time_form(text) for text in texts))
        except InvalidTextForm as error:
            raise self._fault(f"{key}.times: {error}") from None
        if clash := find_ambiguous_formats(times):
            first, second, text = clash
            raise self._fault(
                f"{key}.times is ambiguous: {first} and {second} read {text!r} as different times; keep one"
            )
        return times

    def _texts(self, table: Mapping[str, Any], key: str, name: str, base: tuple[str, ...]) -> tuple[str, ...]:
        texts = table.get(name)
        if texts is None:
            return base
        if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
            raise self._fault(f'{key}.{name} takes a list of texts, such as {name} = ["{_EXAMPLES[name]}"]')
        return tuple(dict.fromkeys(texts))


_EXAMPLES: Final = {"true": "enabled", "false": "disabled", "empty": "n/a"}


def column_type(table: Table | None, name: str) -> Any:
    """Return the type of the column of a table that a mapping's key fills, or None if there is no table."""
    if table is None:
        return None
    return table.column("correlated" if name == "uncorrelated" else name).type


def _words(column: str) -> set[str]:
    """Return the words in a column's name, without is, has and account: `isActive` and `is_active` give {"active"}."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", column)} - {"is", "has", "account"}
