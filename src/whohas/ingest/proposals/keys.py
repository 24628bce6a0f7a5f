"""Find the column that identifies a file's accounts, the kind of system it comes from, and its entitlements."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from whohas.ingest.proposals.cells import quoted
from whohas.ingest.proposals.profile import FALLBACK_KEY_CONCEPTS, KEY_CONCEPTS, FileProfile, ProfiledColumn
from whohas.ingest.proposals.words import Concept, name_words
from whohas.plurals import pluralize


class SystemType(StrEnum):
    """The kind of system from which a file seems to come. The value is proposed as the source's type."""

    HR = "HR"
    DIRECTORY = "Active Directory"
    OTHER = "DelimitedFile"


@dataclass(frozen=True, slots=True)
class DetectedSystem:
    """The kind of system from which a file seems to come, and the reason, which is empty for `SystemType.OTHER`."""

    system_type: SystemType
    why: str


def detect_system(profile: FileProfile) -> DetectedSystem:
    """Return the kind of system from which a file comes, by the names of its columns.

    A directory has at least two of Active Directory's attribute names. HR has an employee number, a name, and a manager
    or a start or end date, but none of the columns that applications have, such as the last login.
    """
    directory = [
        column
        for column in profile.columns
        if "".join(name_words(column.name))
        in ("samaccountname", "distinguishedname", "useraccountcontrol", "objectguid", "objectsid", "memberof")
        or "".join(name_words(column.name))
        in ("userprincipalname", "pwdlastset", "lastlogontimestamp", "whencreated", "dn")
    ]
    if len(directory) >= 2:
        return DetectedSystem(SystemType.DIRECTORY, f"it has {quoted_names(directory[:4])}")
    number = profile.first_column_of(Concept.EMPLOYEE)
    people = [profile.first_column_of(c) for c in (Concept.MANAGER, Concept.START, Concept.END, Concept.WORK)]
    evidence = [column for column in people if column is not None]
    names = profile.first_column_of(Concept.LAST_NAME, Concept.DISPLAY_NAME)
    application = profile.first_column_of(
        Concept.LAST_LOGIN, Concept.PASSWORD_SET, Concept.SECOND_FACTOR, Concept.UAC, Concept.DN, Concept.SECRET
    )
    if number is not None and names is not None and application is None and len(evidence) >= 1:
        employed = profile.first_column_of(Concept.MANAGER, Concept.START, Concept.END)
        if employed is not None:
            return DetectedSystem(
                SystemType.HR, f"it has {quoted_names([number, names, *evidence])}, as exports of HR do"
            )
    return DetectedSystem(SystemType.OTHER, "")


_ORDERS = {
    SystemType.HR: (Concept.EMPLOYEE, Concept.ID, Concept.LOGIN, Concept.EMAIL),
    SystemType.DIRECTORY: (Concept.LOGIN, Concept.UPN, Concept.DN, Concept.ID, Concept.EMAIL, Concept.EMPLOYEE),
    SystemType.OTHER: (Concept.LOGIN, Concept.ID, Concept.UPN, Concept.EMAIL, Concept.EMPLOYEE, Concept.DN),
}
_NEARLY = 0.9
"""The share of distinct values above which a column counts as unique with some errors."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The column that identifies the accounts of a file.

    Attributes:
        column: the column.
        unique: whether no two rows have the same value, or none of the same source.
        why: the reason for choosing it.
        source: the column of the rows' source, if the key is only unique within each source.
        nearly_unique: whether it is unique apart from a few rows, which are probably errors.
    """

    column: ProfiledColumn
    unique: bool
    why: str
    source: ProfiledColumn | None = None
    nearly_unique: bool = False


def key_candidates(profile: FileProfile, system_type: SystemType) -> list[ProfiledColumn]:
    """Return the columns whose names say that they identify accounts, in the order usual for the kind of system."""
    return [
        column
        for concept in _ORDERS[system_type]
        for column in profile.columns_of(concept)
        if column.distinct > 1 or profile.rows < 3
    ]


def _nameable(profile: FileProfile) -> list[ProfiledColumn]:
    """Return columns that may identify accounts although their names do not say so: full names, then unknown names."""
    found = [
        c for c in profile.columns if c.concept in FALLBACK_KEY_CONCEPTS and c.concept not in KEY_CONCEPTS and c.filled
    ]
    return sorted(found, key=lambda column: column.concept is not Concept.DISPLAY_NAME)


def _holders(profile: FileProfile) -> list[ProfiledColumn]:
    """Return columns that may identify the accounts in a file of entitlements if no name says so.

    They are columns of full names, or the only column next to one of entitlements, such as `who` in `who,role`.
    """
    rest = [c for c in profile.columns if c.concept not in (Concept.SOURCE, Concept.ID)]
    alone = len(rest) == 2 and len([c for c in rest if c.concept is Concept.ENTITLEMENT]) == 1
    return [c for c in _nameable(profile) if alone or c.concept is Concept.DISPLAY_NAME]


