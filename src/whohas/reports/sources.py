"""The source that an argument of a report means, and what a reader should know of sources."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from whohas.errors import InvalidArguments
from whohas.plurals import counted
from whohas.reports.base import Level, Message, Plan
from whohas.warehouse.catalog import Catalogue, Source
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Gap

STALE: Final = timedelta(days=365)
"""A source that was not loaded for so long is told of: its accounts say how things were, not how they are."""

INCOMPLETE: Final = "data.incomplete"
"""The key of the message on rows and cells that loads could not take."""

_NAMED = 3


def stale(sources: Iterable[Source], now: datetime) -> tuple[Message, ...]:
    """A warning that names the sources whose accounts are old; nothing where none are.

    Args:
        sources: those that the report reads.
        now: when the run was started.
    """
    old = sorted((source.loaded, source.name) for source in sources if source.loaded and now - source.loaded >= STALE)
    if not old:
        return ()
    named = ", ".join(f"{name} (last loaded on {loaded:%Y-%m-%d})" for loaded, name in old[:_NAMED])
    more = f" and {len(old) - _NAMED} more" if len(old) > _NAMED else ""
    text = f"Not loaded for a year or longer: {named}{more}. What the report says of them may be out of date."
    return (Message(Level.WARN, "source.stale", text),)


def incomplete(plan: Plan, catalogue: Catalogue) -> tuple[Message, ...]:
    """Return a message on what loads could not take from the files of the data that a plan reads; none where all is in.

    It is a warning where a load lost more than its limits allow and somebody accepted that.
    """
    gaps: set[Gap] = set()
    for statement in plan.statements:
        if statement.tables:
            for table, own in statement.tables.items():
                gaps.update(catalogue.gaps({table}, own))
        else:  # the search index is made of all tables
            gaps.update(catalogue.gaps(TABLES))
    counts: dict[str, tuple[int, int]] = {}
    for gap in gaps:
        rejected, emptied = counts.get(gap.source, (0, 0))
        counts[gap.source] = (rejected + gap.rejected, emptied + gap.emptied)
    if not counts:
        return ()
    names = {source.id: source.name for source in catalogue.sources}
    told = sorted((names.get(id, "rows of no known source"), *count) for id, count in counts.items())
    named = "; ".join(f"{name}: {_gap(*count)}" for name, *count in told[:_NAMED])
    more = f"; and {counted(len(told) - _NAMED, 'more source')}" if len(told) > _NAMED else ""
    level = Level.WARN if any(gap.accepted for gap in gaps) else Level.INFO
    return (Message(level, INCOMPLETE, f"Left out when the data was loaded: {named}{more}."),)


def _gap(rejected: int, emptied: int) -> str:
    parts = [
        f"{counted(count, noun)} {verb}"
        for count, noun, verb in ((rejected, "row", "rejected"), (emptied, "cell", "emptied"))
        if count
    ]
    return ", ".join(parts)


def with_id(id: str, argument: str, catalogue: Catalogue, like: str | None = None) -> Source:
    """The source with an id.

    Args:
        argument: the argument that gives it, for the message.
        like: what else the caller knows of it, to guess which was meant.

    Raises:
        InvalidArguments: there is none; the message says which it may have been.
    """
    for source in catalogue.sources:
        if source.id == id:
            return source
    raise InvalidArguments(
        f"There is no source with the id {id!r} (argument {argument}).{_hint(like or id, catalogue)}"
    )


def named(name: str, catalogue: Catalogue) -> Source:
    """The one source of a name.

    Raises:
        InvalidArguments: there is none, or several.
    """
    found = [source for source in catalogue.sources if source.name == name]
    if len(found) > 1:
        ids = ", ".join(source.id for source in found)
        raise InvalidArguments(f"Several sources are named {name!r}. Say which by its id: {ids}.")
    if not found:
        raise InvalidArguments(f"There is no source named {name!r}.{_hint(name, catalogue)}")
    return found[0]


def _hint(text: str, catalogue: Catalogue) -> str:
    if not catalogue.sources:
        return " No data has been loaded yet: see `whohas load --help`."
    names = {source.name.casefold(): source for source in catalogue.sources}
    near = get_close_matches(text.casefold(), names, 1)
    if near:
        source = names[near[0]]
        return f" Did you mean {source.name!r} ({source.id})?"
    shown = sorted(source.name for source in catalogue.sources)[:10]
    more = ", …" if len(catalogue.sources) > len(shown) else ""
    return f" The sources are: {', '.join(shown)}{more}."
