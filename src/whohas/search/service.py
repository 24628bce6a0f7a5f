"""Plan a search: parse its query, resolve the names in it against the index, and return one SQL statement an index.

`plan_search` is the entry point of the search API and of SEARCH_EXPORT. It runs no SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from whohas.engine.statement import Statement
from whohas.errors import InvalidArguments
from whohas.search.ast import Nested, Node
from whohas.search.export import ExportRequest, UnknownNames, export_statement
from whohas.search.fields import INDICES
from whohas.search.filters import filters_node
from whohas.search.index import SearchIndex
from whohas.search.limits import DEFAULT_LIMITS, PlanningMeter, SearchLimits
from whohas.search.parser import parse
from whohas.search.predicate import Diagnostics, QueryOptions
from whohas.zones import UnknownZone, parse_zone


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search request.

    Attributes:
        query: the query's text.
        indices: the names of the indices to search, without duplicates.
        columns: technical names of columns, and spreads such as `access.spread`; empty for each index's default ones.
        sort: the fields to sort by, the first one first; a `-` before a name means descending order.
        filters: the search API's filters by field.
        default_fields: the fields in which words without a field name are searched; empty for every text field.
        zone: the time zone of dates that are written without one.
        inner_hit: the search API's `innerHit`: the path of a list and a query that one of its objects must match.
        words_as_phrase: whether the words of an unquoted value must be adjacent and in order; otherwise any of them
            matches.
        limits: the largest search that is accepted.
    """

    query: str
    indices: tuple[str, ...]
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    filters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    default_fields: tuple[str, ...] = ()
    zone: str = "UTC"
    inner_hit: tuple[str, str] | None = None
    words_as_phrase: bool = False
    limits: SearchLimits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class SearchNote:
    """A warning about a search, shown to its user.

    Attributes:
        category: the category, for programs: `field`, `column`, `sort` or `query`.
        text: the warning, one or two sentences.
    """

    category: str
    text: str


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """A planned search.

    Attributes:
        statements: the SQL statement for each index, by its name.
        notes: warnings for the user.
        trees: the syntax trees that a document must all match: the query's, then those of the filters and of
            `inner_hit`.
        diagnostics: by index, the known and unknown fields that the query names.
    """

    statements: Mapping[str, Statement]
    notes: tuple[SearchNote, ...]
    trees: tuple[Node, ...]
    diagnostics: Mapping[str, Diagnostics]


def plan_search(asked: SearchRequest, search: SearchIndex, now: datetime) -> SearchPlan:
    """Plan a search: parse its query, and make the SQL statement for each of its indices.

    Unknown fields and columns are no errors: they become notes.

    Args:
        asked: the request.
        search: the index of the snapshot to search.
        now: the time that `now` stands for in dates.

    Raises:
        InvalidArguments: the query has a syntax error, a value does not fit its field, the time zone is unknown, or a
            limit is exceeded.
    """
    for names, items in ((asked.columns, "columns"), (asked.sort, "fields to sort by")):
        if len(names) > (limit := asked.limits.columns):
            raise InvalidArguments(
                f"The search names {len(names):,} {items}, but may name {limit:,} (WHOHAS_SEARCH_COLUMNS). "
                f"Remove {names[limit][:60]!r} and those after it."
            )
    try:
        zone = parse_zone(asked.zone)
    except UnknownZone as error:
        raise InvalidArguments(f"timeZone: {error}.") from None
    step = PlanningMeter(asked.limits).step
    conditions: list[tuple[str, Node]] = [(asked.query, parse(asked.query, step))]
    if asked.filters:
        conditions.append(("filters", filters_node(asked.filters)))
    if asked.inner_hit is not None:
        path, query = asked.inner_hit
        conditions.append((query, Nested(path, parse(query, step))))
    options = QueryOptions(now, zone, asked.default_fields, asked.words_as_phrase)
    request = ExportRequest(tuple(conditions), options, asked.columns, asked.sort, asked.limits)
    statements: dict[str, Statement] = {}
    findings: dict[str, Diagnostics] = {}
    unknown_names: list[UnknownNames] = []
    for name in asked.indices:
        statements[name], findings[name], unknown = export_statement(request, INDICES[name], search, step)
        unknown_names.append(unknown)
    return SearchPlan(
        statements,
        _notes(asked, list(findings.values()), unknown_names),
        tuple(node for _, node in conditions),
        findings,
    )


def _notes(
    asked: SearchRequest, findings: list[Diagnostics], unknown_names: list[UnknownNames]
) -> tuple[SearchNote, ...]:
    where = f"the index {asked.indices[0]}" if len(asked.indices) == 1 else "the indices that are searched"
    notes = [
        SearchNote(
            "field", f"There is no field {name} in {where}: the condition on it finds nothing.{_with_space(hint)}"
        )
        for name, hint in _unknown_everywhere([found.unknown_fields for found in findings])
    ]
    notes += [
        SearchNote("column", f"There is no column {name} in {where}: it stays empty.{_with_space(hint)}")
        for name, hint in _unknown_everywhere([names.columns for names in unknown_names])
    ]
    notes += [
        SearchNote("sort", f"There is no field {name} in {where} to sort by: it is passed over.{_with_space(hint)}")
        for name, hint in _unknown_everywhere([names.sort for names in unknown_names])
    ]
    notes += [SearchNote("query", remark) for remark in dict.fromkeys(r for found in findings for r in found.warnings)]
    if len(notes) > (limit := asked.limits.notes):
        return (
            *notes[:limit],
            SearchNote(notes[limit].category, f"There are {len(notes) - limit:,} more notes like these."),
        )
    return tuple(notes)


def _unknown_everywhere(unknown: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Return the names that are unknown in every index, each with the first hint that is not empty.

    Args:
        unknown: for each index, its unknown names with their hints.
    """
    names = [name for name in unknown[0] if all(name in hints for hints in unknown)]
    return [(name, next((hints[name] for hints in unknown if hints[name]), "")) for name in names]


def _with_space(hint: str) -> str:
    return f" {hint}" if hint else ""
