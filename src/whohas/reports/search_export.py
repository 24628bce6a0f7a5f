"""SEARCH_EXPORT: what a query finds in the chosen indices, a CSV file an index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from whohas.errors import InvalidArguments
from whohas.reports.base import Level, Message, Part, Plan, Report, Request
from whohas.search.fields import INDICES
from whohas.search.index import open_index
from whohas.warehouse.catalog import Catalogue

if TYPE_CHECKING:
    from whohas.search.service import Asked

_EVERY = "*"
_LONGEST_QUERY = 500_000


def _plan(request: Request, catalogue: Catalogue) -> Plan:
    from whohas.search.service import ask  # here, for it brings sqlglot, 9 MB that a server without searches spares

    asked, ignored = _asked(request)
    answer = ask(asked, open_index(catalogue.snapshot), request.now)
    notes = [Message(Level.WARN, f"search.{note.kind}", note.text) for note in answer.notes]
    arguments = _arguments(asked)
    return Plan(
        arguments=arguments,
        parts=tuple(Part(INDICES[name].title, statement) for name, statement in answer.statements.items()),
        messages=(*ignored, *notes),
        attributes={
            "queryHash": hashlib.sha1(
                json.dumps(arguments, sort_keys=True).encode(), usedforsecurity=False
            ).hexdigest(),
            "queryParams": {
                "columns": ",".join(asked.columns),
                "indices": ",".join(asked.indices),
                "ownerId": request.launcher,
                "query": asked.query,
                "sort": ",".join(asked.sort),
            },
        },
    )


def _asked(request: Request) -> tuple[Asked, tuple[Message, ...]]:
    """The arguments as they are meant, in either of their published forms."""
    from whohas.search.service import Asked

    query = request.arguments.get("query")
    given: Mapping[str, Any] = {}
    if isinstance(query, Mapping):
        given = cast("Mapping[str, Any]", query)
        query = given.get("query")
    if not isinstance(query, str) or not query.strip():
        raise InvalidArguments("The argument query of SEARCH_EXPORT must be a text; * finds everything.")
    if len(query) > _LONGEST_QUERY:
        raise InvalidArguments(f"The query is longer than {_LONGEST_QUERY:,} characters.")
    indices, ignored = _indices(request)
    zone = request.arguments.get("timeZone", given.get("timeZone")) or "UTC"
    filters = request.arguments.get("filters") or {}
    if not isinstance(zone, str):
        raise InvalidArguments("timeZone must be a text, such as America/Chicago or +01:00.")
    if not isinstance(filters, Mapping):
        raise InvalidArguments("The argument filters of SEARCH_EXPORT must be an object of fields and filters.")
    asked = Asked(
        query=query,
        indices=indices,
        columns=_names("columns", request.arguments.get("columns")),
        sort=_names("sort", request.arguments.get("sort")),
        filters=cast("Mapping[str, Any]", filters),
        fields=_names("fields", request.arguments.get("fields", given.get("fields"))),
        zone=zone,
        inner=_inner(request.arguments.get("innerHit", given.get("innerHit"))),
        phrases=request.flag("phrases") or request.phrases,
        limits=request.limits,
    )
    return asked, ignored


def _arguments(asked: Asked) -> dict[str, Any]:
    """The arguments as two starts of the same search have them; what says nothing is left out."""
    arguments: dict[str, Any] = {"query": asked.query, "indices": list(asked.indices)}
    inner = None if asked.inner is None else {"type": asked.inner[0], "query": asked.inner[1]}
    optional = {
        "columns": ",".join(asked.columns),
        "sort": list(asked.sort),
        "filters": dict(asked.filters),
        "fields": list(asked.fields),
        "timeZone": "" if asked.zone == "UTC" else asked.zone,
        "innerHit": inner,
        "phrases": asked.phrases,
    }
    return arguments | {name: value for name, value in optional.items() if value}


def _indices(request: Request) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    names = _names("indices", request.arguments.get("indices")) or (_EVERY,)
    unknown = [name for name in names if name not in INDICES and name not in (_EVERY, *_UNSTORED)]
    if unknown:
        raise InvalidArguments(
            f"There is no index {unknown[0][:60]!r}. The indices are: {', '.join(INDICES)}, {_EVERY}."
        )
    unstored = [name for name in names if name in _UNSTORED]
    found = tuple(name for name in INDICES if name in names or _EVERY in names)
    if not found:
        raise InvalidArguments(f"This server keeps no {unstored[0]}. It keeps: {', '.join(INDICES)}.")
    text = f"This server keeps no {', '.join(unstored)}: the export is without."
    return found, (Message(Level.WARN, "search.index", text),) if unstored else ()


_UNSTORED = ("workflowsummaries",)
"""Indices of the published API whose documents no export has."""


def _names(argument: str, value: object) -> tuple[str, ...]:
    """Names in a list, or in one text with commas; each once."""
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in cast("list[object]", parts)):
        raise InvalidArguments(
            f"The argument {argument} of SEARCH_EXPORT must be a text with commas or a list of texts."
        )
    names = (part.strip() for part in cast("list[str]", parts))
    return tuple(dict.fromkeys(name for name in names if name))


def _inner(value: object) -> tuple[str, str] | None:
    if value is None:
        return None
    given = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    path, query = given.get("type"), given.get("query")
    if not isinstance(path, str) or not isinstance(query, str) or not path or not query:
        raise InvalidArguments("innerHit must be an object with a type, such as access, and a query.")
    return path, query


REPORT = Report(
    type="SEARCH_EXPORT",
    name="Search Export",
    description="What a query finds in the search indices, a CSV file for each.",
    arguments={
        "query": "What to look for, in the query language (search.md); or an object with query, fields and timeZone.",
        "indices": "Where: identities, accessprofiles, entitlements, roles, events, accountactivities; all of them "
        "where it is left out or has `*`.",
        "columns": "Technical names with commas between, such as `displayName,attributes.city`; `access.spread` and "
        "the like give a row for each object of a list.",
        "sort": "Fields to sort by, each with `+` or `-` before it if need be.",
        "filters": "The search API's filters, by field.",
        "fields": "The fields of words that name none; without it every text.",
        "timeZone": "The time zone of dates that name none; default UTC.",
        "innerHit": "An object with a type (a list, such as access) and a query that one of its objects fulfils.",
        "includeNested": "Accepted and without effect: name lists in columns to have them in the file.",
        "phrases": "true: several words of an unquoted value must follow each other (default: any of them; "
        "`WHOHAS_SEARCH_PHRASES` changes the default).",
    },
    columns=(),
    plan=_plan,
    searches=True,
    parts=lambda request: _indices(request)[0],
)
