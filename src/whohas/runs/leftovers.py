"""The tables of the job engine DBOS, in which earlier versions kept a job for each queued run. They are removed."""

from __future__ import annotations

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts

_APPLICATION = "whohas"
"""What earlier versions called themselves in these tables."""
_SCHEMA = "dbos"
"""Where the tables are on PostgreSQL; on SQLite they are among ours."""
_MARK = "dbos_migrations"
"""The table of the engine whose name is nobody else's."""
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
    _MARK,
)
"""All of them, each before those that it refers to."""

log = structlog.get_logger("whohas.leftovers")


def remove_job_tables(database: sa.Engine, *, quiet: bool = False) -> None:
    """Remove the engine's tables, unless somebody else needs them; no effect where there are none.

    They stay where another application keeps jobs in them too. On PostgreSQL they stay as long as another session of
    whohas is there, for it may be of a version that needs them: call it before this process has a second one. On SQLite
    the caller has made sure that there is no other worker.

    Args:
        quiet: whether nothing is logged where they stay.
    """
    schema = None if database.dialect.name == "sqlite" else _SCHEMA
    try:
        with database.begin() as connection:
            if not sa.inspect(connection).has_table(_MARK, schema=schema):
                return
            reason = _needed(connection, schema)
            if not reason and schema is None:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none for these statements
                for name in _TABLES:
                    connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}"')
            elif not reason:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeouts.LEFTOVERS_LOCK_SECONDS}s'")
                connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]  # they are in nobody's way
    if not reason:
        log.info("job tables of an earlier version removed")
    elif not quiet:
        log.warning("job tables of an earlier version stay", reason=reason)


def _needed(connection: sa.Connection, schema: str | None) -> str:
    """Return why the tables must stay; empty where nobody needs them."""
    there = sa.inspect(connection)
    names = set(there.get_table_names(schema=schema))
    if schema is not None and (others := names - set(_TABLES)):
        return f"The schema {schema} has other tables: {', '.join(sorted(others))}."
    application = sa.column("application_name", sa.Text)
    for name in sorted(names & set(_TABLES)):
        if all(column["name"] != application.name for column in there.get_columns(name, schema=schema)):
            continue
        query = sa.select(application).select_from(sa.table(name, schema=schema)).where(application != _APPLICATION)
        if (other := connection.execute(query.limit(1)).scalar()) is not None:
            return f"The application {other!r} keeps jobs in them too."
    if schema is not None and connection.execute(_OTHER_PROCESS).first() is not None:
        return (
            "Other sessions of whohas are there, which may be of a version that needs them. Once none is of that "
            f"version: DROP SCHEMA {schema} CASCADE. A start that finds no other session removes them too."
        )
    return ""


_OTHER_PROCESS = sa.text(
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND application_name = current_setting('application_name')"
)
