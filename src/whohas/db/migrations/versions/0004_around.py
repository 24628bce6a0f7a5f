"""Schedules, webhooks and their messages, legal holds, heartbeats of workers, and durations of phases of runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_index("ix_run_completed", "run", ["completed"])
    op.create_table(
        "schedule",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("report_type", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("launcher", sa.Text, nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("next_at", _INSTANT, nullable=False, index=True),
        sa.Column("last_at", _INSTANT),
        sa.Column("last_run", sa.String(32)),
        sa.Column("last_error", sa.Text, nullable=False),
    )
    op.create_table(
        "hook",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("report_type", sa.Text),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("disabled", sa.Text, nullable=False),
    )
    op.create_table(
        "hook_message",
        sa.Column("hook_id", sa.String(32), sa.ForeignKey("hook.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", _INSTANT, nullable=False),
        sa.Column("delivered", _INSTANT),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("hook_message_due", "hook_message", ["state", "due"])
    op.create_table(
        "hold",
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("held", _INSTANT, nullable=False),
    )
    op.create_table(
        "worker_beat",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("process", sa.Integer, nullable=False),
        sa.Column("started", _INSTANT, nullable=False),
        sa.Column("seen", _INSTANT, nullable=False),
    )
    op.create_table(
        "phase_total",
        sa.Column("report_type", sa.Text, primary_key=True),
        sa.Column("phase", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
    )
