"""The summary of each run, computed with its files or when it is first asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column(
        "run_plan", sa.Column("summary", sa.JSON, comment="of each part, once it was computed; see `RowsSummary`")
    )
