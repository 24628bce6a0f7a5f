"""Parse mappings: TOML files that assign the columns of CSV, XLSX or Parquet files to columns of tables.

`read_mapping` checks a whole TOML file and returns a `SourceMapping`. Each section that names a data file
([accounts], [entitlements], [memberships]) becomes a `MappingPart` of it. `ColumnSettingsReader` checks the tables
that name a file's columns and say how the text of their cells is converted, `[values]` and `[accounts.columns]` for
example.
"""

from __future__ import annotations

import codecs
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
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
from whohas.ingest.readers.csv_stream import CsvDialect
from whohas.warehouse.columns import BOOLEAN, TIME
from whohas.warehouse.schema import ACCOUNTS, ATTRIBUTES, ENTITLEMENTS, IDENTITIES, Table

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
                    raise self._fault(
                        f"{key}.{name} is for columns that are {description}, which this one is not: leave it out"
                    )

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
            raise self._fault(f"{key}: {min(both)!r} is both in true and in false: keep one")
        negated, flag = table.get("not", False), table.get("flag")
        if not isinstance(negated, bool):
            raise self._fault(f"{key}.not is neither true nor false: write true, without quotes, or leave it out")
        if flag is not None:
            if isinstance(flag, bool) or not isinstance(flag, int) or flag <= 0 or flag & (flag - 1) or flag >= 1 << 62:
                raise self._fault(f"{key}.flag is no bit: write 1, 2, 4, 8 and so on, or 0x10")
            if "true" in table or "false" in table:
                raise self._fault(f"{key} has flag and words for true or false: keep the flag, or the words")
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
            raise self._fault(
                f'{key}.{name} takes a list of texts that are not empty, such as {name} = ["{_EXAMPLES[name]}"]'
            )
        return tuple(dict.fromkeys(texts))


_EXAMPLES: Final = {"true": "enabled", "false": "disabled", "empty": "n/a"}


def column_type(table: Table | None, name: str) -> Any:
    """Return the Arrow type of the column that a mapping's key fills (`uncorrelated` fills `correlated`).

    Args:
        table: the table, which must have the column; None (for [memberships]) gives None.
        name: the key.
    """
    if table is None:
        return None
    return table.column("correlated" if name == "uncorrelated" else name).type


