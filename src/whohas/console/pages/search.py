"""Search: a query with its first hits, the check of the query while it is typed, and completion.

Hits that are shown are an audit event; checks and completions are not (`whohas.console.searches` has the rights).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from whohas import audit
from whohas.console.lookups import lookup_slot, open_lookup, view_files
from whohas.console.search_examples import Example, search_examples
from whohas.console.searches import (
    MAX_QUERY_LENGTH,
    RESTRICTED,
    Verdict,
    page_limits,
    refuse_restricted,
    searchable,
    verdict_of_error,
)
from whohas.console.view import Link, Pages, View
from whohas.engine.sql import quote_identifier, string_literal
from whohas.errors import InvalidArguments, QuotaExceeded, WhohasError
from whohas.search.fields import INDICES, IndexField
from whohas.search.index import IndexedElement, SearchIndex

if TYPE_CHECKING:
    from whohas.search.completion import QueryCursor, Suggestion
    from whohas.search.service import SearchPlan

PAGES = Pages(Link("Search", "/console/search", order=40))

HITS = 25
"""The number of hits that the page shows."""

_COLUMNS = {"identities": ("displayName", "name", "email", "status", "manager.displayName")}
_SORT = {"identities": ("displayName",), "events": ("-created",), "accountactivities": ("-created",)}
_MOST_COLUMNS = 6
_ENUMERATED = 200
"""A field with at most this many different values is enumerated: its values are suggested."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The result of a search.

    Attributes:
        names: the names of the columns.
        rows: the first hits: the id of the document, and its cells for people.
        total: the number of all hits.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Any, ...]], ...]
    total: int


@PAGES.get("/search", needs="startReport")
def show_search(view: View) -> Response:
    """Show the form, and the first hits of the query in the address."""
    query, index = view.query.get("query", "").strip(), view.query.get("index", "identities")
    context: dict[str, Any] = {"query": query, "index": index, "indices": INDICES, "examples": ()}
    context |= {"hits": None, "verdict": Verdict(), "fault": "", "searched": None, "status": 200, "shown": HITS}
    if view.caller.restricted_to_sources:
        return view.page("search.html", restricted=RESTRICTED, **context)
    if query:
        try:
            with lookup_slot(), searchable(view) as (search, snapshot):
                plan, context["verdict"] = _plan(view, query, index, search)
                context["searched"] = snapshot.loaded
                if plan is not None:
                    context["hits"] = _hits(view, plan, index)
        except (InvalidArguments, QuotaExceeded) as error:
            context["fault"] = error.message
            context["status"] = 429 if isinstance(error, QuotaExceeded) else 400
        if context["verdict"].error is not None:
            context["status"] = 400
        if context["hits"] is not None:
            _record(view, query, index, context["hits"].total)
    context["examples"] = _examples(view)
    return view.page("search.html", restricted="", **context)


def _examples(view: View) -> tuple[Example, ...]:
    try:
        with searchable(view) as (search, _):
            return search_examples(search, view.services.settings.spill_path)
    except WhohasError:  # nothing has been loaded yet
        return ()


@PAGES.get("/search/check", needs="startReport")
def check_query(view: View) -> Response:
    """Answer the verdict on a query that is being typed, as a part of the page."""
    refuse_restricted(view)
    query, index = view.query.get("query", "").strip(), view.query.get("index", "identities")
    verdict = Verdict()
    if query:
        try:
            with lookup_slot(), searchable(view) as (search, _):
                verdict = _plan(view, query, index, search)[1]
        except WhohasError as error:
            verdict = Verdict(error.message)
    return view.part("search_verdict.html", verdict=verdict, query=query)


@PAGES.get("/search/complete", needs="startReport")
def complete_query(view: View) -> Response:
    """Answer the suggestions for the place of the cursor in a query that is being typed, as a part of the page.

    The parameter `before` is the query up to the cursor.
    """
    from whohas.search.completion import find_cursor

    refuse_restricted(view)
    before, name = view.query.get("before", ""), view.query.get("index", "identities")
    if len(before) > MAX_QUERY_LENGTH or name not in INDICES:
        return view.part("search_options.html", suggestions=(), typed="")
    cursor = find_cursor(before, INDICES[name])
    with lookup_slot(), searchable(view) as (search, _):
        suggestions = _suggestions(view, cursor, name, search)
    return view.part("search_options.html", suggestions=suggestions, typed=cursor.text)


