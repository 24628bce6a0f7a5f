"""Who identity number n is, worked out from n alone.

The tree: number 0 leads the company, twelve vice presidents follow, and one in nine leads others. Leads are
numbered first, level by level; everybody else reports to one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from whohas.generate import company
from whohas.generate.calendar import Calendar
from whohas.generate.draws import Draws, Flags, Numbers, Words, every, numbers, take, words
from whohas.generate.names import CULTURES, Name, families, split
from whohas.generate.template import escaped

_SPAN = len(company.VICE_PRESIDENTS)
_LEVELS = np.array([(_SPAN**level - 1) // (_SPAN - 1) for level in range(10)], dtype=np.int64)
_TOP = 1 + _SPAN

ACTIVE, LEAVE, TERMINATED, PREHIRE = range(4)
NOT_ORPHAN, LEFT_HR, EXTERNAL, NO_ACCOUNTS = range(4)


@dataclass(frozen=True, slots=True)
class People:
    """Some identities, as numbers: one element of every array for each.

    Attributes:
        at: their numbers.
        boss: the number of whom they report to, -1 for nobody.
        lead: whether others report to them.
        level: how far below the top a lead is.
        department: an index of `company.DEPARTMENTS`.
        office: an index of `company.OFFICES`.
        state: ACTIVE, LEAVE, TERMINATED or PREHIRE.
        orphan: NOT_ORPHAN, or why they have no account on the authoritative source.
        failed: whether their last processing ended with an error.
        locked: whether they are locked after failed sign-ins.
        mailless: whether no mail address is known.
        started: how many days ago they began; negative before they do.
        created: how many days ago their identity came to be.
        changed: how many days ago it last changed.
    """

    at: Numbers
    boss: Numbers
    lead: Flags
    level: Numbers
    department: Numbers
    office: Numbers
    state: Numbers
    orphan: Numbers
    failed: Flags
    locked: Flags
    mailless: Flags
    started: Numbers
    created: Numbers
    changed: Numbers


@dataclass(frozen=True, slots=True)
class Names:
    """What people are called; every text but `plain` is escaped for JSON.

    Attributes:
        plain: the name that people read, as it is.
        display: the same, escaped.
        given: the given name.
        family: the family name.
        alias: the unique name, in Latin letters.
        common: the name as part of a distinguished name, unique.
    """

    plain: list[str]
    display: list[str]
    given: list[str]
    family: list[str]
    alias: list[str]
    common: list[str]


@dataclass(frozen=True)
class Organisation:
    """A company of `identities` people.

    Attributes:
        identities: how many.
        seed: chooses among all companies of that size.
        reference: the day on which everything is as it is told.
    """

    identities: int
    seed: int
    reference: date

    @cached_property
    def draws(self) -> Draws:
        return Draws(self.seed)

    @cached_property
    def calendar(self) -> Calendar:
        return Calendar.of(self.reference, self.draws)

    @cached_property
    def leads(self) -> int:
        return 1 + (self.identities - 1) // 9

    def people(self, at: Numbers) -> People:
        """Who the identities with these numbers are."""
        draws, lead = self.draws, at < self.leads
        boss, level = self._boss(at, lead)
        slot = (np.where(lead | (self.leads == 1), at, boss) - 1) % _SPAN
        ordinary = ~lead & (at >= _TOP)
        orphan = np.where(every(at, 40, 17) & ordinary, 1 + at // 40 % 3, NOT_ORPHAN)
        chance = draws.pick("state", at, 1000)
        state = np.select([chance < 60, chance < 85, chance < 100], [TERMINATED, LEAVE, PREHIRE], ACTIVE)
        department = np.where(at == 0, company.EXECUTIVE, numbers(*company.VICE_PRESIDENTS)[slot])
        state = np.where((department == company.IT) & every(at, 25, 12), TERMINATED, state)
        state = np.where((at < _TOP) | ((state == PREHIRE) & (lead | (orphan > 0))), ACTIVE, state)
        span = np.where(lead, 1500 + draws.pick("start", at, 7000), 20 + draws.pick("start", at, 5000))
        started = np.where(state == PREHIRE, -1 - draws.pick("start", at, 60), span)
        created = np.clip(started, 5, 3000)
        return People(
            at=at,
            boss=np.where(orphan >= EXTERNAL, -1, boss),
            lead=lead & (self.identities > 1),
            level=level,
            department=department,
            office=self._office(at),
            state=state,
            orphan=orphan,
            failed=every(at, 50, 41) & ordinary & (orphan == NOT_ORPHAN),
            locked=draws.chance("locked", at, 12),
            mailless=every(at, 67, 40) & ordinary,
            started=started,
            created=created,
            changed=1 + draws.pick("changed", at, np.minimum(created - 1, 300)),
        )

    def _boss(self, at: Numbers, lead: Flags) -> tuple[Numbers, Numbers]:
        level = np.searchsorted(_LEVELS, at, side="right") - 1
        above = np.maximum(level - 1, 0)
        of_lead = _LEVELS[above] + (at - _LEVELS[level]) % (_SPAN**above)
        of_others = 1 + (at - self.leads) % (self.leads - 1) if self.leads > 1 else np.zeros_like(at)
        boss = np.where(at == 0, -1, np.where(lead, of_lead, of_others))
        return boss, level

    def _office(self, at: Numbers) -> Numbers:
        culture, _, _ = _WORDS.indexes(self, at)
        anywhere = self.draws.pick("office", at, len(company.OFFICES))
        home = _HOMES[culture, self.draws.pick("home", at, _HOMES.shape[1])]
        return np.where(self.draws.chance("at home", at, 750), home, anywhere)

    def names(self, at: Numbers) -> Names:
        """What people are called; numbers from `identities` on are people whom nobody knows."""
        culture, given, family = _WORDS.indexes(self, at)
        reversed_ = _FAMILY_FIRST[culture]
        again = at // _WORDS.pairs
        serials = [f"{n + 1}" if n else "" for n in again.tolist()]
        first = np.where(reversed_, _WORDS.family.shown[family], _WORDS.given.shown[given])
        second = np.where(reversed_, _WORDS.given.shown[given], _WORDS.family.shown[family])
        plain = [f"{a} {b}" for a, b in zip(first.tolist(), second.tolist(), strict=True)]
        latin = zip(take(_WORDS.given.latin, given), take(_WORDS.family.latin, family), serials, strict=True)
        swapped = reversed_ | (self.draws.pick("common", at, 3) == 0)
        glue = take(words(["{1} {0}", r"{0}\\, {1}"]), swapped.astype(np.int64))
        common = zip(glue, take(_WORDS.family.common, family), take(_WORDS.given.common, given), strict=True)
        return Names(
            plain=plain,
            display=[escaped(text) if '"' in text else text for text in plain],
            given=take(_WORDS.given.escaped, given),
            family=take(_WORDS.family.escaped, family),
            alias=[f"{g}.{f}{n}" for g, f, n in latin],
            common=[pattern.format(f, g) + (n and f" {n}") for (pattern, f, g), n in zip(common, serials, strict=True)],
        )

    def ids(self, at: Numbers) -> list[str]:
        return self.draws.ids("identity", at)


@dataclass(frozen=True, slots=True)
class _Forms:
    shown: Words
    latin: Words
    escaped: Words
    common: Words

    @classmethod
    def of(cls, names: list[Name]) -> _Forms:
        quoted = [n.shown.replace('"', '\\"').replace(",", "\\,") for n in names]
        return cls(
            words([n.shown for n in names]),
            words([n.latin for n in names]),
            words([escaped(n.shown) for n in names]),
            words([escaped(text) for text in quoted]),
        )


@dataclass(frozen=True, slots=True)
class _Words:
    """Every name, and where each culture's begin."""

    given: _Forms
    family: _Forms
    given_starts: Numbers
    given_counts: Numbers
    family_starts: Numbers
    starts: Numbers
    pairs: int

    @classmethod
    def load(cls) -> _Words:
        given = [split(culture.given) for culture in CULTURES]
        family = [families(culture) for culture in CULTURES]
        pairs = [len(g) * len(f) for g, f in zip(given, family, strict=True)]
        return cls(
            _Forms.of([n for names in given for n in names]),
            _Forms.of([n for names in family for n in names]),
            _starts([len(g) for g in given]),
            numbers(*(len(g) for g in given)),
            _starts([len(f) for f in family]),
            _starts(pairs),
            sum(pairs),
        )

    def indexes(self, organisation: Organisation, at: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Culture, given name and family name: each pair once, then each once more, and so on."""
        step = _coprime(int(self.pairs * 0.6180339887), self.pairs)
        shift = organisation.seed * 7919
        pair = (at % self.pairs * step + shift) % self.pairs
        culture = np.searchsorted(self.starts, pair, side="right") - 1
        within = pair - self.starts[culture]
        given = self.given_starts[culture] + within % self.given_counts[culture]
        return culture, given, self.family_starts[culture] + within // self.given_counts[culture]


def _starts(counts: list[int]) -> Numbers:
    return np.cumsum(numbers(0, *counts[:-1]))


def _coprime(wanted: int, to: int) -> int:
    while np.gcd(wanted, to) != 1:
        wanted += 1
    return wanted


def _homes() -> Numbers:
    cities = [office.city for office in company.OFFICES]
    return np.array([[cities.index(c.home[i % len(c.home)]) for i in range(4)] for c in CULTURES])


_WORDS = _Words.load()
_HOMES = _homes()
_FAMILY_FIRST: Flags = np.array([culture.family_first for culture in CULTURES])
