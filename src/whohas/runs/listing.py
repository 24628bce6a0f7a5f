"""Lists runs: a page of them, filtered and sorted, and the number of runs on all pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whohas.errors import InvalidArguments
from whohas.runs import repository
from whohas.runs.filters import FilterField, parse_filter, parse_sorters
from whohas.runs.models import Run, RunState
from whohas.runs.repository import ACTIVE_RUNS
from whohas.runs.tables import run

COMPLETION_STATUSES = {
    "SUCCESS": RunState.SUCCEEDED,
    "WARNING": RunState.WARNED,
    "ERROR": RunState.FAILED,
    "TERMINATED": RunState.CANCELLED,
    "TEMPERROR": None,
}
"""The published API's `completionStatus` values, each with the state of a run that it stands for. No run of whohas ever
ends as TEMPERROR, so a filter for it selects nothing."""

QUEUED_TASK = "QUEUED_TASK"
"""The value of the field `type` that the published API gives to every report run: a filter for it selects all runs."""


def _completion(texts: list[str]) -> sa.ColumnElement[bool]:
    unknown = [text for text in texts if text.upper() not in COMPLETION_STATUSES]
    if unknown:
        raise ValueError(f"completionStatus is never {unknown[0][:60]!r}; it is {', '.join(COMPLETION_STATUSES)}")
    states = [state.value for text in texts if (state := COMPLETION_STATUSES[text.upper()]) is not None]
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
    known = [state.value for state in RunState]
    unknown = [text for text in texts if text.lower() not in known]
    if unknown:
        raise ValueError(f"state is never {unknown[0][:60]!r}; it is {', '.join(known)}")
    return run.c.state.in_([text.lower() for text in texts])


FIELDS: Mapping[str, FilterField] = {
    "id": FilterField(run.c.id.in_),
    "sourceId": FilterField(_source),
    "completionStatus": FilterField(_completion, is_null=ACTIVE_RUNS),
    "type": FilterField(_type),
    "launcher": FilterField(run.c.launcher.in_),
    "state": FilterField(_state),
}
"""The fields that filters can name. `state` is an extension of whohas; the others are defined by the published API."""

SORTERS: Mapping[str, sa.ColumnElement[Any]] = {"created": run.c.created}


ORDERS: Mapping[str, sa.ColumnElement[Any]] = {
    "created": run.c.created,
    "report": run.c.report_name,
    "state": run.c.state,
    "launcher": sa.func.lower(run.c.launcher),
    "rows": run.c.rows,
    "completed": run.c.completed,
}
"""The columns by which `ListRequest.order` sorts; the published sorters know fewer."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A request for a page of runs.

    Attributes:
        filters: a filter as `filters.parse_filter` parses it; empty for all runs.
        sorters: sorters as `filters.parse_sorters` parses them; empty for the newest first.
        order: a name of `ORDERS`, with `-` before it for descending; empty to sort by `sorters`.
        text: a text that the report's title, the launcher or an argument contains, that the id begins with, or that is
            the report's type, without regard to case; empty for all runs.
        only_active: whether only runs that are not over are wanted.
        limit: the largest number of runs on the page.
        offset: the number of runs to skip before the page.
    """

    filters: str = ""
    sorters: str = ""
    order: str = ""
    text: str = ""
    only_active: bool = False
    limit: int = 250
    offset: int = 0


def list_page(database: sa.Engine, asked: ListRequest, *seen: sa.ColumnElement[bool]) -> list[Run]:
    """Return a page of runs. Runs that sort equal are ordered by id, so that pages do not overlap.

    Example: with 5 runs and a limit of 2, the offsets 0, 2 and 4 give pages of 2, 2 and 1 runs.

    Args:
        seen: further conditions, such as `visibility.visible_to`.

    Raises:
        InvalidArguments: filters or sorters are malformed, or the order is unknown.
    """
    order = _order(asked.order) or parse_sorters(asked.sorters, SORTERS) or [run.c.created.desc()]
    selection = sa.and_(*_conditions(asked), *seen)
    with database.connect() as connection:
        return repository.list_runs(connection, selection, order, asked.limit, asked.offset)


def count_all(database: sa.Engine, asked: ListRequest, *seen: sa.ColumnElement[bool]) -> int:
    """Return the number of runs on all pages; sorters, limit and offset are ignored.

    Args:
        seen: further conditions, such as `visibility.visible_to`.

    Raises:
        InvalidArguments: the filters are malformed.
    """
    selection = sa.and_(*_conditions(asked), *seen)
    with database.connect() as connection:
        return repository.count(connection, selection)


def _order(name: str) -> list[sa.ColumnElement[Any]]:
    if not name:
        return []
    column = ORDERS.get(name.removeprefix("-"))
    if column is None:
        raise InvalidArguments(f"Runs are not sorted by {name[:60]!r}. Choose from {', '.join(ORDERS)}.")
    return [(column.desc() if name.startswith("-") else column.asc()).nulls_last(), run.c.created.desc()]


def _has_text(text: str) -> sa.ColumnElement[bool]:
    lowered = text.lower()
    # the arguments as stored are JSON, in which a quote or a letter beyond ASCII is an escape
    escaped = json.dumps(lowered)[1:-1]
    return sa.or_(
        sa.func.lower(run.c.report_name).contains(lowered, autoescape=True),
        sa.func.lower(run.c.launcher).contains(lowered, autoescape=True),
        run.c.report_type == text.upper(),
        run.c.id.startswith(lowered, autoescape=True),
        sa.func.lower(sa.cast(run.c.arguments, sa.Text)).contains(escaped, autoescape=True),
    )


def _conditions(asked: ListRequest) -> Iterator[sa.ColumnElement[bool]]:
    yield ACTIVE_RUNS if asked.only_active else sa.true()
    if asked.filters.strip():
        yield parse_filter(asked.filters, FIELDS)
    if asked.text:
        yield _has_text(asked.text)
