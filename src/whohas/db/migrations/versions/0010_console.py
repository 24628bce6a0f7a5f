"""The sessions of the web console."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "console_session",
        sa.Column("hash", sa.String(64), primary_key=True, comment="SHA-256 of the id, which has 256 random bits"),
        sa.Column("owner", sa.String(32), nullable=False, index=True, comment="`Caller.id` of the user"),
        sa.Column("rights", sa.JSON, nullable=True, comment="of a user of an OpenID Connect provider; else null"),
        sa.Column("rights_end", _INSTANT, nullable=True, comment="until when those rights are valid"),
        sa.Column("renewal", sa.Text, nullable=True, comment="the encrypted token that gets new rights"),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("seen", _INSTANT, nullable=False, comment="about when it was last used"),
        sa.Column("expires", _INSTANT, nullable=False, index=True),
    )
