"""Removes the tables of the job engine DBOS, in which earlier versions kept a job for each queued run."""

from __future__ import annotations

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts

_APPLICATION = "whohas"
"""The application name under which earlier versions wrote to these tables."""
_SCHEMA = "dbos"
"""The schema of the tables on PostgreSQL; on SQLite they are in the same database file as those of whohas."""
_MARKER_TABLE = "dbos_migrations"
"""The table by which DBOS is recognised: no other software uses this name."""
_TABLES = (
    "notifications",
    "streams",
    "workflow_events",
    "workflow_events_history",
    "operation_outputs",
    "event_dispatch_kv",
    "workflow_input",
    "workflow_output",
    "workflow_schedules",
    "queues",
    "application_versions",
    "workflow_status",
    _MARKER_TABLE,
)
"""All tables of DBOS, in an order in which foreign keys allow them to be dropped."""

log = structlog.get_logger("whohas.leftovers")


def remove_job_tables(database: sa.Engine, *, quiet: bool = False) -> None:
    """Remove the tables of DBOS, unless they are still needed; do nothing if they do not exist.

    They are kept, with a warning in the log that says why, where another application has jobs in them. On PostgreSQL
    they are kept while another session of whohas is connected, because it may be of a version that needs them: call
    this before this process opens a second session. On SQLite the caller must hold the lock of the only worker. A
    database error is logged and not raised.

    Args:
        quiet: whether to log no warning where the tables are kept.
    """
    schema = None if database.dialect.name == "sqlite" else _SCHEMA
    try:
        with database.begin() as connection:
            if not sa.inspect(connection).has_table(_MARKER_TABLE, schema=schema):
                return
            reason = _reason_to_keep(connection, schema)
            if not reason and schema is None:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins no transaction before DROP TABLE
                for name in _TABLES:
                    connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}"')
            elif not reason:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeouts.LEFTOVERS_LOCK_SECONDS}s'")
                connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]  # no reason to stop: the tables do no harm
    if not reason:
        log.info("job tables of an earlier version removed")
    elif not quiet:
        log.warning("job tables of an earlier version stay", reason=reason)


def _reason_to_keep(connection: sa.Connection, schema: str | None) -> str:
    """Return why the tables must be kept; empty where they are no longer needed."""
    inspector = sa.inspect(connection)
    names = set(inspector.get_table_names(schema=schema))
    if schema is not None and (others := names - set(_TABLES)):
        return f"The schema {schema} has other tables: {', '.join(sorted(others))}."
    application = sa.column("application_name", sa.Text)
    for name in sorted(names & set(_TABLES)):
        if all(column["name"] != application.name for column in inspector.get_columns(name, schema=schema)):
            continue
        query = sa.select(application).select_from(sa.table(name, schema=schema)).where(application != _APPLICATION)
        if (other := connection.execute(query.limit(1)).scalar()) is not None:
            return f"The application {other!r} keeps jobs in them too."
    if schema is not None and connection.execute(_OTHER_SESSION).first() is not None:
        return (
            "Other sessions of whohas are there, which may be of a version that needs them. Once none is of that "
            f"version: DROP SCHEMA {schema} CASCADE. A start that finds no other session removes them too."
        )
    return ""


_OTHER_SESSION = sa.text(
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND application_name = current_setting('application_name')"
)
