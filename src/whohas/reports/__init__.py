"""The report types, one module each; the registry finds a module by its constant `REPORT`."""

from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.registry import (
    PUBLISHED_TYPES,
    all_reports,
    find_report,
    missing_argument,
    plan_report,
    report_type_names,
)

__all__ = [
    "PUBLISHED_TYPES",
    "Plan",
    "Report",
    "ReportRequest",
    "all_reports",
    "find_report",
    "missing_argument",
    "plan_report",
    "report_type_names",
]
