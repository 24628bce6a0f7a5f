"""The plans of runs (SQL, parameters, files) and the digests of their rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "run_plan",
        sa.Column("run", sa.String(32), sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("plan", sa.JSON, nullable=False, comment="what it does; see `plans.RunPlan`"),
        sa.Column("digest", sa.JSON, comment="of its rows, once it has ended with files; see `plans.RowsDigest`"),
    )
