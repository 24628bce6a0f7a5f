"""SEARCH_EXPORT: the documents that match a query in the chosen indices, one CSV file for each index in a zip."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from whohas.engine.statement import ReadableDisplay, Statement
from whohas.engine.summary import KeyFigure, SummaryDefinition
from whohas.errors import InvalidArguments
from whohas.labels import label_of
from whohas.reports.base import Message, MessageLevel, Plan, Report, ReportPart, ReportRequest
from whohas.reports.columns import normalised_names, parse_names
from whohas.reports.summaries import by_value
from whohas.search.fields import INDICES
from whohas.search.index import open_index
from whohas.warehouse.catalog import Catalog

if TYPE_CHECKING:
    from whohas.search.service import SearchRequest

_ALL_INDICES = "*"
_MAX_QUERY_LENGTH = 500_000


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    from whohas.search.service import plan_search  # imports sqlglot: 9 MB that a server without searches saves

    search, warnings = _parse_request(request)
    planned = plan_search(search, open_index(catalogue.snapshot), request.now)
    notes = [Message(MessageLevel.WARN, f"search.{note.category}", note.text) for note in planned.notes]
    arguments = _normalised_arguments(search)
    return Plan(
        arguments=arguments,
        parts=tuple(
            ReportPart(INDICES[name].title, _for_people(statement, frozenset(search.columns)))
            for name, statement in planned.statements.items()
        ),
        messages=(*warnings, *notes),
        attributes={
            "queryHash": hashlib.sha1(
                json.dumps(arguments, sort_keys=True).encode(), usedforsecurity=False
            ).hexdigest(),
            "queryParams": {
                "columns": ",".join(search.columns),
                "indices": ",".join(search.indices),
                "ownerId": request.launcher,
                "query": search.query,
                "sort": ",".join(search.sort),
            },
        },
    )


def _parse_request(request: ReportRequest) -> tuple[SearchRequest, tuple[Message, ...]]:
    """Parse the arguments in either of their published forms: `query` as a text, or as an object with more fields.

    Returns:
        The request, and messages about indices that this server does not have.

    Raises:
        InvalidArguments: an argument is missing or has the wrong type.
    """
    from whohas.search.service import SearchRequest

    query = request.arguments.get("query")
    query_object: Mapping[str, Any] = {}
    if isinstance(query, Mapping):
        query_object = cast("Mapping[str, Any]", query)
        query = query_object.get("query")
    if not isinstance(query, str) or not query.strip():
        raise InvalidArguments(
            "The argument query of SEARCH_EXPORT must be a text that is not empty; * finds everything."
        )
    if len(query) > _MAX_QUERY_LENGTH:
        raise InvalidArguments(
            f"The argument query is longer than {_MAX_QUERY_LENGTH:,} characters: it has {len(query):,}."
        )
    indices, warnings = _indices(request)
    zone = request.arguments.get("timeZone", query_object.get("timeZone")) or "UTC"
    filters = request.arguments.get("filters") or {}
    if not isinstance(zone, str):
        raise InvalidArguments("timeZone must be a text, such as America/Chicago or +01:00.")
    if not isinstance(filters, Mapping):
        raise InvalidArguments("The argument filters of SEARCH_EXPORT must be an object with a filter for each field.")
    search = SearchRequest(
        query=query,
        indices=indices,
        columns=_names("columns", request.arguments.get("columns")),
        sort=_names("sort", request.arguments.get("sort")),
        filters=cast("Mapping[str, Any]", filters),
        default_fields=_names("fields", request.arguments.get("fields", query_object.get("fields"))),
        zone=zone,
        inner_hit=_inner_hit(request.arguments.get("innerHit", query_object.get("innerHit"))),
        words_as_phrase=request.flag_argument("phrases") or request.words_as_phrase,
        limits=request.limits,
    )
    return search, warnings


def _normalised_arguments(search: SearchRequest) -> dict[str, Any]:
    """Return the arguments in normalised form, equal for equal searches; those with a default value are left out."""
    arguments: dict[str, Any] = {"query": search.query, "indices": list(search.indices)}
    inner = None if search.inner_hit is None else {"type": search.inner_hit[0], "query": search.inner_hit[1]}
    optional = {
        "columns": normalised_names(search.columns),
        "sort": list(search.sort),
        "filters": dict(search.filters),
        "fields": list(search.default_fields),
        "timeZone": "" if search.zone == "UTC" else search.zone,
        "innerHit": inner,
        "phrases": search.words_as_phrase,
    }
    return arguments | {name: value for name, value in optional.items() if value}


def _indices(request: ReportRequest) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    names = _names("indices", request.arguments.get("indices")) or (_ALL_INDICES,)
    unknown = [name for name in names if name not in INDICES and name not in (_ALL_INDICES, *_UNSUPPORTED)]
    if unknown:
        raise InvalidArguments(
            f"There is no index {unknown[0][:60]!r}. The indices are: {', '.join(INDICES)}, {_ALL_INDICES}."
        )
    unstored = [name for name in names if name in _UNSUPPORTED]
    indices = tuple(name for name in INDICES if name in names or _ALL_INDICES in names)
    if not indices:
        raise InvalidArguments(f"This server keeps no {unstored[0]}. Its indices are: {', '.join(INDICES)}.")
    text = f"This server keeps no {', '.join(unstored)}: the export does not contain it."
    return indices, (Message(MessageLevel.WARN, "search.index", text),) if unstored else ()


_UNSUPPORTED = ("workflowsummaries",)
"""Indices of the published API that whohas does not have. They are accepted and left out with a warning."""


def _names(argument: str, value: object) -> tuple[str, ...]:
    return parse_names(argument, "SEARCH_EXPORT", value)


def _for_people(statement: Statement, named: frozenset[str]) -> Statement:
    """Return the statement of an index with labels of its columns and with its summary.

    Args:
        statement: the statement.
        named: the columns that the request names, which readable files always show. It does not name those that a
            spread such as `access.spread` stands for.
    """
    columns = tuple(
        replace(column, label=label_of(column.name), readable=_readable(column.name, named))
        for column in statement.columns
    )
    present = {column.name: column for column in columns}
    breakdowns = tuple(
        by_value(f"by.{name}", f"Rows by {label_of(name).lower()}", f"The rows by {name}.", name, several=several)
        for name in _BREAKDOWNS
        if name in present
        for several in [present[name].type == "texts"]
    )
    rows = KeyFigure("rows", "Rows", "The rows of the file.", "count(*)")
    return replace(statement, columns=columns, summary=SummaryDefinition((rows,), breakdowns))


_BREAKDOWNS = (
    "attributes.cloudLifecycleState",
    "source.name",
    "identityProfile.name",
    "type",
    "status",
    "accounts.source.name",
    "access.type",
    "privileged",
    "enabled",
    "requestable",
    "operation",
)
"""The columns by whose values a summary divides the rows, if a file has them."""


def _readable(name: str, named: frozenset[str]) -> ReadableDisplay:
    if name in named:
        return "always"
    return "never" if name == "id" or name.endswith(".id") else "unless_empty"


def _inner_hit(value: object) -> tuple[str, str] | None:
    if value is None:
        return None
    parts = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    path, query = parts.get("type"), parts.get("query")
    if not isinstance(path, str) or not isinstance(query, str) or not path or not query:
        raise InvalidArguments("innerHit must be an object with a type, such as access, and a query.")
    return path, query


REPORT = Report(
    type="SEARCH_EXPORT",
    name="Search Export",
    description="The documents of the search indices that match a query, with a file for each index.",
    arguments={
        "query": "The query (its language: `whohas docs search`), or an object with query, fields, timeZone and "
        "innerHit.",
        "indices": "The indices to search: identities, accessprofiles, entitlements, roles, events, accountactivities; "
        "all of them if it is left out or contains `*`.",
        "columns": "Technical names separated by commas, such as `displayName,attributes.city`; `access.spread` and "
        "the like give one row for each object of a list.",
        "sort": "Fields to sort by; `-` before a name means descending order, `+` or nothing ascending.",
        "filters": "The search API's filters, by field.",
        "fields": "The fields in which words without a field name are searched (default: every text field).",
        "timeZone": "The time zone of dates that are written without one (default: UTC).",
        "innerHit": "An object with a type (a list, such as access) and a query that one of its objects must match.",
        "includeNested": "Accepted without effect: name the lists in columns to have them in the file.",
        "phrases": "true: the words of an unquoted value must be adjacent and in order (default: any of them matches; "
        "`WHOHAS_SEARCH_PHRASES` changes the default).",
    },
    columns=(),
    make_plan=_plan,
    needs_search_index=True,
    part_names=lambda request: _indices(request)[0],
)
