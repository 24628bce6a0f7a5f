"""The reports: one module a report type, found by its `REPORT`."""

from whohas.reports.base import Plan, Report, Request
from whohas.reports.registry import PUBLISHED, find, names, reports

__all__ = ["PUBLISHED", "Plan", "Report", "Request", "find", "names", "reports"]
