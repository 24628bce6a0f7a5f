"""An index of queued runs in their order, because workers now claim runs from the table of runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_QUEUED = sa.text("state = 'queued'")


def upgrade() -> None:
    op.create_index("run_queued", "run", ["created", "id", "size"], sqlite_where=_QUEUED, postgresql_where=_QUEUED)