def _plan(view: View, query: str, index: str, search: SearchIndex) -> tuple[SearchPlan | None, Verdict]:
    """Return the plan of a search, None if the query is invalid, and the verdict on the query.

    Raises:
        InvalidArguments: there is no such index, or the query is too long.
    """
    from whohas.search.explain import explain
    from whohas.search.service import SearchRequest, plan_search  # imports sqlglot: 9 MB

    if index not in INDICES:
        raise InvalidArguments(f"There is no index {index[:60]!r}. The indices are: {', '.join(INDICES)}.")
    if len(query) > MAX_QUERY_LENGTH:
        raise InvalidArguments(
            f"The query has {len(query):,} characters; this page takes {MAX_QUERY_LENGTH:,}. Run it as the report "
            "SEARCH_EXPORT, which takes longer ones."
        )
    settings = view.services.settings
    names = _COLUMNS.get(index) or tuple(n for n in INDICES[index].default_columns if n != "id")[:_MOST_COLUMNS]
    asked = SearchRequest(
        query,
        (index,),
        ("id", *names),
        _SORT.get(index, ()),
        words_as_phrase=settings.search_phrases,
        limits=page_limits(settings),
    )
    try:
        plan = plan_search(asked, search, datetime.now(UTC))
    except InvalidArguments as error:
        return None, verdict_of_error(query, error)
    notes = tuple(note.text for note in plan.notes)
    return plan, Verdict(notes=notes, explained="\n".join(map(explain, plan.trees)))


def _hits(view: View, plan: SearchPlan, index: str) -> Hits:
    statement = plan.statements[index]
    with open_lookup(view.services.settings.spill_path, view_files(statement)) as lookup:
        parameters = statement.parameters
        rows = lookup.rows(f"SELECT * FROM (\n{statement.sql}\n) LIMIT {HITS}", parameters)
        total = len(rows)
        if total == HITS:
            total = lookup.rows(f"SELECT count(*) FROM (\n{statement.sql}\n)", parameters)[0][0]
    names = tuple(column.name for column in statement.columns[1:])
    return Hits(names, tuple((str(row[0]), row[1:]) for row in rows), total)


def _record(view: View, query: str, index: str, total: int) -> None:
    # whole, so that nothing of it can hide behind a cut: `_MAX_QUERY_LENGTH` bounds it
    facts = {"index": index, "query": query, "rows": total}
    event = audit.Event(audit.EventType.DATA_SEARCHED, index, view.actor, details=facts)
    view.record_look(lambda: view.write_event(event))


def _suggestions(view: View, cursor: QueryCursor, name: str, search: SearchIndex) -> list[Suggestion]:
    from whohas.search.completion import name_suggestions, value_suggestions

    index = INDICES[name]
    if not cursor.field or cursor.field == "_exists_":
        return name_suggestions(cursor, index, search) if cursor.text else []
    element = search.element(index, cursor.path)
    field = element.fields.get(cursor.field.removesuffix(".exact"))
    if field is None:
        return []
    if field.kind == "boolean":
        return value_suggestions(cursor, (("true", None), ("false", None)))
    if field.kind != "text":
        return []
    try:
        return value_suggestions(cursor, _values(view, element, field))
    except InvalidArguments:  # the field has too many values to count them for a suggestion
        return []


def _values(view: View, element: IndexedElement, field: IndexField) -> tuple[tuple[str, int], ...]:
    """Return the values of an enumerated field, the most frequent first; nothing for a field that is not enumerated."""
    # the objects of a shared list are in the view of its items, each once
    name = next((name for name in element.files if name.endswith(".items")), next(iter(element.files)))
    return _enumerate(view.services.settings.spill_path, element.files[name], field.column, field.multi_valued)


@lru_cache(maxsize=512)
def _enumerate(spill: Path, file: Path, column: str, multi_valued: bool) -> tuple[tuple[str, int], ...]:
    """Return the values of a column of an index file with their counts; nothing if there are more than `_ENUMERATED`.

    Cached: a file of an index never changes.
    """
    name = quote_identifier(column)
    source = f"read_parquet({string_literal(str(file))})"
    with open_lookup(spill, ()) as lookup:
        if lookup.rows(f"SELECT approx_count_distinct({name}) FROM {source}")[0][0] > 2 * _ENUMERATED:
            return ()
        value = f"unnest(string_split({name}, chr(31)))" if multi_valued else name
        rows = lookup.rows(
            f"SELECT v, count(*) FROM (SELECT {value} AS v FROM {source}) WHERE v <> '' GROUP BY v "
            f"ORDER BY count(*) DESC, v LIMIT {_ENUMERATED + 1}"
        )
    return tuple((str(value), int(count)) for value, count in rows) if len(rows) <= _ENUMERATED else ()
