"""Runs as a list: filtered, sorted, a page at a time, counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whohas.runs import repository
from whohas.runs.filters import Field, condition, ordering
from whohas.runs.model import Run, State
from whohas.runs.repository import ACTIVE_RUNS
from whohas.runs.tables import run

COMPLETION = {
    "SUCCESS": State.SUCCEEDED,
    "WARNING": State.WARNED,
    "ERROR": State.FAILED,
    "TERMINATED": State.CANCELLED,
    "TEMPERROR": None,
}
"""How the published API calls a run's end; no run of ours ends for the time being."""

QUEUED_TASK = "QUEUED_TASK"
"""The published API's word for the machinery behind every run."""


def _completion(texts: list[str]) -> sa.ColumnElement[bool]:
    unknown = [text for text in texts if text.upper() not in COMPLETION]
    if unknown:
        raise ValueError(f"completionStatus is never {unknown[0][:60]!r}; it is {', '.join(COMPLETION)}")
    states = [state.value for text in texts if (state := COMPLETION[text.upper()]) is not None]
    return run.c.state.in_(states)


def _type(texts: list[str]) -> sa.ColumnElement[bool]:
    if any(text.upper() == QUEUED_TASK for text in texts):
        return sa.true()
    return run.c.report_type.in_([text.upper() for text in texts])


def _source(texts: list[str]) -> sa.ColumnElement[bool]:
    arguments = run.c.arguments
    return sa.or_(
        arguments["application"].as_string().in_(texts), arguments["authoritativeSource"].as_string().in_(texts)
    )


def _state(texts: list[str]) -> sa.ColumnElement[bool]:
    known = [state.value for state in State]
    unknown = [text for text in texts if text.lower() not in known]
    if unknown:
        raise ValueError(f"state is never {unknown[0][:60]!r}; it is {', '.join(known)}")
    return run.c.state.in_([text.lower() for text in texts])


FIELDS: Mapping[str, Field] = {
    "id": Field(run.c.id.in_),
    "sourceId": Field(_source),
    "completionStatus": Field(_completion, missing=ACTIVE_RUNS),
    "type": Field(_type),
    "launcher": Field(run.c.launcher.in_),
    "state": Field(_state),
}
"""What can be asked for. `state` is ours; the others are the published API's."""

SORTERS: Mapping[str, sa.ColumnElement[Any]] = {"created": run.c.created}


@dataclass(frozen=True, slots=True)
class Listing:
    """Which runs.

    Attributes:
        filters: in the language of `filters`; empty for all.
        sorters: such as `-created`, which is also the default.
        pending: only runs that are not over.
        limit: runs of a page.
        offset: runs before it.
    """

    filters: str = ""
    sorters: str = ""
    pending: bool = False
    limit: int = 250
    offset: int = 0


def page(database: sa.Engine, asked: Listing, *seen: sa.ColumnElement[bool]) -> list[Run]:
    """The runs of a page, under further conditions.

    Raises:
        InvalidArguments: filters or sorters that are none.
    """
    order = ordering(asked.sorters, SORTERS) or [run.c.created.desc()]
    chosen = sa.and_(*_conditions(asked), *seen)
    with database.connect() as connection:
        return repository.listed(connection, chosen, order, asked.limit, asked.offset)


def count(database: sa.Engine, asked: Listing, *seen: sa.ColumnElement[bool]) -> int:
    """How many runs there are on all pages, under further conditions.

    Raises:
        InvalidArguments: filters that are none.
    """
    chosen = sa.and_(*_conditions(asked), *seen)
    with database.connect() as connection:
        return repository.count(connection, chosen)


def _conditions(asked: Listing) -> Iterator[sa.ColumnElement[bool]]:
    yield ACTIVE_RUNS if asked.pending else sa.true()
    if asked.filters.strip():
        yield condition(asked.filters, FIELDS)
