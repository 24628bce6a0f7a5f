"""The schema of version 0.1.0: runs, switched-off reports, API clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_HOLDS_KEY = sa.text("single_flight AND state IN ('queued', 'running', 'cancelling')")


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "run",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("report_type", sa.Text, nullable=False),
        sa.Column("report_name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("single_flight", sa.Boolean, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("snapshot", sa.Integer, nullable=False),
        sa.Column("launcher", sa.Text, nullable=False),
        sa.Column("created", instant, nullable=False),
        sa.Column("launched", instant),
        sa.Column("completed", instant),
        sa.Column("rows", sa.BigInteger),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("formats", sa.JSON, nullable=False),
        sa.Column("messages", sa.JSON, nullable=False),
        sa.Column("artefacts", sa.JSON, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
    )
    op.create_index("ix_run_key", "run", ["key"])
    op.create_index("ix_run_created", "run", ["created"])
    op.create_index(
        "run_single_flight", "run", ["key"], unique=True, sqlite_where=_HOLDS_KEY, postgresql_where=_HOLDS_KEY
    )
    op.create_table("report_switch", sa.Column("report_type", sa.Text, primary_key=True))
    op.create_table(
        "client",
        sa.Column("id", sa.String(32), primary_key=True, comment="32 lower-case hex digits"),
        sa.Column("name", sa.String(200), nullable=False, comment="what runs name as their launcher"),
        sa.Column("secret", sa.String(64), nullable=False, comment="HMAC-SHA-256 of the secret, in hex"),
        sa.Column("scopes", sa.JSON, nullable=False, comment="a list of names"),
        sa.Column("created", instant, nullable=False),
        sa.Column("revoked", instant, nullable=True, comment="since when it may not call any more"),
    )
