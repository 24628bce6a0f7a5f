"""Find the column that identifies a file's accounts, the kind of system it comes from, and its entitlements."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from whohas.ingest.proposals.cells import quoted
from whohas.ingest.proposals.profile import KEYS, NAMING, Column, Profile
from whohas.ingest.proposals.words import Concept, tokens
from whohas.plurals import counted


class Look(StrEnum):
    """The kind of system from which a file seems to come. The value is proposed as the source's type."""

    HR = "HR"
    DIRECTORY = "Active Directory"
    OTHER = "DelimitedFile"


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of system from which a file seems to come, and the reason; the reason is empty for `Look.OTHER`."""

    look: Look
    why: str


def kind_of(profile: Profile) -> Kind:
    """Return the kind of system from which a file comes, by the names of its columns.

    A directory has at least two of Active Directory's attribute names. HR has an employee number, a name, and a manager
    or a start or end date, but none of the columns that applications have, such as the last login.
    """
    directory = [
        column
        for column in profile.columns
        if "".join(tokens(column.name))
        in ("samaccountname", "distinguishedname", "useraccountcontrol", "objectguid", "objectsid", "memberof")
        or "".join(tokens(column.name))
        in ("userprincipalname", "pwdlastset", "lastlogontimestamp", "whencreated", "dn")
    ]
    if len(directory) >= 2:
        return Kind(Look.DIRECTORY, f"it has {listed(directory[:4])}")
    number = profile.first(Concept.EMPLOYEE)
    people = [profile.first(c) for c in (Concept.MANAGER, Concept.START, Concept.END, Concept.WORK)]
    evidence = [column for column in people if column is not None]
    names = profile.first(Concept.LAST_NAME, Concept.DISPLAY_NAME)
    application = profile.first(
        Concept.LAST_LOGIN, Concept.PASSWORD_SET, Concept.SECOND_FACTOR, Concept.UAC, Concept.DN, Concept.SECRET
    )
    if number is not None and names is not None and application is None and len(evidence) >= 1:
        employed = profile.first(Concept.MANAGER, Concept.START, Concept.END)
        if employed is not None:
            return Kind(Look.HR, f"it has {listed([number, names, *evidence])}, as exports of HR do")
    return Kind(Look.OTHER, "")


_ORDERS = {
    Look.HR: (Concept.EMPLOYEE, Concept.ID, Concept.LOGIN, Concept.EMAIL),
    Look.DIRECTORY: (Concept.LOGIN, Concept.UPN, Concept.DN, Concept.ID, Concept.EMAIL, Concept.EMPLOYEE),
    Look.OTHER: (Concept.LOGIN, Concept.ID, Concept.UPN, Concept.EMAIL, Concept.EMPLOYEE, Concept.DN),
}
_NEARLY = 0.9
"""The share of distinct values above which a column counts as unique with some errors."""


@dataclass(frozen=True, slots=True)
class Key:
    """The column that identifies the accounts of a file.

    Attributes:
        column: the column.
        unique: whether no two rows have the same value, or none of the same source.
        why: the reason for choosing it.
        source: the column of the rows' source, if the key is only unique within each source.
        nearly: whether it is unique apart from a few rows, which are probably errors.
    """

    column: Column
    unique: bool
    why: str
    source: Column | None = None
    nearly: bool = False


def candidates(profile: Profile, look: Look) -> list[Column]:
    """Return the columns whose names say that they identify accounts, in the order usual for the kind of system."""
    return [
        column for concept in _ORDERS[look] for column in profile.of(concept) if column.distinct > 1 or profile.rows < 3
    ]


def _nameable(profile: Profile) -> list[Column]:
    """Return columns that may identify accounts although their names do not say so: full names, then unknown names."""
    found = [c for c in profile.columns if c.concept in NAMING and c.concept not in KEYS and c.filled]
    return sorted(found, key=lambda column: column.concept is not Concept.DISPLAY_NAME)


def _holders(profile: Profile) -> list[Column]:
    """Return columns that may identify the accounts in a file of entitlements if no name says so.

    They are columns of full names, or the only column next to one of entitlements, such as `who` in `who,role`.
    """
    rest = [c for c in profile.columns if c.concept not in (Concept.SOURCE, Concept.ID)]
    alone = len(rest) == 2 and len([c for c in rest if c.concept is Concept.ENTITLEMENT]) == 1
    return [c for c in _nameable(profile) if alone or c.concept is Concept.DISPLAY_NAME]


def key_of(profile: Profile, look: Look) -> Key | None:
    """Return the column that identifies the accounts of a file; None if all columns are empty.

    In this order: a known name that is unique; unique within each source; unique apart from a few rows; another column
    that is unique and not a time or a sentence; the column with the most distinct values.
    """
    known = candidates(profile, look)
    if not profile.rows:
        return Key((known or profile.columns)[0], True, "by its name alone, because the file has no rows")
    sampled = "" if profile.whole else f" in a sample of {counted(profile.rows, 'row')}"
    for column in known:
        if profile.is_unique(column):
            return Key(
                column, True, f"unique and filled in all {counted(profile.rows, 'row')}{sampled and ' of a sample'}"
            )
    for column in known:
        for source in profile.of(Concept.SOURCE):
            pairs = profile.pairs.get((column.name, source.name), 0)
            if column.filled == profile.rows == source.filled == pairs and source.distinct * 2 <= profile.rows:
                return Key(column, True, f"unique for each value of {quoted(source)}", source)
    for column in known:
        if column.filled >= _NEARLY * profile.rows and column.distinct >= _NEARLY * column.filled:
            return Key(column, False, _mistakes(profile, column) + sampled, nearly=True)
    first = f"the first column whose value is different in each of {counted(profile.rows, 'row')}{sampled}"
    # Columns with other known names are only used as a last resort: in a short file a role may be unique by chance.
    nameable = _nameable(profile)
    for others in (nameable, [] if known or nameable else profile.columns):
        unique = [c for c in others if profile.is_unique(c) and c.times is None]
        unique.sort(key=lambda column: column.shape("sentence") > 0)
        if unique and (not unique[0].shape("sentence") or unique[0].concept is Concept.DISPLAY_NAME):
            return Key(unique[0], True, first)
    filled = known or nameable or [column for column in profile.columns if column.filled]
    if not filled:
        return None
    best = max(filled, key=lambda column: (column.distinct, -filled.index(column)))
    return Key(best, False, _mistakes(profile, best) + sampled)


def _mistakes(profile: Profile, column: Column) -> str:
    """Return the reason why rows will be rejected: empty and repeated values, with counts."""
    parts: list[str] = []
    if column.filled < profile.rows:
        empty = profile.rows - column.filled
        rejected = "has no value and is rejected" if empty == 1 else "have no value and are rejected"
        parts.append(f"{empty:,} of {counted(profile.rows, 'row')} {rejected}")
    if column.distinct < column.filled:
        shown = ", ".join(map(repr, profile.repeated.get(column.name, ())))
        more = column.filled - column.distinct
        parts.append(
            f"{more:,} {'row repeats' if more == 1 else 'rows repeat'} the value of an earlier one"
            f"{f' ({shown})' if shown else ''} and {'is' if more == 1 else 'are'} rejected"
        )
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Held:
    """The columns of a file that has one row for each account and entitlement that it holds.

    Attributes:
        account: the column that identifies the account.
        entitlement: the column that identifies the entitlement.
        alone: whether no other column describes the account.
        differing: other columns in which the rows of one account differ.
        source: the column that names the source of the row; None without one, or if other columns describe the account.
    """

    account: Column
    entitlement: Column
    alone: bool
    differing: tuple[str, ...]
    source: Column | None


def held_of(profile: Profile, look: Look) -> Held | None:
    """Return the columns of a file that has one row for each account and entitlement; None for any other file."""
    best: tuple[int, Held] | None = None
    for account in candidates(profile, look) or _holders(profile):
        if account.distinct >= profile.rows or account.filled < 0.5 * profile.rows:
            continue
        varying = profile.varying.get(account.name, ())
        for entitlement in entitlement_columns(profile):
            source = next((c for c in profile.of(Concept.SOURCE) if c.filled == profile.rows), None)
            names = (account.name, entitlement.name)
            pairs = profile.pairs.get(names, 0)
            if source is not None:
                pairs = max(pairs, profile.pairs.get((*names, source.name), 0))
            if entitlement.name not in varying or pairs < _NEARLY * account.filled or entitlement is account:
                continue
            others = [
                column for column in profile.columns if column not in (account, entitlement, source) and column.filled
            ]
            differing = tuple(
                column.name for column in others if column.name in varying and column.name != entitlement.name
            )
            constant = [column for column in others if column.name not in differing]
            held = Held(account, entitlement, not constant, differing, source if not constant else None)
            if best is None or entitlement.distinct > best[0]:
                best = (entitlement.distinct, held)
        if best is not None:
            break
    return best[1] if best else None


def entitlement_columns(profile: Profile) -> list[Column]:
    """Return the columns whose values are entitlements; of two with a one-to-one relation (code and name) the first."""
    found: list[Column] = []
    for column in profile.of(Concept.ENTITLEMENT):
        if column.times is not None or (column.words is not None and set(map(str.casefold, column.words)) <= _FLAGS):
            continue
        twin = any(profile.pairs.get((column.name, other.name)) == column.distinct == other.distinct for other in found)
        if not twin:
            found.append(column)
    return found


_FLAGS = frozenset({"true", "false", "yes", "no", "y", "n", "1", "0", "ja", "nein", "oui", "non", "x"})


def listed(columns: list[Column]) -> str:
    """Return the quoted names of columns: `"a", "b" and "c"`."""
    names = list(dict.fromkeys(quoted(column) for column in columns))
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


__all__ = ["KEYS", "Held", "Key", "Kind", "Look", "entitlement_columns", "held_of", "key_of", "kind_of", "listed"]
