"""The table of the sessions of the web console; see `auth.sessions`."""

from __future__ import annotations

import sqlalchemy as sa

from whohas.db.engine import UTCDateTime, metadata

session_table = sa.Table(
    "console_session",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True, comment="SHA-256 of the id, which has 256 random bits"),
    sa.Column("owner", sa.String(32), nullable=False, index=True, comment="`Caller.id` of the user"),
    sa.Column(
        "rights",
        sa.JSON(none_as_null=True),
        nullable=True,
        comment="of a user of an OpenID Connect provider; else null",
    ),
    sa.Column("rights_end", UTCDateTime, nullable=True, comment="until when those rights are valid"),
    sa.Column("renewal", sa.Text, nullable=True, comment="the encrypted token that gets new rights"),
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("seen", UTCDateTime, nullable=False, comment="about when it was last used"),
    sa.Column("expires", UTCDateTime, nullable=False, index=True),
)
