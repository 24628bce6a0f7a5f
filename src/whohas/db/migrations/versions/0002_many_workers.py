"""Several workers on one database: the worker of a run, how often it was lost, its size, and a table of workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("run", sa.Column("executor", sa.String(32)))
    op.add_column("run", sa.Column("lost", sa.Integer, nullable=False, server_default="0"))
    op.add_column("run", sa.Column("size", sa.BigInteger, nullable=False, server_default="0"))
    # until this version, an attempt counted as lost when the next one began
    op.execute("UPDATE run SET lost = attempt WHERE state = 'queued'")
    op.execute("UPDATE run SET lost = attempt - 1 WHERE state = 'running' AND attempt > 0")
    op.create_index("run_state", "run", ["state", "created"])
    op.create_table(
        "worker",
        sa.Column("executor", sa.String(32), primary_key=True, comment="32 lower-case hex digits, new with each start"),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("process", sa.Integer, nullable=False, comment="its id on that host"),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False, comment="by the database's clock"),
    )
