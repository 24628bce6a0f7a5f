"""What hooks are to be told: written in the transaction that ends a run, so that neither is there without the other."""

from __future__ import annotations

import sqlalchemy as sa

from whohas.database import Instant, metadata

hook = sa.Table(
    "hook",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("report_type", sa.Text),
    sa.Column("created", Instant, nullable=False),
    sa.Column("disabled", sa.Text, nullable=False),
)
"""One row a hook; `disabled` says why it is told nothing more, and is empty while it is told."""

hook_message = sa.Table(
    "hook_message",
    metadata,
    sa.Column("hook_id", sa.String(32), sa.ForeignKey(hook.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("delivered", Instant),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Index("hook_message_due", "state", "due"),
)
"""One row for each run and hook; `state` is waiting, delivered or dead, `answer` what came of the last attempt."""


def run_ended(connection: sa.Connection, run: sa.Table, run_id: str) -> None:
    """Keeps a message to each hook that wants to know of a run, within the transaction that ends it."""
    wanted = sa.select(
        hook.c.id,
        run.c.id,
        sa.literal("waiting"),
        sa.literal(0),
        run.c.completed,
        sa.literal(""),
    ).where(
        run.c.id == run_id,
        hook.c.disabled == "",
        sa.or_(hook.c.report_type.is_(None), hook.c.report_type == run.c.report_type),
    )
    columns = ["hook_id", "run_id", "state", "attempts", "due", "answer"]
    connection.execute(sa.insert(hook_message).from_select(columns, wanted))
