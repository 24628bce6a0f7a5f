"""Which reports there are: each module of this package with a `REPORT` is one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import whohas.reports
from whohas.errors import InvalidArguments
from whohas.hints import did_you_mean, near
from whohas.reports.base import Report

PUBLISHED: Final[Mapping[str, tuple[str, ...]]] = {
    "ACCOUNTS": ("application", "sourceName"),
    "IDENTITIES": (),
    "IDENTITIES_DETAILS": (),
    "IDENTITY_PROFILE_IDENTITY_ERROR": ("authoritativeSource",),
    "ORPHAN_IDENTITIES": (),
    "SEARCH_EXPORT": ("query",),
    "UNCORRELATED_ACCOUNTS": (),
}
"""The report types of the published API, each with the arguments of which one at least must be there."""


@cache
def reports() -> Mapping[str, Report]:
    """Every report by its type."""
    modules = (
        importlib.import_module(f"{whohas.reports.__name__}.{module.name}")
        for module in pkgutil.iter_modules(whohas.reports.__path__)
    )
    found: list[Report] = [module.REPORT for module in modules if hasattr(module, "REPORT")]
    return {report.type: report for report in sorted(found, key=lambda report: report.type)}


def names() -> str:
    """The types that can be started, for a message."""
    return ", ".join(reports())


def find(report_type: object, arguments: Mapping[str, Any]) -> Report:
    """The report of a type, once the arguments that the published API requires are there.

    Raises:
        InvalidArguments: no such type, not on this server, or a required argument is missing.
    """
    if not isinstance(report_type, str) or not report_type:
        raise InvalidArguments(f"reportType is missing or not a text. It is one of: {', '.join(PUBLISHED)}.")
    if report_type not in PUBLISHED and report_type not in reports():
        hint = did_you_mean(report_type, (*PUBLISHED, *reports()))
        raise InvalidArguments(
            f"There is no report type {report_type[:100]!r}.{hint} It is one of: {', '.join(PUBLISHED)}."
        )
    required = PUBLISHED.get(report_type, ())
    if required and all(arguments.get(name) in (None, "") for name in required):
        raise InvalidArguments(_missing(report_type, required, arguments))
    if report_type not in reports():
        raise InvalidArguments(f"This server does not offer {report_type} yet. It offers: {names()}.")
    return reports()[report_type]


def _missing(report_type: str, required: tuple[str, ...], arguments: Mapping[str, Any]) -> str:
    meant = {name: found for name in arguments if name not in required and (found := near(name, required))}
    hint = "".join(f" Did you mean {found} by {name[:60]}?" for name, found in meant.items())
    text = f"{report_type} needs the argument {' or '.join(required)}.{hint}"
    if report_type == "ACCOUNTS":
        return text
    return (
        f"{text} If you sent it with the Python SDK: ReportDetails.from_json and from_dict replace the arguments of "
        "this report by others before they are sent; give ReportDetails a ReportDetailsArguments of the report's own "
        "class instead."
    )
