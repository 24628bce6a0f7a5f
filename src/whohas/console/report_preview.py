"""The preview in the form of SEARCH_EXPORT: whether the query is valid, how much it finds, and the first hits.

It plans the search as a run would, with the arguments of the form. Showing hits is an audit event as on the search
page, marked as a preview. So that typing cannot flood the audit log, a user gets a limited number of previews with hits
in a minute, and the same preview again is no further event.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from whohas import audit, timeouts
from whohas.auth.throttle import MemoryWindowCounter
from whohas.console.lookups import LookupTooLarge, lookup_slot, open_lookup
from whohas.console.searches import (
    MAX_QUERY_LENGTH,
    Verdict,
    page_limits,
    refuse_restricted,
    searchable,
    verdict_of_error,
)
from whohas.console.view import View
from whohas.engine.statement import ResultColumn
from whohas.errors import InvalidArguments, Unavailable, WhohasError
from whohas.plurals import pluralize
from whohas.reports import Plan, Report, ReportRequest, plan_report
from whohas.reports.base import MessageLevel
from whohas.runs.plans import resolve_at_snapshot
from whohas.warehouse.catalog import read_catalog
from whohas.warehouse.store import Snapshot

HITS: Final = 5
"""The most hits that a preview shows."""
PREVIEWS: Final = 20
"""The most previews with hits that a user gets in `CONSOLE_PREVIEW_WINDOW_SECONDS`."""
_COLUMNS = 5
_USERS = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a search finds.

    Attributes:
        counts: the title of each index that is searched, with its number of hits.
        title: the title of the first index with hits; empty if nothing was found.
        headings: the headings of the columns that are shown.
        rows: the first hits of this index, their cells for people.
    """

    counts: tuple[tuple[str, int], ...]
    title: str = ""
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()

    @property
    def total(self) -> int:
        """The number of hits in all indices."""
        return sum(count for _, count in self.counts)


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview.

    Attributes:
        query: the query.
        verdict: the check of the query.
        found: what it finds; None where the query is invalid, or `note` says why.
        note: why hits are not shown although the query is valid; empty otherwise.
    """

    query: str
    verdict: Verdict
    found: Found | None = None
    note: str = ""


class PreviewLog:
    """The previews that users have been shown lately. One for each server."""

    def __init__(self) -> None:
        self._counter = MemoryWindowCounter()
        self._lock = Lock()
        self._last: OrderedDict[str, str] = OrderedDict()

    def seconds_to_wait(self, user: str) -> int:
        """Return after how many seconds a user gets the next preview with hits; 0 for at once."""
        count = self._counter.get(user)
        return int(count.seconds_left) + 1 if count.events >= PREVIEWS else 0

    def is_new(self, user: str, preview: str) -> bool:
        """Count a preview, and return whether it differs from the last one of the user.

        Args:
            user: the id of the user.
            preview: identifies what is shown: the arguments and the snapshot.
        """
        digest = hashlib.sha256(preview.encode("utf-8", "surrogatepass")).hexdigest()
        with self._lock:
            if self._last.get(user) == digest:
                return False
            self._last[user] = digest
            self._last.move_to_end(user)
            while len(self._last) > _USERS:
                self._last.popitem(last=False)
        self._counter.add(user, timeouts.CONSOLE_PREVIEW_WINDOW_SECONDS)
        return True


def preview_search(view: View, report: Report, arguments: Mapping[str, Any]) -> Preview:
    """Return the preview of a search, and have its audit event written if it shows hits.

    Args:
        view: the request.
        report: SEARCH_EXPORT.
        arguments: the arguments of the report in the form.

    Raises:
        Forbidden: the user is restricted to sources.
    """
    refuse_restricted(view)
    query = str(arguments.get("query", ""))
    if not query:
        return Preview("", Verdict())
    if len(query) > MAX_QUERY_LENGTH:
        size = f"The query has {len(query):,} characters."
        return Preview(query, Verdict(), note=f"{size} Up to {MAX_QUERY_LENGTH:,} are checked here; a run takes more.")
    try:
        with lookup_slot(), searchable(view) as (_, snapshot):
            return _preview(view, report, arguments, query, snapshot)
    except InvalidArguments as error:
        # the position is in the query only where no other argument has a query of its own
        is_placed = "innerHit" not in arguments
        return Preview(query, verdict_of_error(query, error) if is_placed else Verdict(error.message))
    except WhohasError as error:
        return Preview(query, Verdict(error.message))


def _preview(view: View, report: Report, arguments: Mapping[str, Any], query: str, snapshot: Snapshot) -> Preview:
    settings = view.services.settings
    request = ReportRequest(
        report.type,
        arguments,
        datetime.now(UTC),
        view.caller.name,
        settings.search_phrases,
        page_limits(settings),
    )
    plan = plan_report(report, request, read_catalog(snapshot))
    verdict = Verdict(notes=tuple(one.text for one in plan.messages if one.level is MessageLevel.WARN))
    user, log = view.caller.id, previews_of(view)
    if wait := log.seconds_to_wait(user):
        shown = f"{PREVIEWS} previews were shown within a minute: the next one in {pluralize(wait, 'second')}."
        return Preview(query, verdict, note=f"The query is valid. {shown}")
    try:
        found = _find(view, plan, snapshot)
    except (LookupTooLarge, Unavailable) as error:
        return Preview(query, verdict, note=f"The query is valid. {error.message}")
    if found.rows and log.is_new(user, f"{snapshot.number} {json.dumps(arguments, sort_keys=True)}"):
        indices = ",".join(plan.arguments["indices"])
        facts = {"index": indices, "query": query, "rows": found.total, "preview": True}
        event = audit.Event(audit.EventType.DATA_SEARCHED, indices, view.actor, details=facts)
        view.record_look(lambda: view.write_event(event))
    return Preview(query, verdict, found)


def _find(view: View, plan: Plan, snapshot: Snapshot) -> Found:
    statements, tables = resolve_at_snapshot(plan.statements, snapshot)
    counts: list[tuple[str, int]] = []
    first: Found | None = None
    with open_lookup(view.services.settings.spill_path, tables) as lookup:
        for part, statement in zip(plan.parts, statements, strict=True):
            rows = lookup.rows(f"SELECT * FROM (\n{statement.sql}\n) LIMIT {HITS + 1}", statement.parameters)
            count = len(rows)
            if count > HITS:
                count = lookup.rows(f"SELECT count(*) FROM (\n{statement.sql}\n)", statement.parameters)[0][0]
            counts.append((part.name, count))
            if rows and first is None:
                columns = part.statement.columns
                places = _shown(columns)
                headings = tuple(columns[place].label or columns[place].name for place in places)
                cells = tuple(tuple(row[place] for place in places) for row in rows[:HITS])
                first = Found((), part.name, headings, cells)
    if first is None:
        return Found(tuple(counts))
    return Found(tuple(counts), first.title, first.headings, first.rows)


def _shown(columns: Sequence[ResultColumn]) -> list[int]:
    """Return the places of the columns that a preview shows: the first ones that readable files show."""
    places = [place for place, column in enumerate(columns) if column.readable != "never"]
    return places[:_COLUMNS] or list(range(len(columns)))[:_COLUMNS]


def previews_of(view: View) -> PreviewLog:
    """Return the log of previews of the server that answers."""
    log: PreviewLog = view.request.state.previews
    return log
