"""The report types, one module each; the registry finds a module by its constant `REPORT`."""

from whohas.reports.base import Plan, Report, Request
from whohas.reports.registry import PUBLISHED, find, names, reports

__all__ = ["PUBLISHED", "Plan", "Report", "Request", "find", "names", "reports"]
