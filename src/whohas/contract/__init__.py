"""Request and response bodies of the published Reports Data Extraction API, as Pydantic models without behaviour.

`reports` has the bodies of the report operations, `tasks` those of the task-status API, `tokens` those of the OAuth
endpoints, `errors` those of error responses. Field names are the contract's, in camelCase.
"""

from whohas.contract.errors import ErrorMessage, ErrorResponse, TokenError, TooManyRequests
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
from whohas.contract.tokens import OAuthEndpoints, TokenResponse

__all__ = [
    "CompletionStatus",
    "ErrorMessage",
    "ErrorResponse",
    "FileFormat",
    "OAuthEndpoints",
    "ReportDetails",
    "ReportResults",
    "ReportType",
    "ResultStatus",
    "TaskMessage",
    "TaskResultDetails",
    "TaskReturn",
    "TaskType",
    "TokenError",
    "TokenResponse",
    "TooManyRequests",
    "WireTime",
]
