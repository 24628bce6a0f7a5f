"""Find the roles of one system's files: which has accounts, entitlements or memberships, and which columns join them.

Two columns join if they share values: `_meeting` compares the values of the files' samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from whohas.errors import InvalidArguments
from whohas.ingest.proposals.keys import Held, Key, candidates, entitlement_columns, held_of, key_of, kind_of
from whohas.ingest.proposals.profile import KEYS, Column, Profile, parts_of
from whohas.ingest.proposals.words import Concept

_MEETS = 0.5
"""The share of values that two columns must have in common to be taken for the same thing, by the smaller of both."""


class NotOneSource(InvalidArguments):
    """The files describe different systems, so that one mapping cannot have them all."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The role of each file in a mapping.

    Attributes:
        accounts: the file with accounts.
        key: its column that identifies the accounts.
        entitlements: the file with entitlements.
        value: its column that identifies the entitlements.
        memberships: the file with one row for each account and entitlement that it holds.
        held: the columns of the file of memberships, or of a file of accounts that has one row for each entitlement.
        unused: files that have none of these roles.
        source: the column that names the source of each entitlement, if there is only a file of entitlements.
    """

    accounts: Profile | None
    key: Key | None
    entitlements: Profile | None = None
    value: Column | None = None
    memberships: Profile | None = None
    held: Held | None = None
    unused: tuple[Profile, ...] = ()
    source: Column | None = None


def roles_of(profiles: Sequence[Profile]) -> Roles:
    """Return the role of each file.

    Raises:
        NotOneSource: two of the files have accounts, and no file of memberships joins them.
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
    return Roles(accounts, key, entitlements, value, memberships, replace(held, source=source), unused)


def _single(profile: Profile) -> Roles:
    look = kind_of(profile).look
    held = held_of(profile, look)
    key = key_of(profile, look)
    if held is not None and (key is None or not key.unique or key.source is not None or _numbers_rows(key, held)):
        if held.alone:
            return Roles(None, None, memberships=profile, held=held)
        return Roles(profile, Key(held.account, True, _per_right(held)), held=held)
    if key is not None and not any(column.concept in NAMES for column in profile.columns):
        for right in profile.of(Concept.ENTITLEMENT):
            if profile.is_unique(right):
                return Roles(None, None, profile, right)
            for source in profile.of(Concept.SOURCE):
                if profile.pairs.get((right.name, source.name)) == profile.rows == source.filled:
                    return Roles(None, None, profile, right, source=source)
    return Roles(profile, key)


def _numbers_rows(key: Key, held: Held) -> bool:
    """Return whether the unique column only numbers the rows of memberships.

    So it is if the unique column is an id, and accounts have a login name that repeats.
    """
    return key.column.concept is Concept.ID and held.account.concept is Concept.LOGIN and held.alone


NAMES: Final = (*KEYS[:-1], Concept.DISPLAY_NAME, Concept.ID)
"""Concepts of columns that identify an account or a person."""


def _per_right(held: Held) -> str:
    return f'one account has a row for each value of "{held.entitlement.name}"'


def _memberships(profiles: Sequence[Profile]) -> tuple[Profile | None, Held | None]:
    """Return the file of memberships and its columns; of several, the one that joins with most of the other files."""
    found: list[tuple[int, Profile, Held]] = []
    for profile in profiles:
        held = held_of(profile, kind_of(profile).look)
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


def _without_memberships(profiles: Sequence[Profile]) -> Roles:
    """Return the roles of files without memberships: the accounts' file itself lists the entitlements.

    Raises:
        NotOneSource: two of the files have accounts.
    """
    people = [profile for profile in profiles if any(c.concept in NAMES[:-1] for c in profile.columns)]
    if not people:
        people = list(profiles)
    accounts = max(people, key=lambda profile: len(entitlement_columns(profile)) * 1_000_000 + profile.rows)
    rights = frozenset(part for column in entitlement_columns(accounts) for part in parts_of(column))
    rest = [profile for profile in profiles if profile is not accounts]
    found: tuple[float, Profile, Column] | None = None
    for profile in rest:
        for column in profile.columns:
            if rights and column.filled and column.distinct == column.filled:
                share = len(column.values & rights) / min(len(column.values), len(rights))
                if share >= _MEETS and (found is None or share > found[0]):
                    found = (share, profile, column)
    others = [profile for profile in rest if found is None or profile is not found[1]]
    clash = [profile for profile in others if profile in people]
    if clash:
        raise NotOneSource(
            f"{accounts.path.name} and {clash[0].path.name} both have accounts, and no file joins them: they seem to "
            "come from different systems. A mapping describes one system: call whohas map for each file by itself."
        )
    key = key_of(accounts, kind_of(accounts).look)
    return Roles(accounts, key, found[1] if found else None, found[2] if found else None, unused=tuple(others))


def _meeting(profile: Profile, column: Column) -> tuple[float, Column] | None:
    """Return the column of a file that has most values in common with a column of another file.

    Args:
        profile: the file whose columns are searched.
        column: the column of the other file.

    Returns:
        The share of common values and the column; None if no share reaches `_MEETS`.
    """
    parts = parts_of(column)
    best: tuple[float, Column] | None = None
    for other in profile.columns:
        if not other.filled or other.distinct * 2 < other.filled or not parts:
            continue
        share = len(parts & other.values) / min(len(parts), len(other.values))
        if share >= _MEETS and (best is None or share > best[0]):
            best = (share, other)
    return best


def _as_key(profile: Profile, column: Column) -> Key:
    """Return the key of a file of accounts, given the column by which another file refers to its accounts."""
    if profile.is_unique(column):
        return Key(column, True, "unique, and the other file names the accounts by it")
    source = next(
        (
            source
            for source in profile.of(Concept.SOURCE)
            if profile.pairs.get((column.name, source.name)) == profile.rows and source.distinct * 2 <= profile.rows
        ),
        None,
    )
    if source is not None:
        return Key(
            column, True, f'unique for each value of "{source.name}"; the other file names the accounts by it', source
        )
    own = key_of(profile, kind_of(profile).look)
    if own is not None and own.column is column:
        return own
    return Key(column, False, "the other file names the accounts by it; rows that repeat a value are rejected")


__all__ = ["NotOneSource", "Roles", "candidates", "roles_of"]
