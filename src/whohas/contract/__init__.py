"""The published Reports Data Extraction API as types: what goes over the wire, and nothing that acts.

Field names are the contract's own, in camelCase. `clients.md` says which of them real clients need.
"""

from whohas.contract.errors import BadToken, ErrorMessage, ErrorResponse, TooManyRequests
from whohas.contract.reports import (
    CompletionStatus,
    FileFormat,
    ReportDetails,
    ReportResults,
    ReportType,
    ResultStatus,
    TaskMessage,
    TaskResultDetails,
    TaskReturn,
    TaskType,
    WireTime,
)
from whohas.contract.tokens import OAuthInfo, TokenResponse

__all__ = [
    "BadToken",
    "CompletionStatus",
    "ErrorMessage",
    "ErrorResponse",
    "FileFormat",
    "OAuthInfo",
    "ReportDetails",
    "ReportResults",
    "ReportType",
    "ResultStatus",
    "TaskMessage",
    "TaskResultDetails",
    "TaskReturn",
    "TaskType",
    "TokenResponse",
    "TooManyRequests",
    "WireTime",
]
