"""One table of workers: `worker_beat`, where each said a second time that it was alive, becomes a view of `worker`.

Processes of the version before may still be at work. They read the view, and so count every worker. On PostgreSQL
they have a row in `worker` themselves, so what they write to the view is dropped. On SQLite it is their only sign of
life, so it is written to `worker`. A later step may remove the view.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

_ON_POSTGRESQL = [
    f"CREATE RULE worker_beat_{kind.lower()} AS ON {kind} TO worker_beat DO INSTEAD NOTHING"
    for kind in ("INSERT", "UPDATE", "DELETE")
]
_ON_SQLITE = [
    f"CREATE TRIGGER worker_beat_{kind.lower()} INSTEAD OF {kind} ON worker_beat BEGIN {statement}; END"
    for kind, statement in {
        # a change through a view counts as no row, so the version before inserts its row each time
        "INSERT": "INSERT OR REPLACE INTO worker VALUES (NEW.id, NEW.host, NEW.process, NEW.started, NEW.seen)",
        "UPDATE": "UPDATE worker SET seen = NEW.seen WHERE executor = OLD.id",
        "DELETE": "DELETE FROM worker WHERE executor = OLD.id",
    }.items()
]


def upgrade() -> None:
    op.drop_table("worker_beat")
    op.execute("CREATE VIEW worker_beat AS SELECT executor AS id, host, process, started, seen FROM worker")
    for statement in _ON_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _ON_SQLITE:
        op.execute(statement)
