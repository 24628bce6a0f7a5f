"""The columns to choose from in the form of a report, for its argument `columns`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from whohas.console.searches import searchable
from whohas.console.view import View
from whohas.engine.statement import ResultColumn
from whohas.errors import WhohasError
from whohas.labels import label_of
from whohas.reports import Report
from whohas.search.fields import INDICES

_MOST: Final = 400


@dataclass(frozen=True, slots=True)
class ColumnOption:
    """A column that may be chosen.

    Attributes:
        name: its technical name.
        label: its name for people.
        doc: its meaning in one line; may be empty.
    """

    name: str
    label: str
    doc: str = ""


def column_options(view: View, report: Report, arguments: Mapping[str, Any]) -> list[ColumnOption]:
    """Return the columns of a report, at most 400: with the arguments that were entered, as far as these are valid.

    Args:
        view: the request.
        report: the report.
        arguments: the arguments that were entered.
    """
    if report.needs_search_index:
        return [] if view.caller.restricted_to_sources else _fields(view, arguments.get("indices") or ["identities"])
    columns: Sequence[ResultColumn] = report.columns
    try:
        asked = {name: value for name, value in arguments.items() if name in report.arguments}
        planned = view.services.runs.plan(report.type, asked, view.caller.name, view.caller)
        columns = planned.plan.statements[0].columns
    except WhohasError:  # such as a source that is not chosen yet; the form tells it when it is sent
        pass
    return [ColumnOption(column.name, column.label or column.name, column.doc) for column in columns][:_MOST]


def _fields(view: View, names: Sequence[str]) -> list[ColumnOption]:
    """Return the fields of the documents of some indices: those of an export that names none come first."""
    found: dict[str, ColumnOption] = {}
    try:
        with searchable(view) as (search, _):
            chosen = [INDICES[name] for name in names if name in INDICES]
            for index in chosen:
                for name in index.default_columns:
                    found.setdefault(name, ColumnOption(name, label_of(name)))
            for index in chosen:
                for name in search.element(index).fields:
                    found.setdefault(name, ColumnOption(name, label_of(name)))
    except WhohasError:  # there is no index yet
        pass
    return list(found.values())[:_MOST]
