"""The outbox of audit events, the head of their hash chain, and the loads whose audit events were written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text, nullable=False, comment="JSON; once it has its place in the chain, the whole line"),
        sa.Column("sequence", sa.BigInteger, unique=True, comment="its place in the chain; null until it has one"),
        sa.Column("hash", sa.String(64)),
        sa.Column("filed", sa.Boolean, nullable=False, comment="whether it is in the trail"),
        sa.Column("sent", sa.Boolean, nullable=False, comment="whether Kafka has it"),
        sa.Column("refused", sa.Text, comment="why Kafka does not take it"),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("fault", sa.Text, nullable=False, comment="why events do not get on; empty while they do"),
    )
    op.bulk_insert(head, [{"sequence": 0, "hash": "0" * 64, "fault": ""}])
    op.create_table("audit_load", sa.Column("load_id", sa.String(32), primary_key=True))
