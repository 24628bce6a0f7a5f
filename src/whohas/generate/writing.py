"""Write the files of a generated organization, in chunks of identities so that memory use does not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import IO, Final

import numpy as np

from whohas.generate.accounts import account_columns, account_templates
from whohas.generate.activity import activity_columns, activity_template, event_template, has_access_request
from whohas.generate.assignments import assign_access
from whohas.generate.badges import MAPPING, VISITOR_PERIOD, badge_rows, csv_header, visitor_badge_rows
from whohas.generate.catalogue import AccessCatalog, create_catalog
from whohas.generate.describe import (
    access_column,
    access_summary_columns,
    identity_columns,
    identity_template,
    ownership_members,
)
from whohas.generate.grants import AccessBundles
from whohas.generate.inventory import catalog_documents
from whohas.generate.people import Organization
from whohas.generate.summary import Summary, SummaryCounter
from whohas.generate.uncorrelated import uncorrelated_accounts

REFERENCE: Final = date(2026, 11, 1)
"""The default reference date: the day whose state the files describe."""
CHUNK: Final = 2048
"""The number of identities that are generated at a time."""


def _no_progress(done: int) -> None:
    del done


def generate(
    folder: Path,
    identities: int,
    seed: int = 1,
    progress: Callable[[int], None] = _no_progress,
    *,
    reference: date = REFERENCE,
) -> Summary:
    """Write the files of a fictional organization into a folder.

    The same arguments give the same bytes. Memory use does not grow with `identities`.

    Args:
        folder: the folder; it is created if needed, and files of the same names are replaced.
        identities: number of identities, at least 1.
        seed: seed of the random numbers, at least 0.
        progress: called after each chunk with the number of identities written so far.
        reference: the reference date: most dates are before it; some, such as ends of contracts, up to 200 days after.

    Returns:
        The counts of what was written.

    Raises:
        ValueError: `identities` or `seed` is out of range.
    """
    if identities < 1 or seed < 0:
        raise ValueError(f"identities must be at least 1 and seed at least 0, not {identities} and {seed}")
    folder.mkdir(parents=True, exist_ok=True)
    organization = Organization(identities, seed, reference)
    with ExitStack() as stack:
        return _Writer(folder, stack, organization).write(progress)


class _Writer:
    def __init__(self, folder: Path, stack: ExitStack, organization: Organization) -> None:
        self._folder = folder
        self._stack = stack
        self._organization = organization
        self._catalogue: AccessCatalog = create_catalog(organization)
        self._grants = AccessBundles.of(self._catalogue)
        self._tally = SummaryCounter()

    def write(self, progress: Callable[[int], None]) -> Summary:
        total = self._organization.identities
        self._people(progress)
        accounts = self._open("accounts.ndjson", "ab")
        for kind, lines in uncorrelated_accounts(self._organization, self._catalogue, self._grants, CHUNK):
            _put(accounts, lines)
            self._tally.accounts(kind, uncorrelated=True)
        self._visitors(max(2, total // VISITOR_PERIOD))
        for name, lines in catalog_documents(self._organization, self._catalogue, self._tally.with_source):
            _put(self._open(f"{name}.ndjson"), lines)
        (self._folder / "badges.toml").write_text(MAPPING, encoding="utf-8", newline="\n")
        c = self._catalogue
        self._tally.add(
            entitlements=len(c.entitlements), access_profiles=len(c.profiles), roles=len(c.roles), apps=len(c.apps)
        )
        return self._tally.summary()

    def _people(self, progress: Callable[[int], None]) -> None:
        with ExitStack() as stack:
            identities, accounts, events, activities, badges_ = (
                stack.enter_context((self._folder / name).open("wb"))
                for name in (
                    "identities.ndjson",
                    "accounts.ndjson",
                    "events.ndjson",
                    "account_activities.ndjson",
                    "badges.csv",
                )
            )
            badges_.write(csv_header().encode())
            identity, event, activity = identity_template(), event_template(), activity_template(self._catalogue)
            of_kind, owns = account_templates(self._catalogue), ownership_members(self._catalogue)
            o, c, total = self._organization, self._catalogue, self._organization.identities
            for start in range(0, total, CHUNK):
                people = o.people(np.arange(start, min(start + CHUNK, total)))
                held = assign_access(o, self._grants, people)
                columns = identity_columns(o, c, owns, people)
                columns |= account_columns(o, self._grants, people, held, columns)
                columns |= access_summary_columns(c, self._grants, held, columns)
                requests = has_access_request(people, held.directory.present)
                columns |= activity_columns(o, c, people, requests, columns)
                _put(identities, identity.lines(columns, encoded={"access": access_column(self._grants, held)}))
                for kind in held.kinds:
                    _put(accounts, of_kind[kind.key].lines(columns, kind.present.tolist()))
                _put(events, event.lines(columns))
                _put(activities, activity.lines(columns, requests.tolist()))
                issued = badge_rows(o, people, columns)
                badges_.write(issued.text.encode())
                self._tally.people(people, held)
                self._tally.badges(issued)
                self._tally.add(events=people.numbers.size, account_activities=requests.sum())
                progress(start + people.numbers.size)

    def _visitors(self, total: int) -> None:
        file = self._open("badges.csv", "ab")
        for start in range(0, total, CHUNK):
            issued = visitor_badge_rows(self._organization, range(start, min(start + CHUNK, total)))
            file.write(issued.text.encode())
            self._tally.badges(issued)

    def _open(self, name: str, mode: str = "wb") -> IO[bytes]:
        return self._stack.enter_context((self._folder / name).open(mode))


def _put(file: IO[bytes], lines: Iterable[bytes]) -> None:
    text = b"\n".join(lines)
    if text:
        file.write(text)
        file.write(b"\n")
