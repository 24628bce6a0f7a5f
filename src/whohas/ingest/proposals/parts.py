"""Build the mapping's sections for a file of accounts: accounts, columns, lists, identities, manager, correlation."""

from __future__ import annotations

from whohas.ingest.proposals.cells import (
    has_times,
    propose_boolean,
    propose_disabled,
    propose_time,
    quoted,
)
from whohas.ingest.proposals.keys import AccountKey, DetectedSystem, MembershipColumns, SystemType, entitlement_columns
from whohas.ingest.proposals.profile import FileProfile, ProfiledColumn, split_values
from whohas.ingest.proposals.words import Concept
from whohas.ingest.proposals.written import TomlSection, named_columns
from whohas.plurals import pluralize

_MAIL = 0.6
"""The share of cells that must look like email addresses for a column to be used as one."""

_SHOWN = 40
"""The largest number of columns that the comment on columns without a mapping lists."""


class AccountSections:
    """Builds the mapping's sections for a file of accounts. Create one for each file and call `build` once.

    Args:
        profile: the file's profile.
        kind: the kind of system that it comes from.
        key: the column that identifies its accounts.
        held: its columns, if it has one row for each account and entitlement.
        rights: the entitlement values in another file, in lower case: a column of the accounts' file with other values
            contains no entitlements. None without such a file.

    Attributes:
        used: the columns that a key other than `attributes` uses, and that are therefore not only attributes.
        columns: the section `[accounts.columns]`.
        identities: the section `[identities.columns]`.
        lists: the section `[accounts.lists]`.
    """

    def __init__(
        self,
        profile: FileProfile,
        kind: DetectedSystem,
        key: AccountKey,
        held: MembershipColumns | None = None,
        rights: frozenset[str] | None = None,
    ) -> None:
        self._rights = rights
        self.profile = profile
        self.kind = kind
        self.key = key
        self.held = held
        self.used: list[ProfiledColumn] = [key.column]
        self.columns = TomlSection("accounts.columns")
        self.identities = TomlSection("identities.columns")
        self.lists = TomlSection("accounts.lists")
        self._first_name, self._last_name, self._full_name = _names(profile)
        self._mail = next((c for c in profile.columns_of(Concept.EMAIL) if c.shape_share("email") >= _MAIL), None)
        self._number = profile.first_column_of(Concept.EMPLOYEE)

    def build(self, file: str) -> list[TomlSection]:
        """Return the sections, in the order in which they are written.

        Args:
            file: path of the file, as the mapping is to name it.
        """
        hr = self.kind.system_type is SystemType.HR
        self._account_columns()
        self._account_lists()
        if hr:
            self._identity_columns()
        others = [self._managers(), TomlSection("correlation")] if hr else [self._correlation()]
        return [self._accounts(file), self.columns, self.lists, *([self.identities] if hr else []), *others]

    def _add_column(self, section: TomlSection, ours: str, column: ProfiledColumn | None, why: str) -> None:
        """Add a line `ours = "column"` to a section, unless there is no column, and mark the column as used."""
        if column is not None:
            section.add(ours, column.name, why)
            self.used.append(column)

    def _account_columns(self) -> None:
        key = self.key
        self.columns.add("nativeIdentity", key.column.name, key.why)
        if key.nearly_unique:
            self.columns.comments.append(
                f"{quoted(key.column)} identifies the accounts, except for the rows described below. Correct them in "
                "the file, or let the load reject and report them."
            )
        elif not key.unique:
            self.columns.comments.append(
                f"NOT UNIQUE: no column has a different value in each row. {quoted(key.column)} has the most. "
                "Correct the rows in the file, or name a column here that identifies the accounts."
            )
        name = self._full_name or self.profile.first_column_of(Concept.LOGIN, Concept.UPN) or self._mail or key.column
        why = "the full name" if name is self._full_name else "the file has no column with full names"
        self._add_column(self.columns, "name", name, why)
        self._time(
            self.columns,
            "created",
            Concept.CREATED,
            *([Concept.START] if self.kind.system_type is SystemType.HR else []),
        )
        self._time(self.columns, "modified", Concept.MODIFIED)
        self._time(self.columns, "passwordLastSet", Concept.PASSWORD_SET)
        readings = propose_disabled(self.profile)
        for reading in readings:
            if reading.value is None:
                self.columns.comments.append(f"disabled: {reading.why}.")
        if readings and readings[0].value is not None:
            self.columns.add("disabled", readings[0].value, readings[0].why)
        for ours, concept in (("locked", Concept.LOCKED), ("privileged", Concept.PRIVILEGED)):
            for column in self.profile.columns_of(concept)[:1]:
                reading = propose_boolean(column)
                if reading.value is None:
                    self.columns.comments.append(f"{ours}: {reading.why}.")
                else:
                    self.columns.add(ours, reading.value, reading.why)
        if self.kind.system_type is not SystemType.HR:
            self._add_column(
                self.columns, "description", self.profile.first_column_of(Concept.DESCRIPTION), "by its name"
            )

    def _time(self, section: TomlSection, ours: str, *concepts: Concept) -> None:
        for column in (column for concept in concepts for column in self.profile.columns_of(concept)):
            reading = propose_time(column)
            if reading.value is not None:
                section.add(ours, reading.value, reading.why)
                return
            section.comments.append(f"{ours}: {reading.why}.")

    def entitlement_columns(self) -> list[ProfiledColumn]:
        """Return the columns of the accounts' file whose values are entitlements."""
        if self.held is not None:
            return [self.held.entitlement]
        if self.kind.system_type is SystemType.HR:
            return []
        found = [column for column in entitlement_columns(self.profile) if column is not self.key.column]
        if self._rights is not None:
            found = [
                column for column in found if len(split_values(column) & self._rights) * 2 >= len(split_values(column))
            ]
        if self.kind.system_type is SystemType.DIRECTORY:
            found = [
                column
                for column in found
                if column.shape_share("dn") > 0.5 or column.separator or column.multi_valued_cells
            ]
        return found

    def _account_lists(self) -> None:
        rights = self.entitlement_columns()
        for column in self.profile.columns:
            if column in rights and column.concept is Concept.ENTITLEMENT and _separated(column):
                separator = _separated(column)
                assert separator is not None
                self.lists.add(
                    column.name,
                    separator,
                    f"{pluralize(column.multi_valued_cells, 'cell has', 'cells have')} several values",
                )
            elif column.separator in (";", "|") and column.multi_valued_cells >= 2 and column not in self.used:
                self.lists.add(
                    column.name,
                    column.separator,
                    f"{pluralize(column.multi_valued_cells, 'cell has', 'cells have')} several values",
                )

    def _identity_columns(self) -> None:
        add = self.identities
        self._add_column(add, "displayName", self._full_name, "the full name")
        if self._full_name is None:
            has_names = self._first_name is not None or self._last_name is not None
            name = "made of first and last name" if has_names else "the account's name"
            add.comments.append(f"No column has full names: displayName is {name}.")
        self._add_column(add, "firstName", self._first_name, "by its name")
        self._add_column(add, "lastName", self._last_name, "by its name")
        if self._mail is not None:
            self._add_column(
                add, "email", self._mail, f"{self._mail.shape_share('email'):.0%} of its cells are mail addresses"
            )
        self._add_column(add, "phone", self.profile.first_column_of(Concept.PHONE), "by its name")
        self._add_column(
            add, "employeeNumber", self._number, "by its name; other systems' accounts can be correlated by it"
        )
        status = self.profile.first_column_of(Concept.STATUS)
        if status is not None and status.state_words is not None:
            words = ", ".join(f"{value} ({n:,})" for value, n in status.frequent)
            self._add_column(add, "lifecycleState", status, f"the file's own words: {words}")
        self._time(add, "created", Concept.START, Concept.CREATED)

    def _managers(self) -> TomlSection:
        section = TomlSection("manager")
        columns = [
            c
            for c in self.profile.columns_of(Concept.MANAGER)
            if not (
                c.state_words and set(map(str.casefold, c.state_words)) <= {"yes", "no", "true", "false", "ja", "nein"}
            )
        ]
        best: tuple[float, str, ProfiledColumn, ProfiledColumn] | None = None
        for column in columns:
            for ours, other in (
                ("employeeNumber", self._number),
                ("email", self._mail),
                ("displayName", self._full_name),
            ):
                if other is not None and column.values:
                    share = len(column.values & other.values) / len(column.values)
                    if share > 0.5 and (best is None or share > best[0]):
                        best = (share, ours, column, other)
        if best is not None:
            _, ours, column, other = best
            known = len(column.values & other.values)
            section.add(
                "account",
                column.name,
                f"{known:,} of {pluralize(len(column.values), 'value')} found in {quoted(other)}",
            )
            section.add("identity", ours, "the identities' field that has the same value")
            if ours != "employeeNumber":
                section.add("ignoreCase", True, "mail addresses and names differ in case")
        elif columns:
            section.comments.append(
                f"Managers: the values of {quoted(columns[0])} are neither numbers, mail addresses nor full names of "
                "people in this file, so identities get no manager. It becomes an attribute."
            )
        return section

    def _correlation(self) -> TomlSection:
        section = TomlSection("correlation")
        mails = [
            c
            for c in (*self.profile.columns_of(Concept.EMAIL), *self.profile.columns_of(Concept.UPN), self.key.column)
            if c.shape_share("email") >= _MAIL
        ]
        number = self._number
        if number is not None and mails and mails[0].filled > number.filled:
            number = None
        if number is not None:
            zeros = any(len(value) > 1 and value.startswith("0") for value, _ in number.frequent)
            why = f"filled in {number.filled:,} of {pluralize(self.profile.rows, 'row')}"
            why += "; it has leading zeros, which the identities' numbers must have too" if zeros else ""
            section.add("account", number.name, why)
            section.add("identity", "employeeNumber", "the field of HR's identities with the same value")
            section.add("ignoreCase", True)
            if mails:
                section.comments.append(f'Or by mail address: account = {quoted(mails[0])}, identity = "email".')
        elif mails:
            section.add(
                "account", mails[0].name, f"filled in {mails[0].filled:,} of {pluralize(self.profile.rows, 'row')}"
            )
            section.add("identity", "email", "the field of HR's identities with the same value")
            section.add("ignoreCase", True, "mail addresses differ in case")
            if self._number is not None:
                section.comments.append(
                    f"Or by employee number, if it is filled: account = {quoted(self._number)}, "
                    'identity = "employeeNumber".'
                )
        else:
            section.comments.append(
                "[correlation] is missing: no column has mail addresses or employee numbers, so every account will be "
                "uncorrelated. If a column has values that identities have too, name it:"
            )
            section.comments += [
                "[correlation]",
                f"account = {quoted(self.key.column)}",
                'identity = "name"',
                "ignoreCase = true",
            ]
        return section

    def _accounts(self, file: str) -> TomlSection:
        section = TomlSection("accounts")
        section.add(
            "file",
            file,
            f"{pluralize(self.profile.rows, 'row')}{'' if self.profile.complete else ' of the file were examined'}",
        )
        secrets = [column.name for column in self.profile.columns_of(Concept.SECRET)]
        if secrets:
            kept = [column.name for column in self.profile.columns if column.name not in secrets]
            section.add(
                "attributes", kept, f"all columns but {', '.join(map(repr, secrets))}, which reports should not show"
            )
        else:
            section.add("attributes", "*", "every column is kept as an attribute of the account")
        rights = [column.name for column in self.entitlement_columns()]
        if rights:
            why = "their values are entitlements" if len(rights) > 1 else "its values are entitlements"
            if self.held is not None:
                why += "; the file has one row per account and entitlement"
            section.add("entitlements", rights, why)
        named = named_columns(self.columns, self.identities)
        rest = [
            c for c in self.profile.columns if c.name not in named and c.name not in rights and c.name not in secrets
        ]
        if rest:
            more = f"; and {len(rest) - _SHOWN:,} more" if len(rest) > _SHOWN else ""
            shown = "; ".join(_described(column) for column in rest[:_SHOWN])
            section.comments.append(f"Only attributes: {shown}{more}.")
        return section


