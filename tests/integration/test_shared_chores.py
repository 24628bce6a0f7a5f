"""What workers do beside runs, shared by several on one PostgreSQL: each thing is done by exactly one of them."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import asking
from cluster import Cluster, running_cluster
from patience import until
from postgres import Postgres
from receiving import receiving
from support import whohas
from whohas.db.engine import create_engine
from whohas.runs import repository, tables
from whohas.runs.webhook_messages import webhook_message_table
from whohas.schedules.service import schedule

DUE = 6
MANY = {
    "WHOHAS_HOOK_PRIVATE_TARGETS": "true",
    "WHOHAS_CONCURRENT_REPORTS": "IDENTITIES",  # single flight would hide a second start
    "WHOHAS_SWEEP_SECONDS": "1",
}


def removals(cluster: Cluster) -> list[str]:
    """What the logs of all workers say was removed."""
    lines = [line for node in cluster.workers for line in node.log.read_text().splitlines() if line.startswith("{")]
    return [one["run_id"] for one in map(json.loads, lines) if one["event"] == "removed"]


@pytest.mark.long
def test_several_workers_do_each_due_task_once(own_home: Path, postgres: Postgres) -> None:
    url = postgres.ready_database()
    database = create_engine(url)
    with receiving() as receiver, running_cluster(own_home, url, servers=2, workers=3, **MANY) as cluster:
        extra = {"WHOHAS_DATABASE_URL": url, **MANY}
        assert whohas(own_home, "hook", "add", f"{receiver.url}/ended", **extra).returncode == 0
        with cluster.http(cluster.servers[0]) as http:
            for number in range(DUE):
                new = {"name": f"s{number}", "reportType": "IDENTITIES", "cron": "0 6 1 1 *"}
                assert http.post("/whohas/schedules", json=new).status_code == 201
            with database.begin() as connection:
                connection.execute(sa.update(schedule).values(next_at=repository.now() - timedelta(hours=1)))
            receiver.wait_for(DUE)
            time.sleep(2)  # for what would come twice
            runs = http.get("/v2025/task-status").json()
        assert sorted(one["attributes"]["schedule"] for one in runs) == [f"s{number}" for number in range(DUE)]
        assert {one["completionStatus"] for one in runs} <= {"SUCCESS", "WARNING"}
        told = [json.loads(body)["data"]["id"] for _, _, body in receiver.came]
        assert sorted(told) == sorted(one["id"] for one in runs)
        with database.connect() as connection:
            states = connection.execute(
                sa.select(webhook_message_table.c.state, webhook_message_table.c.attempts)
            ).all()
        assert [tuple(one) for one in states] == [("delivered", 1)] * DUE

        for server in cluster.servers:
            assert asking.get(f"{server.url}/readyz").status_code == 200
            assert "whohas_workers_alive 3.0" in asking.get(f"{server.url}/metrics").text

        with database.begin() as connection:
            connection.execute(sa.update(tables.run).values(completed=repository.now() - timedelta(days=91)))
        until(lambda: len(removals(cluster)) >= DUE)
        time.sleep(2)
        assert sorted(removals(cluster)) == sorted(told)
        with database.connect() as connection:
            assert connection.execute(sa.select(tables.run.c.artefacts)).scalars().all() == [[]] * DUE
        assert not [path for path in (own_home / "artefacts").rglob("*") if path.is_file()]

        for worker in cluster.workers:
            assert worker.stop() == 0
        ready = asking.get(f"{cluster.servers[1].url}/readyz")
        assert (ready.status_code, ready.json()["parts"]["worker"]) == (503, "no worker is alive: runs wait")
    database.dispose()
