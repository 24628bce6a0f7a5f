"""IDENTITY_PROFILE_IDENTITY_ERROR: identities of one authoritative source whose last processing failed."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.engine.summary import KeyFigure, SummaryDefinition
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.shared_columns import identity_columns
from whohas.reports.summaries import by_value, share
from whohas.warehouse.catalog import Catalog

_COLUMNS = (
    *identity_columns("id", "name", "displayName"),
    ResultColumn("profile", "text", "The name of its identity profile.", label="Identity profile", section="Identity"),
    ResultColumn(
        "processingState",
        "text",
        "The state of its last processing: always ERROR.",
        label="Processing state",
        section="Error",
    ),
    ResultColumn("date", "time", "When the processing failed.", label="Date", section="Error"),
    ResultColumn("stage", "text", "The stage at which it failed.", label="Stage", section="Error"),
    ResultColumn("retryCount", "integer", "The number of retries.", label="Retries", section="Error"),
    ResultColumn("message", "text", "The error message.", label="Message", section="Error"),
)

_SQL = """
SELECT i.id, i.name, coalesce(nullif(i.displayName, ''), i.name) AS displayName,
       coalesce(nullif(p.name, ''), i.identityProfileName) AS profile,
       i.processingState, i.processingDate AS date, i.processingStage AS stage,
       i.processingRetryCount AS retryCount, i.processingMessage AS message
FROM identities i
LEFT JOIN identity_profiles p ON p.id = i.identityProfileId
WHERE i.processingState = 'ERROR' AND coalesce(p.authoritativeSourceId, i.sourceId) = $source
""".strip()


_SUMMARY = SummaryDefinition(
    (
        KeyFigure("identities", "Identities with an error", "Identities whose last processing failed.", "count(*)"),
        share("retried", "Retried", "Errors that were retried at least once.", '"retryCount" > 0', "retryCount"),
    ),
    (
        by_value("byStage", "Errors by stage", "The errors by the stage of processing.", "stage"),
        by_value("byMessage", "Errors by message", "The errors by their message.", "message"),
        by_value("byProfile", "Errors by identity profile", "The errors by identity profile.", "profile"),
    ),
)


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    source = sources.find_source(request, "authoritativeSource", catalogue)
    return Plan(
        arguments={"authoritativeSource": source.id, "sourceName": source.name},
        statement=Statement(
            sql=_SQL,
            columns=_COLUMNS,
            parameters={"source": source.id},
            tables={"identities": None, "identity_profiles": None},
        ),
        messages=sources.stale_sources_messages([source], request.now),
    )


REPORT = Report(
    type="IDENTITY_PROFILE_IDENTITY_ERROR",
    name="Identity Profile Identity Error Report",
    description="The identities of one authoritative source's profile whose last processing failed, and why.",
    arguments={
        "authoritativeSource": "The id of the authoritative source of the identity profile. Required unless sourceName "
        "is given.",
        "sourceName": "The source's name, which is sufficient if it is unique. If authoritativeSource is given too, "
        "both must mean the same source.",
    },
    columns=_COLUMNS,
    make_plan=_plan,
    summary=_SUMMARY,
)
