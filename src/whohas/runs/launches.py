"""Who started a run, so that they and the administrators see it, and nobody else does.

A run may have several launchers: an identical start gets the run that is already under way.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from whohas.auth import Caller
from whohas.database import metadata, upserting
from whohas.errors import Forbidden
from whohas.runs.model import Run
from whohas.runs.table import run

run_launch = sa.Table(
    "run_launch",
    metadata,
    sa.Column("run", sa.String(32), sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("launcher", sa.String(32), primary_key=True, comment="`Caller.id` of who started it"),
    sa.Column("source", sa.Text, nullable=True, comment="the id of the source that it is on, if it is on one"),
)

Launches = set[tuple[str, str | None]]
"""Of one run: each launcher, with the source that it is on."""

SOURCE_ARGUMENTS = ("application", "authoritativeSource")
"""The arguments of a run, normalised, that hold the id of the one source that it tells of."""


def source_of(run: Run) -> str | None:
    """The id of the source that a run is on; null where it is on all."""
    return next((str(run.arguments[name]) for name in SOURCE_ARGUMENTS if run.arguments.get(name)), None)


def check_start(caller: Caller, run: Run) -> None:
    """Lets a caller start a run, or refuses.

    Raises:
        Forbidden: they are held to sources, and it is on another one or on all.
    """
    if not caller.held_to_sources or source_of(run) in caller.sources:
        return
    own = ", ".join(sorted(caller.sources)) or "none"
    raise Forbidden(
        f"{caller.name!r} administers sources and may only have reports on their own ({own}). "
        "Start ACCOUNTS with `application`, or IDENTITY_PROFILE_IDENTITY_ERROR with `authoritativeSource`, of one of "
        "them."
    )


def note(connection: sa.Connection, launcher: str, run: Run) -> bool:
    """Keeps that a `Caller.id` started a run; whether that was new. A second time changes nothing."""
    values = {"run": run.id, "launcher": launcher, "source": source_of(run)}
    new = upserting(connection, run_launch).values(values).on_conflict_do_nothing().returning(run_launch.c.run)
    return connection.execute(new).first() is not None


def is_noted(connection: sa.Connection, launcher: str, run: Run) -> bool:
    """Whether a run is known to be started by a `Caller.id`."""
    mine = sa.select(run_launch.c.run).where(run_launch.c.run == run.id, run_launch.c.launcher == launcher)
    return connection.execute(mine).first() is not None


def of_runs(connection: sa.Connection, asked: sa.ColumnElement[bool]) -> Mapping[str, Launches]:
    """By its id, who launched each run of a condition."""
    query = sa.select(run_launch).join(run, run.c.id == run_launch.c.run).where(asked)
    found: dict[str, Launches] = {}
    for row in connection.execute(query):
        found.setdefault(row.run, set()).add((row.launcher, row.source))
    return found


def sees(caller: Caller, launched: Launches) -> bool:
    """`seen_by`, of a run whose launches are at hand."""
    return caller.sees_all or any(
        launcher == caller.id and (not caller.held_to_sources or source in caller.sources)
        for launcher, source in launched
    )


def seen_by(caller: Caller) -> sa.ColumnElement[bool]:
    """The condition on the table of runs under which a caller sees one."""
    if caller.sees_all:
        return sa.true()
    theirs = sa.select(run_launch.c.run).where(run_launch.c.run == run.c.id, run_launch.c.launcher == caller.id)
    if caller.held_to_sources:
        theirs = theirs.where(run_launch.c.source.in_(sorted(caller.sources)))
    return theirs.exists()
