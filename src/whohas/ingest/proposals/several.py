"""Find the roles of one system's files: which has accounts, entitlements or memberships, and which columns join them.

Two columns join if they share values: `_meeting` compares the values of the files' samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from whohas.errors import InvalidArguments
from whohas.ingest.proposals.keys import (
    AccountKey,
    MembershipColumns,
    detect_system,
    entitlement_columns,
    find_account_key,
    find_membership_columns,
    key_candidates,
)
from whohas.ingest.proposals.profile import KEY_CONCEPTS, FileProfile, ProfiledColumn, split_values
from whohas.ingest.proposals.words import Concept

_MEETS = 0.5
"""The share of values that two columns must have in common to be taken for the same thing, by the smaller of both."""


class SeveralSystems(InvalidArguments):
    """The files describe different systems, so that one mapping cannot have them all."""


@dataclass(frozen=True, slots=True)
class FileRoles:
    """The role of each file in a mapping.

    Attributes:
        accounts: the file with accounts.
        account_key: its column that identifies the accounts.
        entitlements: the file with entitlements.
        entitlement_key: its column that identifies the entitlements.
        memberships: the file with one row for each account and entitlement that it holds.
        membership_columns: the columns of the file of memberships, or of a file of accounts that has one row for each
            entitlement.
        unused: files that have none of these roles.
        source: the column that names the source of each entitlement, if there is only a file of entitlements.
    """

    accounts: FileProfile | None
    account_key: AccountKey | None
    entitlements: FileProfile | None = None
    entitlement_key: ProfiledColumn | None = None
    memberships: FileProfile | None = None
    membership_columns: MembershipColumns | None = None
    unused: tuple[FileProfile, ...] = ()
    source: ProfiledColumn | None = None


def find_file_roles(profiles: Sequence[FileProfile]) -> FileRoles:
    """Return the role of each file.

    Raises:
        SeveralSystems: two of the files have accounts, and no file of memberships joins them.
    """
    if len(profiles) == 1:
        return _single(profiles[0])
    memberships, held = _memberships(profiles)
    rest = [profile for profile in profiles if profile is not memberships]
    if memberships is None or held is None:
        return _without_memberships(rest)
    by_account = [(_meeting(profile, held.account), profile) for profile in rest]
    with_accounts = max(
        ((found, profile) for found, profile in by_account if found is not None),
        key=lambda item: item[0][0],
        default=None,
    )
    accounts, key = None, None
    if with_accounts is not None:
        accounts = with_accounts[1]
        key = _as_key(accounts, with_accounts[0][1])
    rest = [profile for profile in rest if profile is not accounts]
    by_right = [(_meeting(profile, held.entitlement), profile) for profile in rest]
    with_rights = max(
        ((found, profile) for found, profile in by_right if found is not None),
        key=lambda item: item[0][0],
        default=None,
    )
    entitlements = with_rights[1] if with_rights is not None else None
    value = with_rights[0][1] if with_rights is not None else None
    unused = tuple(profile for profile in rest if profile is not entitlements)
    source = held.source
    if key is not None and key.source is None:
        source = None
    elif key is not None and key.source is not None:
        source = next((c for c in memberships.columns if c.name == key.source.name), None)
    return FileRoles(accounts, key, entitlements, value, memberships, replace(held, source=source), unused)


def _single(profile: FileProfile) -> FileRoles:
    system_type = detect_system(profile).system_type
    held = find_membership_columns(profile, system_type)
    key = find_account_key(profile, system_type)
    if held is not None and (key is None or not key.unique or key.source is not None or _numbers_rows(key, held)):
        if held.alone:
            return FileRoles(None, None, memberships=profile, membership_columns=held)
        return FileRoles(profile, AccountKey(held.account, True, _per_right(held)), membership_columns=held)
    if key is not None and not any(column.concept in ACCOUNT_CONCEPTS for column in profile.columns):
        for right in profile.columns_of(Concept.ENTITLEMENT):
            if profile.is_unique(right):
                return FileRoles(None, None, profile, right)
            for source in profile.columns_of(Concept.SOURCE):
                if profile.distinct_combinations.get((right.name, source.name)) == profile.rows == source.filled:
                    return FileRoles(None, None, profile, right, source=source)
    return FileRoles(profile, key)


def _numbers_rows(key: AccountKey, held: MembershipColumns) -> bool:
    """Return whether the unique column only numbers the rows of memberships.

    So it is if the unique column is an id, and accounts have a login name that repeats.
    """
    return key.column.concept is Concept.ID and held.account.concept is Concept.LOGIN and held.alone


ACCOUNT_CONCEPTS: Final = (*KEY_CONCEPTS[:-1], Concept.DISPLAY_NAME, Concept.ID)
"""Concepts of columns that identify an account or a person."""


def _per_right(held: MembershipColumns) -> str:
    return f'one account has a row for each value of "{held.entitlement.name}"'


def _memberships(profiles: Sequence[FileProfile]) -> tuple[FileProfile | None, MembershipColumns | None]:
    """Return the file of memberships and its columns; of several, the one that joins with most of the other files."""
    found: list[tuple[int, FileProfile, MembershipColumns]] = []
    for profile in profiles:
        held = find_membership_columns(profile, detect_system(profile).system_type)
        if held is not None:
            met = sum(
                _meeting(other, column) is not None
                for other in profiles
                if other is not profile
                for column in (held.account, held.entitlement)
            )
            found.append((met * 1_000_000_000 + profile.rows, profile, held))
    if not found:
        return None, None
    _, profile, held = max(found, key=lambda item: item[0])
    return profile, held


def _without_memberships(profiles: Sequence[FileProfile]) -> FileRoles:
    """Return the roles of files without memberships: the accounts' file itself lists the entitlements.

    Raises:
        SeveralSystems: two of the files have accounts.
    """
    people = [profile for profile in profiles if any(c.concept in ACCOUNT_CONCEPTS[:-1] for c in profile.columns)]
    if not people:
        people = list(profiles)
    accounts = max(people, key=lambda profile: len(entitlement_columns(profile)) * 1_000_000 + profile.rows)
    rights = frozenset(part for column in entitlement_columns(accounts) for part in split_values(column))
    rest = [profile for profile in profiles if profile is not accounts]
    found: tuple[float, FileProfile, ProfiledColumn] | None = None
    for profile in rest:
        for column in profile.columns:
            if rights and column.filled and column.distinct == column.filled:
                share = len(column.values & rights) / min(len(column.values), len(rights))
                if share >= _MEETS and (found is None or share > found[0]):
                    found = (share, profile, column)
    others = [profile for profile in rest if found is None or profile is not found[1]]
    clash = [profile for profile in others if profile in people]
    if clash:
        raise SeveralSystems(
            f"{accounts.path.name} and {clash[0].path.name} both have accounts, and no file joins them: they seem to "
            "come from different systems. A mapping describes one system: call whohas map for each file by itself."
        )
    key = find_account_key(accounts, detect_system(accounts).system_type)
    return FileRoles(accounts, key, found[1] if found else None, found[2] if found else None, unused=tuple(others))


def _meeting(profile: FileProfile, column: ProfiledColumn) -> tuple[float, ProfiledColumn] | None:
    """Return the column of a file that has most values in common with a column of another file.

    Args:
        profile: the file whose columns are searched.
        column: the column of the other file.

    Returns:
        The share of common values and the column; None if no share reaches `_MEETS`.
    """
    parts = split_values(column)
    best: tuple[float, ProfiledColumn] | None = None
    for other in profile.columns:
        if not other.filled or other.distinct * 2 < other.filled or not parts:
            continue
        share = len(parts & other.values) / min(len(parts), len(other.values))
        if share >= _MEETS and (best is None or share > best[0]):
            best = (share, other)
    return best


def _as_key(profile: FileProfile, column: ProfiledColumn) -> AccountKey:
    """Return the key of a file of accounts, given the column by which another file refers to its accounts."""
    if profile.is_unique(column):
        return AccountKey(column, True, "unique, and the other file names the accounts by it")
    source = next(
        (
            source
            for source in profile.columns_of(Concept.SOURCE)
            if profile.distinct_combinations.get((column.name, source.name)) == profile.rows
            and source.distinct * 2 <= profile.rows
        ),
        None,
    )
    if source is not None:
        return AccountKey(
            column, True, f'unique for each value of "{source.name}"; the other file names the accounts by it', source
        )
    own = find_account_key(profile, detect_system(profile).system_type)
    if own is not None and own.column is column:
        return own
    return AccountKey(column, False, "the other file names the accounts by it; rows that repeat a value are rejected")


__all__ = ["FileRoles", "SeveralSystems", "find_file_roles", "key_candidates"]
