"""The registry of reports: each module of `whohas.reports` with a constant `REPORT` is a report type."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

import whohas.reports
from whohas.engine.statement import Statement
from whohas.engine.summary import EMPTY_SUMMARY
from whohas.errors import InvalidArguments, MissingArgument
from whohas.hints import closest_match, did_you_mean
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.columns import column_names, select_columns
from whohas.reports.sources import rejected_rows
from whohas.reports.summaries import REJECTED_FIGURE
from whohas.warehouse.catalog import Catalog

PUBLISHED_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "ACCOUNTS": ("application", "sourceName"),
    "IDENTITIES": (),
    "IDENTITIES_DETAILS": (),
    "IDENTITY_PROFILE_IDENTITY_ERROR": ("authoritativeSource", "sourceName"),
    "ORPHAN_IDENTITIES": (),
    "SEARCH_EXPORT": ("query",),
    "UNCORRELATED_ACCOUNTS": (),
}
"""The report types of the published API, each with the arguments of which at least one must be given."""


@cache
def all_reports() -> Mapping[str, Report]:
    """Return every report by its type, in the order of the types."""
    modules = (
        importlib.import_module(f"{whohas.reports.__name__}.{module.name}")
        for module in pkgutil.iter_modules(whohas.reports.__path__)
    )
    found: list[Report] = [module.REPORT for module in modules if hasattr(module, "REPORT")]
    return {report.type: report for report in sorted(found, key=lambda report: report.type)}


def report_type_names() -> str:
    """Return the types of the reports on this server as a text for messages, separated by commas."""
    return ", ".join(all_reports())


def missing_argument(report_type: str, arguments: Mapping[str, Any]) -> MissingArgument | None:
    """Return the error for a report without any of the arguments of which it needs one; None if it has one.

    Args:
        report_type: the type; unknown types need no argument.
        arguments: the arguments as sent.
    """
    required = PUBLISHED_TYPES.get(report_type, ())
    if not required or any(arguments.get(name) not in (None, "") for name in required):
        return None
    misspelt = {
        name: similar for name in arguments if name not in required and (similar := closest_match(name, required))
    }
    hint = "".join(f" Did you mean {similar} by {name[:60]}?" for name, similar in misspelt.items())
    return MissingArgument(f"{report_type} needs the argument {' or '.join(required)}.{hint}")


def find_report(report_type: object, arguments: Mapping[str, Any]) -> Report:
    """Return the report of a type, after a check that the required arguments are given.

    Args:
        report_type: the type as sent.
        arguments: the arguments as sent.

    Raises:
        InvalidArguments: the type is missing, unknown or not on this server.
        MissingArgument: a required argument is missing.
    """
    known = dict.fromkeys((*PUBLISHED_TYPES, *all_reports()))
    if not isinstance(report_type, str) or not report_type:
        raise InvalidArguments(f"reportType is missing or not a text. It must be one of: {', '.join(known)}.")
    if report_type not in known:
        hint = did_you_mean(report_type, known)
        raise InvalidArguments(
            f"There is no report type {report_type[:100]!r}.{hint} The types are: {', '.join(known)}."
        )
    if error := missing_argument(report_type, arguments):
        raise error
    if report_type not in all_reports():
        raise InvalidArguments(f"This server does not offer {report_type} yet. It offers: {report_type_names()}.")
    return all_reports()[report_type]


def plan_report(report: Report, request: ReportRequest, catalogue: Catalog) -> Plan:
    """Return the plan of a report for a request, with the columns that it names and with the report's summary.

    Args:
        report: the report.
        request: the request.
        catalogue: the catalogue of the snapshot to read.

    Raises:
        InvalidArguments: an argument is missing, has the wrong type, or names something that does not exist.
    """
    plan = report.make_plan(request, catalogue)
    names = () if plan.statement is None else column_names(request)
    if names:
        plan = select_columns(plan, names, report.type)
    parameters = {"now": request.now.isoformat(), "rejected": rejected_rows(plan, catalogue)}
    if plan.unfiltered is not None:
        parameters["unfiltered"] = plan.unfiltered
    if plan.statement is not None:
        return replace(plan, statement=_with_summary(report, plan.statement, parameters))
    parts = (replace(part, statement=_with_summary(report, part.statement, parameters)) for part in plan.parts)
    return replace(plan, parts=tuple(parts))


def _with_summary(report: Report, statement: Statement, parameters: Mapping[str, Any]) -> Statement:
    """Return a statement with the figures and breakdowns that its columns and the parameters allow."""
    own = report.summary if statement.summary is EMPTY_SUMMARY else statement.summary
    whole = replace(own, figures=(*own.figures, REJECTED_FIGURE))
    columns = [column.name for column in statement.columns]
    return replace(statement, summary=whole.restricted_to(columns).with_parameters(parameters))
