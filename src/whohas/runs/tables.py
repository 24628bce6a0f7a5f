"""The database tables of runs, plans, launchers, legal holds and report switches; `repository` has the statements."""

from __future__ import annotations

import sqlalchemy as sa

from whohas.db.engine import UTCDateTime, metadata
from whohas.runs.models import ACTIVE_STATES, RunState

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("report_type", sa.Text, nullable=False),
    sa.Column("report_name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("single_flight", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("snapshot", sa.Integer, nullable=False),
    sa.Column("launcher", sa.Text, nullable=False),
    sa.Column("created", UTCDateTime, nullable=False, index=True),
    sa.Column("launched", UTCDateTime),
    sa.Column("completed", UTCDateTime, index=True),
    sa.Column("rows", sa.BigInteger),
    sa.Column("progress", sa.Text, nullable=False),
    sa.Column("percent", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("formats", sa.JSON, nullable=False),
    sa.Column("messages", sa.JSON, nullable=False),
    sa.Column("artefacts", sa.JSON, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("executor", sa.String(32)),
    sa.Column("lost", sa.Integer, nullable=False, server_default="0"),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
)
"""One row for each run; see `models.Run`. The columns `formats` to `artefacts` are JSON because they are always read
and written whole. `statement` is the SQL of a run that an earlier version stored without a plan; it is empty
otherwise."""

run_plan = sa.Table(
    "run_plan",
    metadata,
    sa.Column("run", sa.String(32), sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("plan", sa.JSON, nullable=False, comment="what it does; see `plans.RunPlan`"),
    sa.Column("digest", sa.JSON, comment="of its rows, once it has ended with files; see `plans.RowsDigest`"),
    sa.Column("summary", sa.JSON, comment="of each part, once it was computed; see `RowsSummary`"),
    sa.Column("engine", sa.Text, comment="that executed it, with its version, once it has rows"),
)
"""The plan of each run and the digest of its rows. Not columns of `run`, whose rows are read at every poll and must be
small."""

# literals, because the condition of an index cannot have parameters
BLOCKS_KEY = sa.text(f"single_flight AND state IN ({', '.join(repr(state.value) for state in ACTIVE_STATES)})")
"""The condition of the unique index below (single flight): an active run of a report that is not concurrent."""

sa.Index(
    "run_single_flight",
    run.c.key,
    unique=True,
    sqlite_where=BLOCKS_KEY,
    postgresql_where=BLOCKS_KEY,
)

sa.Index("run_state", run.c.state, run.c.created)

IS_QUEUED = run.c.state == sa.literal_column(
    f"'{RunState.QUEUED}'"
)  # a literal, so that the database uses the index below
# in the order of the queue, and with the size, so that the runs of a lane are found from the index alone
sa.Index(
    "run_queued",
    run.c.created,
    run.c.id,
    run.c.size,
    sqlite_where=IS_QUEUED,
    postgresql_where=IS_QUEUED,
)

run_launch = sa.Table(
    "run_launch",
    metadata,
    sa.Column("run", sa.String(32), sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("launcher", sa.String(32), primary_key=True, comment="`Caller.id` of who started it"),
    sa.Column("source", sa.Text, nullable=True, comment="the id of the source that it is on, if it is on one"),
)
"""The launchers of each run, which decide who may see it; see `launches`."""

hold = sa.Table(
    "hold",
    metadata,
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("held", UTCDateTime, nullable=False),
)
"""The runs under a legal hold; see `retention`."""

report_switch = sa.Table("report_switch", metadata, sa.Column("report_type", sa.Text, primary_key=True))
"""The report types that an administrator has switched off."""
