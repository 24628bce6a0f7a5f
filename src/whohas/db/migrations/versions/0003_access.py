"""Access control: users, levels and sources of clients, authorization codes, rate-limit counters, launchers of runs.

Existing clients could do everything; they get the level ORG_ADMIN and keep that right.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.String(32), primary_key=True, comment="32 lower-case hex digits"),
        sa.Column("name", sa.String(200), nullable=False, unique=True, comment="what they sign in with"),
        sa.Column("password", sa.Text, nullable=True, comment="scrypt$N$r$p$salt$hash; null where they cannot sign in"),
        sa.Column("levels", sa.JSON, nullable=False, comment="a list of names"),
        sa.Column("sources", sa.JSON, nullable=False, comment="ids of the sources of a source administrator"),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("disabled", _INSTANT, nullable=True, comment="since when they may do nothing any more"),
    )
    with op.batch_alter_table("client") as client:
        client.alter_column(
            "name",
            existing_type=sa.String(200),
            existing_nullable=False,
            comment="what runs of an application name as their launcher",
            existing_comment="what runs name as their launcher",
        )
        client.add_column(sa.Column("person", sa.String(32), comment="the user whom a personal client acts for"))
        client.create_foreign_key("client_person", "person", ["person"], ["id"])
        for name, default, comment in (
            ("levels", '["ORG_ADMIN"]', "an application's; a personal client has its user's"),
            ("sources", "[]", "ids of the sources that it is held to"),
            ("redirects", "[]", "where users may be sent back to after they signed in"),
        ):
            client.add_column(sa.Column(name, sa.JSON, nullable=False, server_default=default, comment=comment))
        client.add_column(
            sa.Column(
                "tokens_from",
                _INSTANT,
                nullable=False,
                server_default="1970-01-01 00:00:00.000000",
                comment="tokens that were issued before are over",
            )
        )
    # the defaults were only for existing rows: new clients set all columns
    with op.batch_alter_table("client") as client:
        for name in ("levels", "sources", "redirects", "tokens_from"):
            client.alter_column(name, server_default=None)
    op.create_table(
        "sign_in_code",
        sa.Column("hash", sa.String(64), primary_key=True, comment="SHA-256 of the code, which has 256 random bits"),
        sa.Column("client", sa.String(32), nullable=False),
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("redirect", sa.Text, nullable=False),
        sa.Column("challenge", sa.String(43), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("expires", _INSTANT, nullable=False, index=True),
    )
    op.create_table(
        "limit_count",
        sa.Column("key", sa.String(64), primary_key=True, comment="SHA-256 of what is counted"),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column(
            "ends", _INSTANT, nullable=False, index=True, comment="when its window ends, and it counts from 0 again"
        ),
    )
    op.create_table(
        "run_launch",
        sa.Column("run", sa.String(32), sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("launcher", sa.String(32), primary_key=True, comment="`Caller.id` of who started it"),
        sa.Column("source", sa.Text, nullable=True, comment="the id of the source that it is on, if it is on one"),
    )