def find_account_key(profile: FileProfile, system_type: SystemType) -> AccountKey | None:
    """Return the column that identifies the accounts of a file; None if all columns are empty.

    In this order: a known name that is unique; unique within each source; unique apart from a few rows; another column
    that is unique and not a time or a sentence; the column with the most distinct values.
    """
    known = key_candidates(profile, system_type)
    if not profile.rows:
        return AccountKey((known or profile.columns)[0], True, "by its name alone, because the file has no rows")
    sampled = "" if profile.complete else f" in a sample of {pluralize(profile.rows, 'row')}"
    for column in known:
        if profile.is_unique(column):
            return AccountKey(
                column, True, f"unique and filled in all {pluralize(profile.rows, 'row')}{sampled and ' of a sample'}"
            )
    for column in known:
        for source in profile.columns_of(Concept.SOURCE):
            pairs = profile.distinct_combinations.get((column.name, source.name), 0)
            if column.filled == profile.rows == source.filled == pairs and source.distinct * 2 <= profile.rows:
                return AccountKey(column, True, f"unique for each value of {quoted(source)}", source)
    for column in known:
        if column.filled >= _NEARLY * profile.rows and column.distinct >= _NEARLY * column.filled:
            return AccountKey(column, False, _mistakes(profile, column) + sampled, nearly_unique=True)
    first = f"the first column whose value is different in each of {pluralize(profile.rows, 'row')}{sampled}"
    # Columns with other known names are only used as a last resort: in a short file a role may be unique by chance.
    nameable = _nameable(profile)
    for others in (nameable, [] if known or nameable else profile.columns):
        unique = [c for c in others if profile.is_unique(c) and c.times is None]
        unique.sort(key=lambda column: column.shape_share("sentence") > 0)
        if unique and (not unique[0].shape_share("sentence") or unique[0].concept is Concept.DISPLAY_NAME):
            return AccountKey(unique[0], True, first)
    filled = known or nameable or [column for column in profile.columns if column.filled]
    if not filled:
        return None
    best = max(filled, key=lambda column: (column.distinct, -filled.index(column)))
    return AccountKey(best, False, _mistakes(profile, best) + sampled)


def _mistakes(profile: FileProfile, column: ProfiledColumn) -> str:
    """Return the reason why rows will be rejected: empty and repeated values, with counts."""
    parts: list[str] = []
    if column.filled < profile.rows:
        empty = profile.rows - column.filled
        rejected = "has no value and is rejected" if empty == 1 else "have no value and are rejected"
        parts.append(f"{empty:,} of {pluralize(profile.rows, 'row')} {rejected}")
    if column.distinct < column.filled:
        shown = ", ".join(map(repr, profile.repeated_values.get(column.name, ())))
        more = column.filled - column.distinct
        parts.append(
            f"{more:,} {'row repeats' if more == 1 else 'rows repeat'} the value of an earlier one"
            f"{f' ({shown})' if shown else ''} and {'is' if more == 1 else 'are'} rejected"
        )
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class MembershipColumns:
    """The columns of a file that has one row for each account and entitlement that it holds.

    Attributes:
        account: the column that identifies the account.
        entitlement: the column that identifies the entitlement.
        alone: whether no other column describes the account.
        differing: other columns in which the rows of one account differ.
        source: the column that names the source of the row; None without one, or if other columns describe the account.
    """

    account: ProfiledColumn
    entitlement: ProfiledColumn
    alone: bool
    differing: tuple[str, ...]
    source: ProfiledColumn | None


def find_membership_columns(profile: FileProfile, system_type: SystemType) -> MembershipColumns | None:
    """Return the columns of a file that has one row for each account and entitlement; None for any other file."""
    best: tuple[int, MembershipColumns] | None = None
    for account in key_candidates(profile, system_type) or _holders(profile):
        if account.distinct >= profile.rows or account.filled < 0.5 * profile.rows:
            continue
        varying = profile.varying_columns.get(account.name, ())
        for entitlement in entitlement_columns(profile):
            source = next((c for c in profile.columns_of(Concept.SOURCE) if c.filled == profile.rows), None)
            names = (account.name, entitlement.name)
            pairs = profile.distinct_combinations.get(names, 0)
            if source is not None:
                pairs = max(pairs, profile.distinct_combinations.get((*names, source.name), 0))
            if entitlement.name not in varying or pairs < _NEARLY * account.filled or entitlement is account:
                continue
            others = [
                column for column in profile.columns if column not in (account, entitlement, source) and column.filled
            ]
            differing = tuple(
                column.name for column in others if column.name in varying and column.name != entitlement.name
            )
            constant = [column for column in others if column.name not in differing]
            held = MembershipColumns(account, entitlement, not constant, differing, source if not constant else None)
            if best is None or entitlement.distinct > best[0]:
                best = (entitlement.distinct, held)
        if best is not None:
            break
    return best[1] if best else None


def entitlement_columns(profile: FileProfile) -> list[ProfiledColumn]:
    """Return the columns whose values are entitlements; of two with a one-to-one relation (code and name) the first."""
    found: list[ProfiledColumn] = []
    for column in profile.columns_of(Concept.ENTITLEMENT):
        if column.times is not None or (
            column.state_words is not None and set(map(str.casefold, column.state_words)) <= _FLAGS
        ):
            continue
        twin = any(
            profile.distinct_combinations.get((column.name, other.name)) == column.distinct == other.distinct
            for other in found
        )
        if not twin:
            found.append(column)
    return found


_FLAGS = frozenset({"true", "false", "yes", "no", "y", "n", "1", "0", "ja", "nein", "oui", "non", "x"})


def quoted_names(columns: list[ProfiledColumn]) -> str:
    """Return the quoted names of columns: `"a", "b" and "c"`."""
    names = list(dict.fromkeys(quoted(column) for column in columns))
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


__all__ = [
    "KEY_CONCEPTS",
    "AccountKey",
    "DetectedSystem",
    "MembershipColumns",
    "SystemType",
    "detect_system",
    "entitlement_columns",
    "find_account_key",
    "find_membership_columns",
    "quoted_names",
]
