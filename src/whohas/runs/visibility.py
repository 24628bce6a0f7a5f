"""Visibility: which callers may see a run, from the record of who started it (table `run_launch`).

Administrators (`Caller.sees_all`) see every run, everybody else only the runs that they launched. A caller who is
restricted to sources sees of these only the runs on one of their sources: a run over all sources stays hidden, because
it has rows of other sources. A run has several launchers where identical requests were answered with the run that was
active already (single flight).
"""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from whohas.auth import Caller
from whohas.db.engine import insert_in_dialect
from whohas.errors import Forbidden
from whohas.runs.models import Run
from whohas.runs.tables import run, run_launch

Launches = set[tuple[str, str | None]]
"""The launches of one run: pairs of a launcher (`Caller.id`) and the id of the source that the run is on, or None."""

SOURCE_ARGUMENTS = ("application", "authoritativeSource")
"""The normalised arguments that hold the id of a source where a run covers that source alone."""


def source_id(run: Run) -> str | None:
    """Return the id of the one source that a run covers; None where it covers all sources."""
    return next((str(run.arguments[name]) for name in SOURCE_ARGUMENTS if run.arguments.get(name)), None)


def check_may_start(caller: Caller, run: Run) -> None:
    """Check that a caller may start a run.

    Raises:
        Forbidden: the caller is restricted to sources, and the run covers another source or all sources.
    """
    if not caller.restricted_to_sources or source_id(run) in caller.sources:
        return
    own = ", ".join(sorted(caller.sources)) or "none"
    raise Forbidden(
        f"{caller.name!r} administers sources and may only have reports on their own ({own}). "
        "Start ACCOUNTS with `application`, or IDENTITY_PROFILE_IDENTITY_ERROR with `authoritativeSource`, of one of "
        "them."
    )


def record_launch(connection: sa.Connection, launcher: str, run: Run) -> bool:
    """Record that a caller started a run, unless that is recorded already.

    Args:
        launcher: the `Caller.id`.

    Returns:
        Whether a record was added.
    """
    values = {"run": run.id, "launcher": launcher, "source": source_id(run)}
    return connection.execute(_insert_launch(connection.dialect.name), values).first() is not None


@cache
def _insert_launch(dialect: str) -> sa.Executable:
    return insert_in_dialect(dialect, run_launch).on_conflict_do_nothing().returning(run_launch.c.run)


def has_launched(connection: sa.Connection, launcher: str, run: Run) -> bool:
    """Return whether it is recorded that a caller, given by `Caller.id`, started a run."""
    mine = sa.select(run_launch.c.run).where(run_launch.c.run == run.id, run_launch.c.launcher == launcher)
    return connection.execute(mine).first() is not None


def may_see(caller: Caller, launched: Launches) -> bool:
    """Return whether a caller may see a run, from its launches: the rule of `visible_to` without a query."""
    return caller.sees_all or any(
        launcher == caller.id and (not caller.restricted_to_sources or source in caller.sources)
        for launcher, source in launched
    )


def visible_to(caller: Caller) -> sa.ColumnElement[bool]:
    """Return the SQL condition on the table `run` that selects the runs that a caller may see."""
    if caller.sees_all:
        return sa.true()
    launched = sa.select(run_launch.c.run).where(run_launch.c.run == run.c.id, run_launch.c.launcher == caller.id)
    if caller.restricted_to_sources:
        launched = launched.where(run_launch.c.source.in_(sorted(caller.sources)))
    return launched.exists()
