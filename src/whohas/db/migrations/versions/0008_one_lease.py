"""One table of heartbeats: `worker_beat` becomes a view of `worker`, which had nearly the same content.

Processes of the previous version may still run. They read the view and so see every worker. On PostgreSQL they also
have a row in `worker`, so their writes to the view are ignored. On SQLite the view is the only place for their
heartbeats, so writes to it go to `worker`. A later migration may remove the view.
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
        # an UPDATE through a view reports 0 changed rows, so the previous version inserts its row each time
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
