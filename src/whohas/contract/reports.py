"""Enumerations of the report operations; their bodies are in `whohas_client.contract`, which the client parses with."""

from __future__ import annotations

from enum import StrEnum


class ReportType(StrEnum):
    """The report types of the contract."""

    ACCOUNTS = "ACCOUNTS"
    IDENTITIES_DETAILS = "IDENTITIES_DETAILS"
    IDENTITIES = "IDENTITIES"
    IDENTITY_PROFILE_IDENTITY_ERROR = "IDENTITY_PROFILE_IDENTITY_ERROR"
    ORPHAN_IDENTITIES = "ORPHAN_IDENTITIES"
    SEARCH_EXPORT = "SEARCH_EXPORT"
    UNCORRELATED_ACCOUNTS = "UNCORRELATED_ACCOUNTS"


class FileFormat(StrEnum):
    """The values that the contract allows for the query parameter `fileFormat`."""

    CSV = "csv"
    PDF = "pdf"


class TaskType(StrEnum):
    """The kind of scheduler that executes a task; this server always sends QUEUED_TASK."""

    QUARTZ = "QUARTZ"
    QPOC = "QPOC"
    MENTOS = "MENTOS"
    QUEUED_TASK = "QUEUED_TASK"


class CompletionStatus(StrEnum):
    """The outcome of a run as `TaskResultDetails.completionStatus`, which is null until the run is over."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"
    TEMP_ERROR = "TEMP_ERROR"


class ResultStatus(StrEnum):
    """The outcome of a run as `ReportResults.status`, which is null until the run is over."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    FAILURE = "FAILURE"
    TERMINATED = "TERMINATED"
