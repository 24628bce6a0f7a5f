"""Migrations of the database schema with Alembic, run when a process starts.

The tables that the code uses are defined on `db.engine.metadata`; a test checks that the migrations produce the same
schema. To change a table, add a file in `versions/` with the next number, whose `down_revision` is the last one, and
set `HEAD` to it. The history has no branches: if two branches of the code each added a migration, renumber the one that
is merged later. There are no downgrades: to go back, restore a backup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from whohas.db import locks
from whohas.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD: Final = "0012"
"""The migration that this code needs."""

_FIRST: Final = "0001"
"""The schema of version 0.1.0, which did not record its migration in `alembic_version`."""


def upgrade_schema(database: sa.Engine) -> None:
    """Migrate the database to `HEAD`, in one transaction.

    Many processes may call it at once; one of them migrates. If the schema is up to date, it costs one query.

    Raises:
        Unavailable: the database was used by a newer version of whohas.
    """
    with database.connect() as connection:
        if _step(connection) == HEAD:
            return
    with database.begin() as connection:
        # locked, because another process could migrate between the check and the change
        locks.lock_transaction(connection, locks.SCHEMA_LOCK)
        _go_up(connection)


def _step(connection: sa.Connection) -> str | None:
    """Return the migration that the database is at; None if it is empty."""
    there = sa.inspect(connection)
    if there.has_table("alembic_version"):
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return _FIRST if there.has_table("run") else None


def _go_up(connection: sa.Connection) -> None:
    # imported here, because most starts have nothing to migrate
    from alembic import command

    config = _config()
    now = _step(connection)
    known = {revision.revision for revision in migration_scripts().walk_revisions()}
    if now is not None and now not in known:
        raise Unavailable(
            f"The database is at step {now}, which this whohas does not know: it was used by a newer one. Install that "
            "version again, or restore a backup from before."
        )
    config.attributes["connection"] = connection  # env.py takes it from there
    if now == _FIRST:
        command.stamp(config, _FIRST)
    command.upgrade(config, HEAD)


def migration_scripts() -> ScriptDirectory:
    """Return Alembic's view of the migration scripts."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    """Return the configuration of Alembic's commands, in code: an installed wheel has no alembic.ini.

    It has no database: set `attributes["connection"]` before a command that needs one.
    """
    from alembic.config import Config

    config = Config()
    # the name of the package, which Alembic finds wherever it is installed; a path would need its % signs escaped
    config.set_main_option("script_location", __name__.replace(".", ":", 1).replace(".", "/"))
    return config
