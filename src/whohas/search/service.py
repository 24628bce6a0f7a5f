"""A whole search: what is asked, and the statements and remarks that it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from whohas.engine.statement import Statement
from whohas.errors import InvalidArguments
from whohas.search.ast import Nested, Node
from whohas.search.export import Missing, Search, export
from whohas.search.fields import INDICES
from whohas.search.filters import filters_node
from whohas.search.index import SearchIndex
from whohas.search.limits import DEFAULT, Limits, Meter
from whohas.search.parser import parse
from whohas.search.predicate import Findings, Options
from whohas.zones import UnknownZone, parse_zone


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody looks for.

    Attributes:
        indices: names of indices, each once.
        columns: technical names and spreads; empty for each index's own.
        sort: fields, with `-` for descending order.
        filters: the search API's filters by field.
        fields: those of words that name no field; empty for every text.
        zone: the time zone of dates that name none.
        inner: the search API's `innerHit`: a list's path and a query that one of its objects must fulfil.
        phrases: whether several words of an unquoted value must follow each other.
        limits: how much may be asked for.
    """

    query: str
    indices: tuple[str, ...]
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    filters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fields: tuple[str, ...] = ()
    zone: str = "UTC"
    inner: tuple[str, str] | None = None
    phrases: bool = False
    limits: Limits = DEFAULT


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a reader should know of a search.

    Attributes:
        kind: a short name for programs: `field`, `column`, `sort` or `query`.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search comes to.

    Attributes:
        statements: by index.
        notes: what a reader should know.
        nodes: the trees whose conditions must all hold, that of the query first.
        findings: by index, the fields that the query names.
    """

    statements: Mapping[str, Statement]
    notes: tuple[Note, ...]
    nodes: tuple[Node, ...]
    findings: Mapping[str, Findings]


def ask(asked: Asked, search: SearchIndex, now: datetime) -> Answer:
    """Reads a search and resolves it against an index.

    Args:
        now: what `now` means in dates.

    Raises:
        InvalidArguments: the query cannot be read, a value is impossible for its field, or a limit is passed.
    """
    for names, what in ((asked.columns, "columns"), (asked.sort, "fields to sort by")):
        if len(names) > (most := asked.limits.columns):
            raise InvalidArguments(
                f"The search names {len(names):,} {what}, and may name {most:,} (WHOHAS_SEARCH_COLUMNS): "
                f"the first beyond is {names[most][:60]!r}."
            )
    try:
        zone = parse_zone(asked.zone)
    except UnknownZone as error:
        raise InvalidArguments(f"timeZone: {error}.") from None
    step = Meter(asked.limits).step
    conditions: list[tuple[str, Node]] = [(asked.query, parse(asked.query, step))]
    if asked.filters:
        conditions.append(("filters", filters_node(asked.filters)))
    if asked.inner is not None:
        path, query = asked.inner
        conditions.append((query, Nested(path, parse(query, step))))
    options = Options(now, zone, asked.fields, asked.phrases)
    wanted = Search(tuple(conditions), options, asked.columns, asked.sort, asked.limits)
    statements: dict[str, Statement] = {}
    findings: dict[str, Findings] = {}
    missing: list[Missing] = []
    for name in asked.indices:
        statements[name], findings[name], lacks = export(wanted, INDICES[name], search, step)
        missing.append(lacks)
    return Answer(
        statements, _notes(asked, list(findings.values()), missing), tuple(node for _, node in conditions), findings
    )


def _notes(asked: Asked, findings: list[Findings], missing: list[Missing]) -> tuple[Note, ...]:
    where = f"the index {asked.indices[0]}" if len(asked.indices) == 1 else "the indices that are searched"
    notes = [
        Note("field", f"There is no field {name} in {where}: the condition on it finds nothing.{_more(hint)}")
        for name, hint in _everywhere([found.unknown for found in findings])
    ]
    notes += [
        Note("column", f"There is no column {name} in {where}: it stays empty.{_more(hint)}")
        for name, hint in _everywhere([lacks.columns for lacks in missing])
    ]
    notes += [
        Note("sort", f"There is no field {name} in {where} to sort by: it is passed over.{_more(hint)}")
        for name, hint in _everywhere([lacks.sort for lacks in missing])
    ]
    notes += [Note("query", remark) for remark in dict.fromkeys(r for found in findings for r in found.remarks)]
    if len(notes) > (most := asked.limits.notes):
        return (*notes[:most], Note(notes[most].kind, f"There are {len(notes) - most:,} more notes like these."))
    return tuple(notes)


def _everywhere(unknown: list[dict[str, str]]) -> list[tuple[str, str]]:
    """What is unknown in every index, with the first hint that one has."""
    names = [name for name in unknown[0] if all(name in one for one in unknown)]
    return [(name, next((one[name] for one in unknown if one[name]), "")) for name in names]


def _more(hint: str) -> str:
    return f" {hint}" if hint else ""
