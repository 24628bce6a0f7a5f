"""Counts of the generated objects, for the summary that is printed and for tests of reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from whohas.generate.assignments import AccountKind, Assignments
from whohas.generate.badges import BadgeRows
from whohas.generate.catalogue import BADGES, SOURCE_NAMES
from whohas.generate.people import EXTERNAL, NO_ACCOUNTS, TERMINATED, IdentityChunk


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """The number of accounts of one source, in all and by state."""

    name: str
    accounts: int
    uncorrelated: int
    disabled: int
    locked: int
    privileged: int
    manually_correlated: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of all generated objects.

    Attributes:
        orphan_identities: identities without an account on the authoritative source, for any reason.
        identities_without_source: identities without an authoritative source; all are orphan identities.
        enabled_accounts_of_the_terminated: accounts of terminated identities that are not disabled.
        accounts: all accounts but those of the badge system.
        by_source: the counts for each source, the badge system last.
    """

    identities: int
    managers: int
    terminated_identities: int
    locked_identities: int
    identity_errors: int
    orphan_identities: int
    identities_without_source: int
    identities_without_accounts: int
    identities_without_email: int
    accounts: int
    uncorrelated_accounts: int
    enabled_accounts_of_the_terminated: int
    entitlements: int
    access_profiles: int
    roles: int
    apps: int
    account_activities: int
    events: int
    by_source: tuple[SourceCounts, ...]

    def rows(self) -> list[tuple[str, int]]:
        """Return the name of each count, in words, and its value; without the counts by source."""
        names = [field.name for field in fields(self) if field.name != "by_source"]
        return [(name.replace("_", " "), getattr(self, name)) for name in names]


class SummaryCounter:
    """Counts the objects of the generated files while they are written; `summary` returns the totals."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._of: dict[str, Counter[str]] = {name: Counter() for name in (*SOURCE_NAMES, BADGES)}

    def add(self, **counts: int | np.bool_ | np.int64) -> None:
        """Add to counts, by their names in `Summary`."""
        self._counts.update({name: int(count) for name, count in counts.items()})

    def people(self, people: IdentityChunk, holdings: Assignments) -> None:
        """Count some identities and their accounts."""
        p = people
        accounts = np.sum([kind.present for kind in holdings.kinds], axis=0)
        working = np.sum([kind.present & ~kind.disabled for kind in holdings.kinds], axis=0)
        self.add(
            identities=p.numbers.size,
            managers=p.is_manager.sum(),
            terminated_identities=(p.state == TERMINATED).sum(),
            locked_identities=p.locked.sum(),
            identity_errors=p.failed.sum(),
            orphan_identities=(p.orphan_reason > 0).sum(),
            identities_without_source=((p.orphan_reason == EXTERNAL) | (p.orphan_reason == NO_ACCOUNTS)).sum(),
            identities_without_accounts=(accounts == 0).sum(),
            identities_without_email=p.without_email.sum(),
            enabled_accounts_of_the_terminated=working[p.state == TERMINATED].sum(),
        )
        for kind in holdings.kinds:
            self.accounts(kind)

    def accounts(self, kind: AccountKind, uncorrelated: bool = False) -> None:
        """Count accounts of one kind."""
        total = int(kind.present.sum())
        self.add(accounts=total, uncorrelated_accounts=total * uncorrelated)
        self._of[SOURCE_NAMES[kind.source]].update(
            accounts=total,
            uncorrelated=total * uncorrelated,
            disabled=int(kind.disabled.sum()),
            locked=int(kind.locked.sum()),
            privileged=int(kind.privileged.sum()),
            manually_correlated=int(kind.manually_correlated.sum()),
        )

    def badges(self, badges: BadgeRows) -> None:
        """Count badges as accounts of the badge system."""
        self._of[BADGES].update(accounts=badges.rows, uncorrelated=badges.uncorrelated, disabled=badges.disabled)

    @property
    def with_source(self) -> int:
        """The number of identities counted so far that have an authoritative source."""
        return self._counts["identities"] - self._counts["identities_without_source"]

    def summary(self) -> Summary:
        """Return the counts so far."""
        names = [field.name for field in fields(Summary) if field.name != "by_source"]
        measures = [field.name for field in fields(SourceCounts) if field.name != "name"]
        return Summary(
            **{name: self._counts[name] for name in names},
            by_source=tuple(
                SourceCounts(source, **{m: counts[m] for m in measures}) for source, counts in self._of.items()
            ),
        )
