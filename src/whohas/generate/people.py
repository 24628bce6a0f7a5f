"""Generate identities: all properties of identity number n are computed from n and the seed.

The hierarchy: number 0 is the chief executive, 1 to 12 are vice presidents, and one person in nine is a manager.
Managers have the lowest numbers, level by level (1, 12, 144, …); everybody else reports to one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from whohas.generate import reference_data
from whohas.generate.calendar import Calendar
from whohas.generate.names import CULTURES, Name, family_names, parse_names
from whohas.generate.rng import BoolArray, IntArray, RandomStream, TextArray, choose, integer_array, one_in, text_array
from whohas.generate.template import json_escaped

_SPAN = len(reference_data.VICE_PRESIDENTS)
_LEVELS = np.array([(_SPAN**level - 1) // (_SPAN - 1) for level in range(10)], dtype=np.int64)
_TOP = 1 + _SPAN

ACTIVE, LEAVE, TERMINATED, PREHIRE = range(4)
NOT_ORPHAN, LEFT_HR, EXTERNAL, NO_ACCOUNTS = range(4)


@dataclass(frozen=True, slots=True)
class IdentityChunk:
    """A chunk of identities: arrays with one element for each identity.

    Attributes:
        numbers: number of the identity.
        manager: number of its manager; -1 for none.
        is_manager: whether it is a manager.
        level: a manager's level in the hierarchy; 0 is the chief executive.
        department: index of `reference_data.DEPARTMENTS`.
        office: index of `reference_data.OFFICES`.
        state: ACTIVE, LEAVE, TERMINATED or PREHIRE.
        orphan_reason: NOT_ORPHAN, or the reason for having no account on the authoritative source: LEFT_HR, EXTERNAL or
            NO_ACCOUNTS (no account on any source).
        failed: whether its last processing failed.
        locked: whether it is locked after failed sign-ins.
        without_email: whether it has no email address.
        days_since_start: days since the first working day; negative if that day is still to come.
        days_since_created: days since the identity was created.
        days_since_changed: days since it was last changed.
    """

    numbers: IntArray
    manager: IntArray
    is_manager: BoolArray
    level: IntArray
    department: IntArray
    office: IntArray
    state: IntArray
    orphan_reason: IntArray
    failed: BoolArray
    locked: BoolArray
    without_email: BoolArray
    days_since_start: IntArray
    days_since_created: IntArray
    days_since_changed: IntArray


@dataclass(frozen=True, slots=True)
class NameChunk:
    """The names of a chunk of identities; every text but `plain` is escaped for JSON.

    Attributes:
        plain: display name, not escaped.
        display: display name.
        given: given name.
        family: family name.
        alias: unique name in Latin letters, such as `ann.smith`.
        common: unique common name (CN) for a distinguished name.
    """

    plain: list[str]
    display: list[str]
    given: list[str]
    family: list[str]
    alias: list[str]
    common: list[str]


@dataclass(frozen=True)
class Organization:
    """A generated company.

    Attributes:
        identities: number of identities.
        seed: seed of the random numbers.
        reference: the day whose state is generated.
        draws: the random numbers.
        calendar: dates around the reference date.
        manager_count: number of managers.
    """

    identities: int
    seed: int
    reference: date

    @cached_property
    def draws(self) -> RandomStream:
        return RandomStream(self.seed)

    @cached_property
    def calendar(self) -> Calendar:
        return Calendar.of(self.reference, self.draws)

    @cached_property
    def manager_count(self) -> int:
        return 1 + (self.identities - 1) // 9

    def people(self, at: IntArray) -> IdentityChunk:
        """Return the identities with some numbers."""
        draws, lead = self.draws, at < self.manager_count
        boss, level = self._boss(at, lead)
        slot = (np.where(lead | (self.manager_count == 1), at, boss) - 1) % _SPAN
        ordinary = ~lead & (at >= _TOP)
        orphan = np.where(one_in(at, 40, 17) & ordinary, 1 + at // 40 % 3, NOT_ORPHAN)
        chance = draws.integers("state", at, 1000)
        state = np.select([chance < 60, chance < 85, chance < 100], [TERMINATED, LEAVE, PREHIRE], ACTIVE)
        department = np.where(at == 0, reference_data.EXECUTIVE, integer_array(*reference_data.VICE_PRESIDENTS)[slot])
        state = np.where((department == reference_data.IT) & one_in(at, 25, 12), TERMINATED, state)
        state = np.where((at < _TOP) | ((state == PREHIRE) & (lead | (orphan > 0))), ACTIVE, state)
        span = np.where(lead, 1500 + draws.integers("start", at, 7000), 20 + draws.integers("start", at, 5000))
        started = np.where(state == PREHIRE, -1 - draws.integers("start", at, 60), span)
        created = np.clip(started, 5, 3000)
        return IdentityChunk(
            numbers=at,
            manager=np.where(orphan >= EXTERNAL, -1, boss),
            is_manager=lead & (self.identities > 1),
            level=level,
            department=department,
            office=self._office(at),
            state=state,
            orphan_reason=orphan,
            failed=one_in(at, 50, 41) & ordinary & (orphan == NOT_ORPHAN),
            locked=draws.booleans("locked", at, 12),
            without_email=one_in(at, 67, 40) & ordinary,
            days_since_start=started,
            days_since_created=created,
            days_since_changed=1 + draws.integers("changed", at, np.minimum(created - 1, 300)),
        )

    def _boss(self, at: IntArray, lead: BoolArray) -> tuple[IntArray, IntArray]:
        level = np.searchsorted(_LEVELS, at, side="right") - 1
        above = np.maximum(level - 1, 0)
        of_lead = _LEVELS[above] + (at - _LEVELS[level]) % (_SPAN**above)
        of_others = (
            1 + (at - self.manager_count) % (self.manager_count - 1) if self.manager_count > 1 else np.zeros_like(at)
        )
        boss = np.where(at == 0, -1, np.where(lead, of_lead, of_others))
        return boss, level

    def _office(self, at: IntArray) -> IntArray:
        culture, _, _ = _WORDS.indexes(self, at)
        anywhere = self.draws.integers("office", at, len(reference_data.OFFICES))
        home = _HOMES[culture, self.draws.integers("home", at, _HOMES.shape[1])]
        return np.where(self.draws.booleans("at home", at, 750), home, anywhere)

    def names(self, at: IntArray) -> NameChunk:
        """Return the names of people; numbers from `identities` on are people without an identity."""
        culture, given, family = _WORDS.indexes(self, at)
        reversed_ = _FAMILY_FIRST[culture]
        again = at // _WORDS.pairs
        serials = [f"{n + 1}" if n else "" for n in again.tolist()]
        first = np.where(reversed_, _WORDS.family.shown[family], _WORDS.given.shown[given])
        second = np.where(reversed_, _WORDS.given.shown[given], _WORDS.family.shown[family])
        plain = [f"{a} {b}" for a, b in zip(first.tolist(), second.tolist(), strict=True)]
        latin = zip(choose(_WORDS.given.latin, given), choose(_WORDS.family.latin, family), serials, strict=True)
        swapped = reversed_ | (self.draws.integers("common", at, 3) == 0)
        glue = choose(text_array(["{1} {0}", r"{0}\\, {1}"]), swapped.astype(np.int64))
        common = zip(glue, choose(_WORDS.family.common, family), choose(_WORDS.given.common, given), strict=True)
        return NameChunk(
            plain=plain,
            display=[json_escaped(text) if '"' in text else text for text in plain],
            given=choose(_WORDS.given.escaped, given),
            family=choose(_WORDS.family.escaped, family),
            alias=[f"{g}.{f}{n}" for g, f, n in latin],
            common=[pattern.format(f, g) + (n and f" {n}") for (pattern, f, g), n in zip(common, serials, strict=True)],
        )

    def ids(self, at: IntArray) -> list[str]:
        """Return the ids of the identities with some numbers."""
        return self.draws.ids("identity", at)


@dataclass(frozen=True, slots=True)
class _Forms:
    shown: TextArray
    latin: TextArray
    escaped: TextArray
    common: TextArray

    @classmethod
    def of(cls, names: list[Name]) -> _Forms:
        quoted = [n.shown.replace('"', '\\"').replace(",", "\\,") for n in names]
        return cls(
            text_array([n.shown for n in names]),
            text_array([n.latin for n in names]),
            text_array([json_escaped(n.shown) for n in names]),
            text_array([json_escaped(text) for text in quoted]),
        )


@dataclass(frozen=True, slots=True)
class _Words:
    """All given and family names, and the index at which the names of each culture begin."""

    given: _Forms
    family: _Forms
    given_starts: IntArray
    given_counts: IntArray
    family_starts: IntArray
    starts: IntArray
    pairs: int

    @classmethod
    def load(cls) -> _Words:
        given = [parse_names(culture.given) for culture in CULTURES]
        family = [family_names(culture) for culture in CULTURES]
        pairs = [len(g) * len(f) for g, f in zip(given, family, strict=True)]
        return cls(
            _Forms.of([n for names in given for n in names]),
            _Forms.of([n for names in family for n in names]),
            _starts([len(g) for g in given]),
            integer_array(*(len(g) for g in given)),
            _starts([len(f) for f in family]),
            _starts(pairs),
            sum(pairs),
        )

    def indexes(self, organization: Organization, at: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Return the indexes of culture, given name and family name for each number.

        Consecutive numbers step through all pairs of names, because the step is coprime to the number of pairs: a name
        repeats only after all pairs have been used.
        """
        step = _coprime(int(self.pairs * 0.6180339887), self.pairs)
        shift = organization.seed * 7919
        pair = (at % self.pairs * step + shift) % self.pairs
        culture = np.searchsorted(self.starts, pair, side="right") - 1
        within = pair - self.starts[culture]
        given = self.given_starts[culture] + within % self.given_counts[culture]
        return culture, given, self.family_starts[culture] + within // self.given_counts[culture]


def _starts(counts: list[int]) -> IntArray:
    return np.cumsum(integer_array(0, *counts[:-1]))


def _coprime(wanted: int, to: int) -> int:
    while np.gcd(wanted, to) != 1:
        wanted += 1
    return wanted


def _homes() -> IntArray:
    cities = [office.city for office in reference_data.OFFICES]
    return np.array([[cities.index(c.home[i % len(c.home)]) for i in range(4)] for c in CULTURES])


_WORDS = _Words.load()
_HOMES = _homes()
_FAMILY_FIRST: BoolArray = np.array([culture.family_first for culture in CULTURES])
