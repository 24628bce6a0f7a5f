"""What the search page and the form of SEARCH_EXPORT share: who may search, the limits of a page, and the verdict.

The rights are those of SEARCH_EXPORT: who may start a run may search. A user who is restricted to sources may not, as
with the report, because hits, counts and completions would show data of other sources.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from whohas import timeouts
from whohas.console.view import View
from whohas.errors import Forbidden, InvalidArguments
from whohas.search.index import SearchIndex, locked_index, open_index, searchable_snapshot
from whohas.search.lexer import QuerySyntaxError
from whohas.search.limits import SearchLimits
from whohas.settings import Settings
from whohas.warehouse.store import Snapshot

MAX_QUERY_LENGTH = 4_000
"""The longest query of a page, in characters; a run takes longer ones."""
RESTRICTED = (
    "You administer sources, and a search covers all sources. Run the report ACCOUNTS on one of your sources instead."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The check of a query, without running it.

    Attributes:
        error: why it cannot be run; None if it can.
        before, at, after: the query around the character that the error is about; empty without a position.
        notes: warnings, such as fields that do not exist.
        explained: how the query is read, a line for each clause; empty where it is not shown.
    """

    error: str | None = None
    before: str = ""
    at: str = ""
    after: str = ""
    notes: tuple[str, ...] = ()
    explained: str = ""


def verdict_of_error(query: str, error: InvalidArguments) -> Verdict:
    """Return the verdict on a query that cannot be run, with the place of the error if it has one."""
    if not isinstance(error, QuerySyntaxError):
        return Verdict(error.message)
    at = error.position
    sentence = f"The query breaks at column {at + 1}: {error.reason}."
    return Verdict(sentence, query[:at], query[at : at + 1], query[at + 1 :])


def refuse_restricted(view: View) -> None:
    """Raise unless the user may search.

    Raises:
        Forbidden: the user is restricted to sources.
    """
    if view.caller.restricted_to_sources:
        raise Forbidden(RESTRICTED)


@contextmanager
def searchable(view: View) -> Generator[tuple[SearchIndex, Snapshot]]:
    """Yield the newest search index and its snapshot; the index is not removed until the context ends."""
    warehouse = view.services.warehouse
    snapshot = searchable_snapshot(warehouse)
    with locked_index(warehouse, snapshot):
        yield open_index(snapshot), snapshot


def page_limits(settings: Settings) -> SearchLimits:
    """Return the limits of a search that a page plans: those of the settings, with less processor time."""
    limits = SearchLimits.from_settings(settings)
    return replace(limits, plan_seconds=min(limits.plan_seconds, timeouts.CONSOLE_PLAN_SECONDS))