def _words(column: str) -> set[str]:
    """Return the words in a column's name, without is, has and account: `isActive` and `is_active` give {"active"}."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", column)} - {"is", "has", "account"}


ACCOUNT = "account"
ENTITLEMENT = "entitlement"
"""The columns of memberships: `account` has the native identity of an account, `entitlement` the value of one."""


@dataclass(frozen=True, slots=True)
class MappingPart:
    """A section of a mapping that names a data file: [accounts], [entitlements] or [memberships].

    Attributes:
        file: the path of the data file.
        columns: for each column of the table, the column of the file that supplies its values.
        attributes: the file's columns that are loaded as attributes; None for all (`attributes = "*"`).
        separators: for each column of the file whose cells hold several values, the separator of these values, such as
            `{"Groups": ";"}`.
        entitlements: columns of the accounts file whose values are entitlements; empty in other sections.
    """

    file: Path
    columns: Mapping[str, ColumnSource]
    attributes: tuple[str, ...] | None = ()
    separators: Mapping[str, str] | None = None
    entitlements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rule that assigns accounts to identities ([correlation]), or identities to their managers ([manager]).

    Example: with `account="attributes.mail"` and `identity="email"`, an account belongs to the identity whose
    `email` equals the account's attribute `mail`.

    Attributes:
        account: the column of accounts that is compared, or `attributes.<name>`. In a manager rule it is the column
            of the identity that refers to its manager.
        identity: the column of identities, or `attributes.<name>`, that must have the same value.
        ignore_case: whether the comparison ignores upper and lower case.
    """

    account: str
    identity: str
    ignore_case: bool = False

    def to_json(self) -> str:
        """Return the rule as JSON, as the sources table stores it."""
        return json.dumps({"account": self.account, "identity": self.identity, "ignoreCase": self.ignore_case})

    @classmethod
    def from_json(cls, text: str) -> Correlation:
        """Return the rule that `to_json` wrote."""
        rule = json.loads(text)
        return cls(rule["account"], rule["identity"], rule["ignoreCase"])


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """The [xlsx] section of a mapping: which sheet and which rows of a workbook are data.

    Attributes:
        name: the name of the sheet; None for the only sheet that has cells.
        skip: the number of rows to skip before the header.
        footer: the number of rows to drop at the end; None to detect footer rows, which begin with a word such as
            "Total".
    """

    name: str | None = None
    skip: int = 0
    footer: int | None = None


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """The checked content of one mapping file.

    Exactly one of `name` and `column` is set.

    Attributes:
        path: the path of the mapping file.
        name: the name of the source to which all rows belong.
        column: the column of the data files that names the source of each row.
        id, type, description: of the source; None where the mapping does not set them.
        authoritative: whether the source's accounts create identities; or the names of the sources whose accounts do.
        identities: for each column of identities, the column of the accounts file that supplies its values.
        correlation: the rule that assigns accounts to identities.
        manager: the rule that assigns identities to their managers.
        dialect: the format of CSV files.
        sheet: the sheet and rows of XLSX files.
        empty_texts: texts in the data files that count as "no value".
        notes: warnings about probable mistakes in the mapping.
    """

    path: Path
    name: str | None
    column: str | None
    id: str | None
    type: str | None
    description: str | None
    authoritative: bool | frozenset[str]
    accounts: MappingPart | None
    identities: Mapping[str, ColumnSource]
    correlation: Correlation | None
    manager: Correlation | None
    entitlements: MappingPart | None
    memberships: MappingPart | None
    dialect: CsvDialect
    sheet: SheetOptions
    empty_texts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> list[MappingPart]:
        """The sections that name a data file."""
        return [part for part in (self.accounts, self.entitlements, self.memberships) if part is not None]

    @property
    def is_single_file(self) -> bool:
        """Whether [accounts] and [memberships] name the same file."""
        accounts, members = self.accounts, self.memberships
        return accounts is not None and members is not None and accounts.file.resolve() == members.file.resolve()

    @property
    def entitlement_columns(self) -> frozenset[str]:
        """Columns of the accounts file whose values are entitlements."""
        found = set(self.accounts.entitlements) if self.accounts is not None else set[str]()
        if self.memberships is not None and self.is_single_file:
            found.add(self.memberships.columns[ENTITLEMENT].column)
        return frozenset(found)

    @property
    def multi_row_columns(self) -> frozenset[str]:
        """Columns of the accounts file in which the rows of one account may differ, because their values are collected.

        These are the columns of entitlements, those with a separator, and the attribute column of a [memberships] on
        the same file; never that of nativeIdentity.

        Example: with `entitlements = ["Group"]` and nothing else, two rows of the account `7` with the groups `A` and
        `B` are one account that holds both entitlements. In any other column the two rows must agree.
        """
        if self.accounts is None:
            return frozenset()
        found = {*self.entitlement_columns, *(self.accounts.separators or {})}
        if self.memberships is not None and self.is_single_file and "attribute" in self.memberships.columns:
            found.add(self.memberships.columns["attribute"].column)
        return frozenset(found - {self.accounts.columns["nativeIdentity"].column})

    @property
    def account_separators(self) -> dict[str, str]:
        """The separator of multiple values in a cell, by column of the accounts file.

        If [memberships] names the same file, its separators are included.
        """
        lists = dict((self.accounts.separators if self.accounts is not None else None) or {})
        if self.memberships is not None and self.is_single_file:
            lists = {**(self.memberships.separators or {}), **lists}
        return lists


def read_mapping(path: Path) -> SourceMapping:
    """Read and check a mapping file.

    Raises:
        InvalidArguments: the file is not valid TOML in UTF-8, is longer than 4 MiB, has an unknown key, lacks a
            required one, has a value that is not allowed, or names a data file that does not exist.
    """
    try:
        document = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InvalidArguments(f"{path} is no TOML: {error}. Correct it there.") from None
    except ValueError:  # Python's int() rejects numbers of more than 4,300 digits, and tomllib passes its error on
        raise InvalidArguments(
            f"{path} is no TOML: it has a number of thousands of digits. Write it as a text, in quotes."
        ) from None
    except RecursionError:
        raise InvalidArguments(
            f"{path} has lists or tables that are nested too deep to be read. Look for brackets that are not closed."
        ) from None
    return _MappingReader(path).read(document)


_LARGEST = 4 << 20
"""The largest size of a mapping file, in bytes."""


