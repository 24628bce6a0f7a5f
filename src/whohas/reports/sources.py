"""Look up the source that a report's argument names, and make the messages about the age and gaps of sources' data."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from whohas.errors import InvalidArguments
from whohas.plurals import pluralize
from whohas.reports.base import Message, MessageLevel, Plan, ReportRequest
from whohas.warehouse.catalog import Catalog, CatalogSource
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import LoadLoss

STALE_AFTER: Final = timedelta(days=365)
"""A run warns about sources last loaded this long ago or longer, because their data may be out of date."""

INCOMPLETE_KEY: Final = "data.incomplete"
"""The key of the message about rows and cells that loads rejected or emptied."""

_NAMED = 3
"""The most sources that a message names; it gives the number of the others."""


def stale_sources_messages(sources: Iterable[CatalogSource], now: datetime) -> tuple[Message, ...]:
    """Return a warning that names the sources not loaded for `STALE_AFTER`; an empty tuple if all were loaded since.

    Args:
        sources: the sources that the report reads.
        now: the time at which the run was started.
    """
    old = sorted(
        (source.loaded_at, source.name)
        for source in sources
        if source.loaded_at and now - source.loaded_at >= STALE_AFTER
    )
    if not old:
        return ()
    listed = ", ".join(f"{name} (last loaded on {loaded:%Y-%m-%d})" for loaded, name in old[:_NAMED])
    more = f" and {len(old) - _NAMED} more" if len(old) > _NAMED else ""
    text = f"Not loaded for a year or longer: {listed}{more}. Their data in the report may be out of date."
    return (Message(MessageLevel.WARN, "source.stale", text),)


def incomplete_data_messages(plan: Plan, catalogue: Catalog) -> tuple[Message, ...]:
    """Return a message about the rows and cells that loads left out of a plan's data, or an empty tuple.

    It is a warning if a load left out more than its limits allow and a person accepted that (`--accept-loss`);
    otherwise it is only information.
    """
    gaps = _losses(plan, catalogue)
    counts: dict[str, tuple[int, int]] = {}
    for gap in gaps:
        rejected, emptied = counts.get(gap.source, (0, 0))
        counts[gap.source] = (rejected + gap.rejected, emptied + gap.emptied)
    if not counts:
        return ()
    names = {source.id: source.name for source in catalogue.sources}
    incomplete_sources = sorted((names.get(id, "rows of an unknown source"), *count) for id, count in counts.items())
    listed = "; ".join(f"{name}: {_gap(*count)}" for name, *count in incomplete_sources[:_NAMED])
    more = (
        f"; and {pluralize(len(incomplete_sources) - _NAMED, 'more source')}"
        if len(incomplete_sources) > _NAMED
        else ""
    )
    level = MessageLevel.WARN if any(gap.accepted for gap in gaps) else MessageLevel.INFO
    return (Message(level, INCOMPLETE_KEY, f"Left out when the data was loaded: {listed}{more}."),)


def rejected_rows(plan: Plan, catalogue: Catalog) -> int:
    """Return how many rows the loads of a plan's data rejected."""
    return sum(loss.rejected for loss in _losses(plan, catalogue))


def _losses(plan: Plan, catalogue: Catalog) -> set[LoadLoss]:
    losses: set[LoadLoss] = set()
    for statement in plan.statements:
        if statement.tables:
            for table, partitions in statement.tables.items():
                losses.update(catalogue.gaps({table}, partitions))
        else:  # the search index is built from all tables
            losses.update(catalogue.gaps(TABLES))
    return losses


def _gap(rejected: int, emptied: int) -> str:
    parts = [
        f"{pluralize(count, noun)} {verb}"
        for count, noun, verb in ((rejected, "row", "rejected"), (emptied, "cell", "emptied"))
        if count
    ]
    return ", ".join(parts)


def find_source(request: ReportRequest, id_argument: str, catalogue: Catalog) -> CatalogSource:
    """Return the source that a request names by its id, by its name (`sourceName`), or by both.

    Args:
        id_argument: the name of the report's argument with the id, such as `application`.

    Raises:
        InvalidArguments: there is no such source, several have the name, or id and name are of different sources.
    """
    id = _given(request, id_argument, {source.id for source in catalogue.sources})
    name = _given(request, "sourceName", {source.name for source in catalogue.sources})
    if id is None:
        return find_source_by_name(name or "", catalogue, id_argument)
    source = find_source_by_id(id, id_argument, catalogue, like=name)
    if name is not None and name != source.name:
        raise InvalidArguments(
            f"{id_argument} {id!r} is the source {source.name!r}, but sourceName says {name!r}. "
            "Leave sourceName out or make both name the same source."
        )
    return source


def _given(request: ReportRequest, argument: str, known: Container[str]) -> str | None:
    """Return a text argument without spaces at its ends, unless a source is known by the text with them."""
    value = request.arguments.get(argument)
    return value if isinstance(value, str) and value in known else request.text_argument(argument)


def find_source_by_id(id: str, argument: str, catalogue: Catalog, like: str | None = None) -> CatalogSource:
    """Return the source with an id.

    Args:
        id: the id.
        argument: the name of the report's argument that contains it, for the message.
        catalogue: the catalogue of the snapshot.
        like: the name of the source if the caller gave one, to suggest a similar source; None to use the id.

    Raises:
        InvalidArguments: no source has the id; the message suggests a similar source or lists the sources.
    """
    for source in catalogue.sources:
        if source.id == id:
            return source
    raise InvalidArguments(
        f"There is no source with the id {id!r} (argument {argument}).{_hint(like or id, catalogue)}"
    )


def find_source_by_name(name: str, catalogue: Catalog, argument: str = "") -> CatalogSource:
    """Return the source with a name.

    Args:
        name: the name, in the same case.
        catalogue: the catalogue of the snapshot.
        argument: the name of the report's argument that takes an id, for the message; empty outside reports.

    Raises:
        InvalidArguments: no source has the name, or several have.
    """
    found = [source for source in catalogue.sources if source.name == name]
    if len(found) > 1:
        ids = ", ".join(source.id for source in found)
        where = f" as the argument {argument}" if argument else ""
        raise InvalidArguments(
            f"Several sources are named {name!r}. Give the id of one of them{where} instead of the name: {ids}."
        )
    if not found:
        raise InvalidArguments(f"There is no source named {name!r}.{_hint(name, catalogue)}")
    return found[0]


def _hint(text: str, catalogue: Catalog) -> str:
    if not catalogue.sources:
        return " No data has been loaded yet: see `whohas load --help`."
    names = {source.name.casefold(): source for source in catalogue.sources}
    similar = get_close_matches(text.casefold(), names, 1)
    if similar:
        source = names[similar[0]]
        return f" Did you mean {source.name!r} ({source.id})?"
    shown = sorted(source.name for source in catalogue.sources)[:10]
    more = ", …" if len(catalogue.sources) > len(shown) else ""
    return f" The sources are: {', '.join(shown)}{more}."
