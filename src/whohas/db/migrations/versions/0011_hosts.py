"""Tables for hosts with separate home folders: secret keys, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "secret_key",
        sa.Column("name", sa.String(120), primary_key=True, comment="as that of its file would be"),
        sa.Column("content", sa.Text, nullable=False, comment="encrypted with the master key (JWE)"),
    )
    op.create_table(
        "audit_log",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("line", sa.Text, nullable=False),
    )
