"""The runs of a home folder without a server and without a queue: a test says when they are carried out."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from factories import publish
from ready import ready
from whohas.db.engine import create_engine
from whohas.execution.lease import FileLockLease
from whohas.execution.on_demand import OnDemandRenderer
from whohas.execution.processes import ChildPool, ForkServer
from whohas.execution.queue import Lane
from whohas.execution.supervisor import Supervisor
from whohas.runs.models import Run
from whohas.runs.service import Runs
from whohas.settings import load_settings
from whohas.storage import open_artifact_store
from whohas.warehouse.opening import open_warehouse

SOURCES = [{"id": "s", "name": "S", "accountAttributes": []}]
ACCOUNTS = [{"id": "a", "nativeIdentity": "a", "name": "a", "sourceId": "s", "correlated": False, "attributes": []}]


class Bench:
    """The runs of a home folder, carried out when a test says so."""

    def __init__(self, home: Path, database_url: str, fork_server: ForkServer | None = None, **told: object) -> None:
        settings = load_settings(home=home, database_url=database_url or None, **told)
        ready(home)
        self.warehouse = open_warehouse(settings)
        publish(self.warehouse, SOURCES, ACCOUNTS)
        database = create_engine(settings.sqlalchemy_url)
        artefacts = open_artifact_store(settings)
        self.database = database
        children = ChildPool(fork_server) if fork_server else ChildPool()
        self.later = OnDemandRenderer(settings, database, artefacts, self.warehouse, children)
        self.supervisor = Supervisor(settings, database, self.warehouse, artefacts, children)
        self.supervisor.begin(FileLockLease(database))
        supervisor = self.supervisor
        self.runs = Runs(
            settings, database, self.warehouse, artefacts, self.later, supervisor.expect_run, lambda: None, nullcontext
        )

    def start(self, launcher: str = "tester", zone: str = "UTC", **arguments: Any) -> Run:
        return self.runs.start("ACCOUNTS", {"application": "s", "timeZone": zone, **arguments}, launcher)

    def carry_out(self, run: Run) -> Run:
        """Carries out what is queued, which is this run or nothing."""
        for claimed in self.supervisor.claim({Lane("all", 1): 1}):
            assert claimed.id == run.id
            self.supervisor.execute(claimed)
        self.supervisor.children.close()
        return self.runs.get(run.id)
