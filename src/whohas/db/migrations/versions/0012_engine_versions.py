"""The engine that executed each run, with its version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column(
        "run_plan", sa.Column("engine", sa.Text, comment="that executed it, with its version, once it has rows")
    )
