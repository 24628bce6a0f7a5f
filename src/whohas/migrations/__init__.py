"""The layout of the database, step by step: what each version of whohas changed, and the way from any of them to here.

The tables that the code uses are defined on `database.metadata`; a test holds them to what these steps come to. A
change of a table is a new file in `versions/`, named after the next number, whose `down_revision` is the last one; then
`HEAD` is set to it. Where two branches have each added a step, the one that lands later is renumbered behind the other:
the steps are one line, without branches. Steps go up only: whoever has to go back restores a backup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from whohas import locks
from whohas.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD: Final = "0008"
"""The step that this code needs."""

_FIRST: Final = "0001"
"""What version 0.1.0 made; it did not write down which step it was."""


def upgrade(database: sa.Engine) -> None:
    """Brings the database to the layout of this code; safe from many processes at once, cheap where it is there.

    All or nothing: a step that fails leaves the layout as it was.

    Raises:
        Unavailable: a newer whohas has been at work on this database.
    """
    with database.connect() as connection:
        if _step(connection) == HEAD:
            return
    with database.begin() as connection:
        # looking and changing are two steps: one process at a time
        locks.lock_transaction(connection, locks.LAYOUT)
        _go_up(connection)


def _step(connection: sa.Connection) -> str | None:
    """The step that the database is at; None where it is empty."""
    there = sa.inspect(connection)
    if there.has_table("alembic_version"):
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return _FIRST if there.has_table("run") else None


def _go_up(connection: sa.Connection) -> None:
    # imported here, for most starts have nothing to change
    from alembic import command

    config = _config()
    now = _step(connection)
    known = {revision.revision for revision in script().walk_revisions()}
    if now is not None and now not in known:
        raise Unavailable(
            f"The database is at step {now}, which this whohas does not know: it was used by a newer one. Install that "
            "version again, or restore a backup from before."
        )
    config.attributes["connection"] = connection  # env.py takes it from there
    if now == _FIRST:
        command.stamp(config, _FIRST)
    command.upgrade(config, HEAD)


def script() -> ScriptDirectory:
    """Return the steps as Alembic has them."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    """Return the settings for Alembic's commands; there is no alembic.ini, so that an installed wheel needs none."""
    from alembic.config import Config

    config = Config()
    # the name of the package, which Alembic finds wherever it is installed; a path would need its % signs escaped
    config.set_main_option("script_location", __name__.replace(".", ":", 1))
    return config
