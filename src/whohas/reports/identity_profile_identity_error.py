"""IDENTITY_PROFILE_IDENTITY_ERROR: identities of one authoritative source whose last processing failed."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.warehouse.catalog import Catalog

_COLUMNS = (
    ResultColumn("id", "text", "The identity's id."),
    ResultColumn("name", "text", "Its unique name."),
    ResultColumn("displayName", "text", "Its display name, or its unique name if it has none.", key=True),
    ResultColumn("profile", "text", "The name of its identity profile."),
    ResultColumn("processingState", "text", "The state of its last processing: always ERROR."),
    ResultColumn("date", "time", "When the processing failed."),
    ResultColumn("stage", "text", "The stage at which it failed."),
    ResultColumn("retryCount", "integer", "The number of retries."),
    ResultColumn("message", "text", "The error message."),
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


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    source = sources.find_source(request, "authoritativeSource", catalogue)
    return Plan(
        arguments={"authoritativeSource": source.id},
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
)
