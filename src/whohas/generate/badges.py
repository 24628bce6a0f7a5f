"""Generate the export of a badge system, a CSV file with irregularities as in real exports, and the mapping for it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from whohas.generate import reference_data
from whohas.generate.catalogue import BADGES
from whohas.generate.people import NO_ACCOUNTS, PREHIRE, TERMINATED, IdentityChunk, Organization
from whohas.generate.rng import choose, one_in, text_array

HEADER = ("Badge No", "Holder", "Email", "Building Access", "Disabled", "Issued", "Note")
VISITOR_PERIOD = 25
MAPPING = f'''# How whohas reads badges.csv: which column is what, and whose badge it is.
[source]
name = "{BADGES}"
type = "DelimitedFile"
description = "Doors and gates of all offices"

[accounts]
file = "badges.csv"
attributes = "*"

[accounts.columns]
nativeIdentity = "Badge No"
name = "Holder"
created = "Issued"
disabled = "Disabled"

[accounts.lists]
"Building Access" = ";"

[correlation]
account = "Email"
identity = "email"
ignoreCase = true
'''
_NOTES = text_array(['Lost, see "desk book"', "=SUM(1,2)", "Replaced\n(photo, new name)", "-", "+1 guest"])
_ACCESS = text_array(
    [
        ";".join(b for n, b in enumerate(reference_data.BUILDINGS) if bits >> n & 1)
        for bits in range(2 ** len(reference_data.BUILDINGS))
    ]
)


@dataclass(frozen=True, slots=True)
class BadgeRows:
    """A part of the CSV file and its counts.

    Attributes:
        text: the rows as CSV.
        rows: number of rows.
        uncorrelated: number of badges whose email address belongs to no identity.
        disabled: number of disabled badges.
    """

    text: str
    rows: int
    uncorrelated: int
    disabled: int


def csv_header() -> str:
    """Return the first line of the file."""
    return _csv([HEADER])


def badge_rows(organization: Organization, people: IdentityChunk, columns: Mapping[str, list[str]]) -> BadgeRows:
    """Return the badges of some identities; a few have a second, void badge.

    Args:
        organization: the organization.
        people: the identities.
        columns: the identities' columns, from `identity_columns`.
    """
    p, draws = people, organization.draws
    present = (p.orphan_reason != NO_ACCOUNTS) & (p.state != PREHIRE) & draws.booleans("badge", p.numbers, 780)
    second = present & one_in(p.numbers, 61, 20)
    off = ((p.state == TERMINATED) & draws.booleans("badge off", p.numbers, 600)) | draws.booleans(
        "badge other off", p.numbers, 20
    )
    forms = draws.integers("badge email", p.numbers, 10).tolist()
    emails = [
        email if form < 5 else email.title().replace(".Example", ".example") if form < 8 else email.upper()
        for email, form in zip(columns["email"], forms, strict=True)
    ]
    access = choose(
        _ACCESS,
        (draws.integers("buildings", p.numbers, len(_ACCESS)) | 1)
        & (draws.integers("doors", p.numbers, len(_ACCESS)) | 1),
    )
    noted = np.where(one_in(p.numbers, 15, 9), draws.integers("note", p.numbers, len(_NOTES)), -1)
    notes = [("" if n < 0 else _NOTES[n]) for n in noted.tolist()]
    issued = organization.calendar.dates(np.maximum(p.days_since_created - draws.integers("issued", p.numbers, 20), 1))
    everything = zip(
        p.numbers.tolist(), columns["plain"], emails, access, off.tolist(), issued, notes, present.tolist(),
        second.tolist(), strict=True,
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for n, holder, email, doors, disabled, since, note, here, twice in everything:
        if here:
            rows.append((f"{n + 1000:07d}", holder, email, doors, "yes" if disabled else "no", since, note))
        if twice:
            rows.append((f"9{n + 1000:06d}", holder, email, "", "yes", since, "Replaced, void"))
    unknown = int(np.sum(present & p.without_email) + np.sum(second & p.without_email))
    return BadgeRows(_csv(rows), len(rows), unknown, int(np.sum(present & off) + np.sum(second)))


def visitor_badge_rows(organization: Organization, at: range) -> BadgeRows:
    """Return badges of visitors, who are no identities.

    Args:
        organization: the organization.
        at: numbers of the visitors.
    """
    numbers = np.arange(at.start, at.stop)
    days = organization.calendar.dates(1 + organization.draws.integers("visit", numbers, 300))
    rows = [
        (f"V{n:05d}", f"Visitor {n:02d}", f"guest{n}@partner.example" if n % 2 else "", "Main Gate", "no", day, "")
        for n, day in zip(at, days, strict=True)
    ]
    return BadgeRows(_csv(rows), len(rows), len(rows), 0)


def _csv(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