def _text(path: Path) -> str:
    """Return the text of a mapping file, without a byte order mark and with LF as the only line break.

    Raises:
        InvalidArguments: the file is longer than `_LARGEST` bytes or is not UTF-8.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise InvalidArguments(
            f"{path} is longer than {_LARGEST >> 20} MiB, and no mapping is. If it is a file of data, give its name "
            "another ending than .toml."
        )
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidArguments(f"{path} is UTF-16, as its byte order mark says. TOML is UTF-8: save the file as UTF-8.")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        around = data[max(error.start - 15, 0) : error.start + 15].decode(errors="backslashreplace")
        raise InvalidArguments(
            f"{path} is no TOML: line {line} is not UTF-8 ({around!r}). Save the file as UTF-8."
        ) from None


class _MappingReader:
    """Checks the parsed TOML of one mapping file and converts it to a `SourceMapping`.

    All methods raise `InvalidArguments` at the first mistake. Their argument `name` is the full name of a key or
    section, such as `source.id`, for the message.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.column_reader = ColumnSettingsReader(self.fault)

    def read(self, document: dict[str, Any]) -> SourceMapping:
        sections = (
            *("source", "accounts", "identities", "correlation", "manager", "entitlements", "memberships"),
            *("csv", "xlsx", "values"),
        )
        self.keys("", document, sections)
        source = self.section(document, "source", ("name", "column", "id", "type", "description", "authoritative"))
        name, column = self.text(source, "source.name"), self.text(source, "source.column")
        if (name is None) == (column is None):
            has = "neither name nor column: add" if name is None else "both name and column: keep"
            raise self.fault(
                f"[source] has {has} name if all rows belong to one source, or column if a column has the name of the "
                "source of each row"
            )
        authoritative = source.get("authoritative", False)
        if isinstance(authoritative, list):
            authoritative = frozenset(map(str, authoritative))
        elif not isinstance(authoritative, bool):
            raise self.fault(
                "source.authoritative is neither true, false nor a list of source names: write one of these"
            )
        values = self.column_reader.read_values(self.section(document, "values", VALUES_KEYS))
        mapping = SourceMapping(
            path=self.path,
            name=name,
            column=column,
            id=self.text(source, "source.id"),
            type=self.text(source, "source.type"),
            description=self.text(source, "source.description"),
            authoritative=authoritative,
            accounts=self.part(
                document, "accounts", ACCOUNTS, (*_names(ACCOUNTS), "uncorrelated"), ("nativeIdentity",)
            ),
            identities=self.columns(
                self.section(document, "identities", ("columns",)), "identities", IDENTITIES, _names(IDENTITIES), ()
            ),
            correlation=self.correlation(document, "correlation"),
            manager=self.correlation(document, "manager"),
            entitlements=self.part(document, "entitlements", ENTITLEMENTS, _names(ENTITLEMENTS), ("value",)),
            memberships=self.part(
                document, "memberships", None, (ACCOUNT, ENTITLEMENT, "attribute"), (ACCOUNT, ENTITLEMENT)
            ),
            dialect=self.dialect(document),
            sheet=self.sheet(document),
            empty_texts=values.empty,
        )
        mapping = replace(mapping, notes=tuple(f"{self.path.name}: {note}" for note in self.column_reader.notes))
        self.check(mapping)
        return mapping

    def check(self, mapping: SourceMapping) -> None:
        """Refuse combinations of sections and keys that contradict each other."""
        if not mapping.parts:
            raise self.fault("it names no file: give [accounts], [entitlements] or [memberships] a file")
        if (
            mapping.correlation is not None
            and mapping.accounts is not None
            and "identityId" in mapping.accounts.columns
        ):
            raise self.fault(
                "accounts.columns.identityId and [correlation] both say which identity holds an account: keep one"
            )
        if mapping.identities and mapping.authoritative is False:
            raise self.fault(
                "[identities] needs source.authoritative, for only such accounts make identities: add it, or remove "
                "[identities]"
            )
        if mapping.manager is not None and (mapping.authoritative is False or mapping.accounts is None):
            raise self.fault(
                "[manager] needs [accounts] and source.authoritative, for only such accounts make identities: add "
                "them, or remove [manager]"
            )
        if mapping.manager is not None and "managerId" in mapping.identities:
            raise self.fault("identities.columns.managerId and [manager] both say who the manager is: keep one")
        self.check_members(mapping)
        if mapping.id is not None and mapping.column is not None:
            raise self.fault("source.id is for one source, and source.column names many: keep one")

    def check_members(self, mapping: SourceMapping) -> None:
        """Refuse keys of [accounts] and [memberships] that cannot be used together."""
        accounts, members = mapping.accounts, mapping.memberships
        if accounts is not None and accounts.columns["nativeIdentity"].column in accounts.entitlements:
            native = accounts.columns["nativeIdentity"].column
            raise self.fault(
                f"accounts.entitlements names {native!r}, which is the nativeIdentity, not an entitlement. "
                "Remove it there, or give nativeIdentity another column"
            )
        if members is None:
            return
        split = [members.columns[ours].column for ours in (ACCOUNT, ENTITLEMENT)]
        for column in members.separators or {}:
            if column not in split:
                raise self.fault(
                    f"memberships.lists names {column!r}: only the columns of accounts and of entitlements may hold "
                    f"several values, here {split[0]!r} and {split[1]!r}"
                )
        if accounts is not None and members.attributes != ():
            raise self.fault(
                "memberships.attributes is for accounts that are made from memberships; here [accounts] brings them, "
                "so name these columns in accounts.attributes"
            )

    def dialect(self, document: dict[str, Any]) -> CsvDialect:
        csv = self.section(document, "csv", ("delimiter", "encoding", "skip", "footer", "comment", "escape", "short"))
        delimiter, escape = self.text(csv, "csv.delimiter"), self.text(csv, "csv.escape")
        for key, value in (("delimiter", delimiter), ("escape", escape)):
            if value is not None and (len(value) != 1 or not value.isascii() or value in '"\r\n\0'):
                raise self.fault(
                    f"csv.{key} is not one character: write one of ASCII that is neither a quote nor a line break"
                )
        if escape is not None and escape == delimiter:
            raise self.fault("csv.escape and csv.delimiter are the same character: change one")
        comment, encoding = self.text(csv, "csv.comment"), self.text(csv, "csv.encoding")
        if comment is not None and (comment[0] in f'"{escape or ""}' or any(c in "\r\n" for c in comment)):
            raise self.fault("csv.comment begins with a quote or an escape, or has a line break: write one such as #")
        try:
            # Codecs that do not decode to text, such as hex, raise LookupError as unknown ones do.
            b"\0\0\0\0".decode(encoding or "utf-8", "replace")
        except (LookupError, UnicodeError):
            raise self.fault(f"csv.encoding {encoding!r} is not known: write one such as windows-1252") from None
        skip, footer = self.count(csv, "csv.skip"), self.count(csv, "csv.footer") if "footer" in csv else None
        short = csv.get("short", False)
        if not isinstance(short, bool):
            raise self.fault("csv.short is neither true nor false: write one of them, without quotes")
        return CsvDialect(delimiter, encoding, skip, footer, comment, escape, short)

    def sheet(self, document: dict[str, Any]) -> SheetOptions:
        xlsx = self.section(document, "xlsx", ("sheet", "skip", "footer"))
        footer = self.count(xlsx, "xlsx.footer") if "footer" in xlsx else None
        return SheetOptions(self.text(xlsx, "xlsx.sheet"), self.count(xlsx, "xlsx.skip"), footer)

    def count(self, section: Mapping[str, Any], name: str) -> int:
        """Return a number of lines, 0 if the key is absent."""
        value = section.get(name.rpartition(".")[2], 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fault(f"{name} is no number of lines: write one such as 3")
        return value

    def part(
        self, document: dict[str, Any], name: str, table: Table | None, allowed: Iterable[str], needed: Iterable[str]
    ) -> MappingPart | None:
        """Return the section `name`, or None if the mapping does not have it.

        Args:
            table: the table that the section fills; None for [memberships].
            allowed: the columns of ours that its `columns` may set.
            needed: those that it must set.
        """
        if name not in document:
            return None
        more = ("entitlements",) if name == "accounts" else ()
        section = self.section(document, name, ("file", "columns", "attributes", "lists", *more))
        file = self.text(section, f"{name}.file")
        if file is None:
            raise self.fault(f'[{name}] names no file: add file = "{name}.csv"')
        path = self.path.parent / file
        if not path.is_file():
            raise self.fault(f"{name}.file names {path}, and there is no such file: correct the path")
        attributes = section.get("attributes", "*" if name == "accounts" else [])
        if attributes != "*" and not (isinstance(attributes, list) and all(isinstance(a, str) for a in attributes)):
            raise self.fault(
                f'{name}.attributes is neither "*" nor a list of column names: write one such as ["Department"]'
            )
        lists = section.get("lists", {})
        if not isinstance(lists, dict) or not all(isinstance(v, str) and v for v in lists.values()):
            raise self.fault(f'[{name}.lists] takes columns and what separates their values, such as "Groups" = ";"')
        entitlements = section.get("entitlements", [])
        if not isinstance(entitlements, list) or not all(isinstance(e, str) and e for e in entitlements):
            raise self.fault(f'{name}.entitlements is no list of column names: write one such as ["memberOf"]')
        return MappingPart(
            path,
            self.columns(section, name, table, allowed, needed),
            None if attributes == "*" else tuple(attributes),
            dict(lists),
            tuple(dict.fromkeys(entitlements)),
        )

    def columns(
        self, section: dict[str, Any], name: str, table: Table | None, allowed: Iterable[str], needed: Iterable[str]
    ) -> dict[str, ColumnSource]:
        """Return the `columns` of a section: for each column of ours, the column of the file; see `part`."""
        columns = section.get("columns", {})
        found: dict[str, ColumnSource] = {}
        if isinstance(columns, dict):
            self.keys(f"{name}.columns", columns, tuple(allowed))
            for ours, given in columns.items():
                source = self.column_reader.read_column(f"{name}.columns.{ours}", given, column_type(table, ours))
                if source is not None:
                    found[ours] = source
        if not isinstance(columns, dict) or len(found) < len(columns):
            raise self.fault(
                f"[{name}.columns] takes our column's name and the file's, such as nativeIdentity = \"Badge No\""
            )
        for column in needed:
            if column not in found:
                raise self.fault(
                    f'[{name}.columns] does not say which column is {column}: add {column} = "the column\'s name"'
                )
        return found

    def correlation(self, document: dict[str, Any], name: str) -> Correlation | None:
        if name not in document:
            return None
        section = self.section(document, name, ("account", "identity", "ignoreCase"))
        account, identity = self.text(section, f"{name}.account"), self.text(section, f"{name}.identity")
        if account is None or identity is None:
            raise self.fault(f"[{name}] needs account (a column of the accounts' file) and identity")
        ignore = section.get("ignoreCase", False)
        if not isinstance(ignore, bool):
            raise self.fault(f"{name}.ignoreCase is neither true nor false: write one of them, without quotes")
        if not identity.startswith("attributes."):
            allowed = _names(IDENTITIES)
            if identity not in allowed:
                raise self.fault(
                    f"{name}.identity {identity!r} is no column of identities{name_suggestions(identity, allowed)}"
                )
        return Correlation(account, identity, ignore)

    def section(self, document: dict[str, Any], name: str, allowed: Iterable[str]) -> dict[str, Any]:
        """Return a section, empty if it is absent, whose keys are all in `allowed`."""
        section = document.get(name, {})
        if not isinstance(section, dict):
            raise self.fault(f"{name} is a value; it has to be a section, [{name}]")
        self.keys(name, section, tuple(allowed))
        return section

    def keys(self, where: str, section: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
        for key in section:
            if key not in allowed:
                full = f"{where}.{key}" if where else key
                raise self.fault(f"{full} is not known{name_suggestions(key, allowed)}")

    def text(self, section: Mapping[str, Any], name: str) -> str | None:
        """Return a text, or None if the key is absent."""
        value = section.get(name.rpartition(".")[2])
        if value is not None and (not isinstance(value, str) or not value):
            raise self.fault(f"{name} is not a text: write one that is not empty, in quotes")
        return value

    def fault(self, message: str) -> InvalidArguments:
        return InvalidArguments(f"The mapping {self.path} is wrong: {message}.")


def name_suggestions(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name: the most similar known name, then up to 50 names.

    Example: `name_suggestions("nmae", ["name", "id"])` returns `; did you mean 'name'? There are: name, id`.
    """
    known = list(known)
    folded = {other.casefold(): other for other in known}
    found = get_close_matches(name.casefold(), folded, 1)
    hint = f"; did you mean {folded[found[0]]!r}?" if found else ";"
    more = f" and {len(known) - 50} more" if len(known) > 50 else ""
    return f"{hint} There are: {', '.join(known[:50])}{more}"


def _names(table: Table) -> tuple[str, ...]:
    """Return the columns of a table that a mapping may set; attributes have a separate key, `attributes`."""
    given = ("sourceId", "sourceName", "sourceType", "owned")
    return tuple(c.name for c in table.columns if c.type != ATTRIBUTES and c.name not in given)
