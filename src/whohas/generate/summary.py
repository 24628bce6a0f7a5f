"""What was generated, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from whohas.generate.badges import Badges
from whohas.generate.catalogue import BADGES, SOURCE_NAMES
from whohas.generate.holdings import Held, Holdings
from whohas.generate.people import EXTERNAL, NO_ACCOUNTS, TERMINATED, People


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """The accounts of one source, and how many of them are as the other fields say."""

    name: str
    accounts: int
    uncorrelated: int
    disabled: int
    locked: int
    privileged: int
    manually_correlated: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of everything.

    Attributes:
        orphan_identities: identities without an account on the authoritative source; the next two are among them.
        enabled_accounts_of_the_terminated: the accounts of terminated identities that still work.
        by_source: the accounts of each source, the badge system last; `accounts` leaves the badges out.
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
        """Each count with its name in words."""
        names = [field.name for field in fields(self) if field.name != "by_source"]
        return [(name.replace("_", " "), getattr(self, name)) for name in names]


class Tally:
    """Counts while chunks are written."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._of: dict[str, Counter[str]] = {name: Counter() for name in (*SOURCE_NAMES, BADGES)}

    def add(self, **counts: int | np.bool_ | np.int64) -> None:
        self._counts.update({name: int(count) for name, count in counts.items()})

    def people(self, people: People, holdings: Holdings) -> None:
        p = people
        accounts = np.sum([kind.present for kind in holdings.kinds], axis=0)
        working = np.sum([kind.present & ~kind.disabled for kind in holdings.kinds], axis=0)
        self.add(
            identities=p.at.size,
            managers=p.lead.sum(),
            terminated_identities=(p.state == TERMINATED).sum(),
            locked_identities=p.locked.sum(),
            identity_errors=p.failed.sum(),
            orphan_identities=(p.orphan > 0).sum(),
            identities_without_source=((p.orphan == EXTERNAL) | (p.orphan == NO_ACCOUNTS)).sum(),
            identities_without_accounts=(accounts == 0).sum(),
            identities_without_email=p.mailless.sum(),
            enabled_accounts_of_the_terminated=working[p.state == TERMINATED].sum(),
        )
        for kind in holdings.kinds:
            self.accounts(kind)

    def accounts(self, kind: Held, uncorrelated: bool = False) -> None:
        total = int(kind.present.sum())
        self.add(accounts=total, uncorrelated_accounts=total * uncorrelated)
        self._of[SOURCE_NAMES[kind.source]].update(
            accounts=total,
            uncorrelated=total * uncorrelated,
            disabled=int(kind.disabled.sum()),
            locked=int(kind.locked.sum()),
            privileged=int(kind.privileged.sum()),
            manually_correlated=int(kind.chosen.sum()),
        )

    def badges(self, badges: Badges) -> None:
        self._of[BADGES].update(accounts=badges.rows, uncorrelated=badges.uncorrelated, disabled=badges.disabled)

    @property
    def with_source(self) -> int:
        return self._counts["identities"] - self._counts["identities_without_source"]

    def summary(self) -> Summary:
        names = [field.name for field in fields(Summary) if field.name != "by_source"]
        measures = [field.name for field in fields(SourceCounts) if field.name != "name"]
        return Summary(
            **{name: self._counts[name] for name in names},
            by_source=tuple(
                SourceCounts(source, **{m: counts[m] for m in measures}) for source, counts in self._of.items()
            ),
        )
