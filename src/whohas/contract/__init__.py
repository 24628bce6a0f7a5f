"""Request and response bodies of the published Reports Data Extraction API, as Pydantic models without behaviour.

`reports` has the enumerations of the report operations, `tasks` the bodies of the task-status API, `runs` those of
whohas's own routes of runs, `tokens` those of the OAuth endpoints, `errors` those of error responses. Bodies that the
client parses too are in `whohas_client.contract`. Field names are the contract's, in camelCase.
"""

from whohas.contract.errors import ErrorMessage, ErrorResponse, TokenError, TooManyRequests
from whohas.contract.reports import CompletionStatus, FileFormat, ReportType, ResultStatus, TaskType
from whohas.contract.tokens import OAuthEndpoints
from whohas_client.contract import (
    ReportDetails,
    ReportResults,
    TaskMessage,
    TaskResultDetails,
    TaskReturn,
    TokenResponse,
    WireTime,
)

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
