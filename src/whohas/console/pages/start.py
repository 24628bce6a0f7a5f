"""The start page: what whohas is, and after the sign-in the last runs, the sources, and what needs attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import Response

from whohas.auth import Caller
from whohas.console.load_history import summarize, unresolved_loads
from whohas.console.view import Link, Pages, View
from whohas.plurals import pluralize
from whohas.reports import all_reports
from whohas.reports.sources import STALE_AFTER
from whohas.runs import listing, visibility
from whohas.runs.models import Run
from whohas.warehouse.catalog import Catalog, CatalogSource, read_catalog

PAGES = Pages(Link("Start", "/console", order=10))

_RUNS = 8
_FAILED = 5
_SOURCES = 12
_LOADS = 3
_LATELY_DAYS = 7


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source as the start page lists it."""

    source: CatalogSource
    accounts: int
    rejected: int
    emptied: int
    is_stale: bool

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look at it."""
        return self.is_stale or bool(self.rejected or self.emptied)


@PAGES.get("", needs=None)
def show_start(view: View) -> Response:
    """Show the start page."""
    if view.session is None:
        access = view.services.access
        with_password = (user for user in access.users.list() if user.has_password and user.disabled is None)
        can_sign_in = access.outside_sign_in is not None or any(with_password)
        return view.page("welcome.html", reports=len(all_reports()), can_sign_in=can_sign_in)
    caller = view.caller
    runs: Sequence[Run] = ()
    failed: Sequence[Run] = ()
    if view.may("getTaskStatusList"):
        seen = visibility.visible_to(caller)
        runs = listing.list_page(view.services.database, listing.ListRequest(limit=_RUNS), seen)
        recent = listing.ListRequest(filters='state eq "failed"', limit=_FAILED)
        failed = [run for run in listing.list_page(view.services.database, recent, seen) if _is_recent(run)]
    snapshot = view.services.warehouse.snapshot()
    sources = source_rows(read_catalog(snapshot), caller) if view.may("startReport") else []
    return view.page(
        "start.html",
        runs=runs,
        failed=failed,
        sources=sources[:_SOURCES],
        more_sources=len(sources) - _SOURCES,
        attention=[row for row in sources if row.needs_attention],
        snapshot=snapshot,
        describe=describe_source,
        loads=unresolved_loads(view.services, _LOADS) if view.may("readLoads") else [],
        summarize=summarize,
    )


def source_rows(catalog: Catalog, caller: Caller) -> list[SourceRow]:
    """Return the sources that a caller may have reports on, those first that were not loaded for longest.

    Args:
        catalog: the catalogue of a snapshot.
        caller: the user; one who is restricted to sources gets only these.
    """
    now = datetime.now(UTC)
    rows = [
        SourceRow(
            source,
            catalog.row_count("accounts", frozenset({source.id})),
            sum(gap.rejected for gap in catalog.snapshot.gaps if gap.source == source.id),
            sum(gap.emptied for gap in catalog.snapshot.gaps if gap.source == source.id),
            source.loaded_at is not None and now - source.loaded_at >= STALE_AFTER,
        )
        for source in catalog.sources
        if not caller.restricted_to_sources or source.id in caller.sources
    ]
    return sorted(rows, key=lambda row: (row.source.loaded_at or datetime.min.replace(tzinfo=UTC), row.source.name))


def describe_source(row: SourceRow) -> str:
    """Return why a source needs attention, in a sentence."""
    parts = [
        f"{pluralize(count, noun)} {verb}"
        for count, noun, verb in ((row.rejected, "row", "rejected"), (row.emptied, "cell", "emptied"))
        if count
    ]
    if row.is_stale:
        parts.append("not loaded for a year or longer")
    return f"{', '.join(parts)}.".capitalize()


def _is_recent(run: Run) -> bool:
    ended = run.completed or run.created
    return (datetime.now(UTC) - ended).days < _LATELY_DAYS