def _described(column: ProfiledColumn) -> str:
    """Return a column's name with its content in parentheses: empty, times or its concept, if known."""
    if not column.filled:
        return f"{quoted(column)} (empty)"
    if has_times(column) and column.times is not None:
        forms = ", ".join(form or "RFC 3339" for form in column.times.formats)
        return f"{quoted(column)} (times, {forms}; kept as text)"
    if column.concept is not None:
        return f"{quoted(column)} ({column.concept.value})"
    return quoted(column)


def _separated(column: ProfiledColumn) -> str | None:
    return column.separator if column.multi_valued_cells else None


def _names(profile: FileProfile) -> tuple[ProfiledColumn | None, ProfiledColumn | None, ProfiledColumn | None]:
    """Return the columns of first, last and full names, None for each that is missing.

    If there is a column for first names, a column `Name` has last names. If there is only a column for first names, or
    only one for last names, it has full names.
    """
    first = profile.first_column_of(Concept.FIRST_NAME)
    last = profile.first_column_of(Concept.LAST_NAME)
    full = profile.first_column_of(Concept.DISPLAY_NAME)
    if first is not None and last is None and full is not None and full.name.casefold() == "name":
        return first, full, None
    if first is not None and last is None and full is None:
        return None, None, first
    if last is not None and first is None and full is None:
        return None, None, last
    return first, last, full
