"""Sources and loads: how old the data is, what is missing from it, and how to repair a load that went wrong.

Sources are shown to those who may have reports on them. Loads cover all sources and name files of the server, so they
are shown to those who see all runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from whohas.console.load_history import find_load, recent_loads, rejected_rows, remedies, summarize
from whohas.console.lookups import lookup_slot, open_lookup
from whohas.console.pages.start import SourceRow, describe_source, source_rows
from whohas.console.rendering import number
from whohas.console.view import Link, Pages, View
from whohas.engine.statement import Statement
from whohas.errors import NotFound
from whohas.runs.plans import resolve_at_snapshot
from whohas.warehouse.catalog import read_catalog

PAGES = Pages(Link("Sources", "/console/sources", order=50))

_FACTS = {
    "type": "Type",
    "description": "Description",
    "ownerName": "Owner",
    "connector": "Connector",
    "status": "Health",
    "created": "Created",
    "modified": "Modified",
    "id": "Id",
}
_COUNTS = """
SELECT count(*), count(identityId), count(disabled), count(*) FILTER (WHERE disabled), count(locked),
       count(*) FILTER (WHERE locked), count(privileged), count(*) FILTER (WHERE privileged)
FROM accounts WHERE sourceId = $id
"""
_FLAGS = ("Disabled", "Locked", "Privileged")
_LOADS_OF_SOURCE = 10


@dataclass(frozen=True, slots=True)
class AccountCount:
    """A number of accounts of a source.

    Attributes:
        label: what is counted.
        count: the number.
        known: the number of accounts of which the data says whether they count; of 0 accounts, the number is not known.
        total: the number of all accounts.
    """

    label: str
    count: int
    known: int
    total: int

    @property
    def text(self) -> str:
        """The number for people, with the accounts of which the data does not say whether they count."""
        if self.total and not self.known:
            return "not known: the data does not say"
        unknown = self.total - self.known
        return number(self.count) + (f" (not known for {number(unknown)})" if unknown else "")


@PAGES.get("/sources", needs="startReport")
def show_sources(view: View) -> Response:
    """Show the sources that the user may have reports on, and the newest loads."""
    snapshot = view.services.warehouse.snapshot()
    loads = recent_loads(view.services) if view.may("readLoads") else []
    return view.page(
        "sources.html",
        sources=sorted(_rows(view), key=lambda row: row.source.name.casefold()),
        loads=loads,
        snapshot=snapshot,
        summarize=summarize,
        describe=describe_source,
    )


@PAGES.get("/sources/{id}", needs="startReport")
def show_source(view: View, id: str) -> Response:
    """Show a source: its facts, its accounts, what is missing from its data, and its loads."""
    row = next((row for row in _rows(view) if row.source.id == id), None)
    if row is None:
        raise NotFound(f"There is no source {id[:100]!r} that you may see. The page Sources lists them.")
    snapshot = view.services.warehouse.snapshot()
    statement = Statement("SELECT 1", (), tables={"sources": None, "accounts": frozenset({id})})
    tables = resolve_at_snapshot([statement], snapshot)[1]
    with lookup_slot(), open_lookup(view.services.settings.spill_path, tables) as lookup:
        facts = lookup.dicts("SELECT * FROM sources WHERE id = $id LIMIT 1", {"id": id})[0]
        total, correlated, *flags = lookup.rows(_COUNTS, {"id": id})[0]
    loads = recent_loads(view.services) if view.may("readLoads") else []
    return view.page(
        "source.html",
        row=row,
        facts=[(label, facts[name]) for name, label in _FACTS.items() if facts[name] not in (None, "")],
        counts=[
            AccountCount("Accounts", total, total, total),
            AccountCount("With an identity", correlated, total, total),
            AccountCount("Without an identity", total - correlated, total, total),
            *(
                AccountCount(label, count, known, total)
                for label, known, count in zip(_FLAGS, flags[::2], flags[1::2], strict=True)
            ),
        ],
        gaps=[gap for gap in snapshot.gaps if gap.source == id],
        loads=[load for load in loads if any(source.id == id for source in load.sources)][:_LOADS_OF_SOURCE],
        describe=describe_source,
        summarize=summarize,
    )


@PAGES.get("/loads/{id}", needs="readLoads")
def show_load(view: View, id: str) -> Response:
    """Show the report of a load: its outcome, what it read and rejected, and what to do."""
    load = find_load(view.services, id)
    context: dict[str, Any] = {"load": load, "summary": summarize(load), "remedies": remedies(load)}
    return view.page("load.html", rows=rejected_rows(load), **context)


def _rows(view: View) -> list[SourceRow]:
    return source_rows(read_catalog(view.services.warehouse.snapshot()), view.caller)
