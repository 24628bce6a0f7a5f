"""Runs on a Spark cluster: how they progress, are cancelled, survive a worker, and fail with their driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import until
from remote_runs import SLOW_TASKS, exchanged, installation, over, take_long
from sparks import SparkCluster, kill
from whohas.errors import WhohasError
from whohas.execution.processes import ForkServer
from whohas.runs.models import Run, RunState
from whohas.services import Services

pytestmark = pytest.mark.engine

LONG, ENDLESS = 60_000, 2_000_000
"""Numbers to sum for each of 1,100 rows: seconds of work, and minutes."""


@pytest.fixture
def services(cluster: SparkCluster, acme_home: Path, tmp_path: Path, fork_server: ForkServer) -> Iterator[Services]:
    """An installation with examples/acme and the cluster, and no worker."""
    with installation(acme_home, tmp_path / "home", fork_server, spark_url=cluster.url) as opened:
        yield opened


def at_work(services: Services, cluster: SparkCluster, done: int = 0) -> Run:
    """A run of whose slow tasks Spark executes some, and has done so many. It needs `services.runs.working()`."""
    before = {job["jobId"] for job in cluster.status("jobs")}
    run = services.runs.start("IDENTITIES", {"engine": "spark"}, "ann")

    def is_under_way() -> bool:
        assert not (now := services.runs.get(run.id)).state.is_over, now
        jobs = [job for job in cluster.status("jobs") if job["jobId"] not in before]
        slow = [job for job in jobs if job["numTasks"] >= SLOW_TASKS]
        return any(job["numActiveTasks"] and job["numCompletedTasks"] >= done for job in slow)

    until(is_under_way)
    return run


def assert_no_file(services: Services, run: Run) -> None:
    """Nothing of a run can be downloaded, and nothing of it is on the disk."""
    assert services.runs.get(run.id).artefacts == ()
    with pytest.raises(WhohasError):
        services.runs.get_artifact(run.id, "csv")
    until(lambda: not exchanged(services), lambda: exchanged(services))
    assert [path for path in services.settings.artefacts_path.rglob("*") if path.is_file()] == []


def shuffled(cluster: SparkCluster) -> set[Path]:
    """What the executors have on their disks for later stages; those that were killed left something."""
    return set(cluster.shuffle_folder.rglob("shuffle_*"))


def test_a_cancel_stops_the_work_of_spark(
    services: Services, cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shuffled(cluster)
    take_long(monkeypatch, ENDLESS)
    with services.runs.working():
        run = at_work(services, cluster)
        services.runs.cancel(run.id)
        until(lambda: not cluster.status("jobs?status=running") and not cluster.tasks_at_work)
        until(lambda: services.runs.get(run.id).state.is_over)
    newest = max(cluster.status("jobs"), key=lambda job: job["jobId"])
    assert newest["status"] == "FAILED"  # it did not get to its end
    assert services.runs.get(run.id).state is RunState.CANCELLED
    assert_no_file(services, run)
    until(lambda: shuffled(cluster) <= before, lambda: shuffled(cluster) - before)


def test_a_killed_worker_costs_time_and_not_the_run(
    services: Services, cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = services.runs.record(over(services, "IDENTITIES")).digest
    take_long(monkeypatch, LONG)
    with services.runs.working():
        run = at_work(services, cluster, done=2)
        kill(cluster.workers.pop(0))
        cluster.workers.append(cluster.start_worker())
        until(lambda: services.runs.get(run.id).state.is_over)
    run = services.runs.get(run.id)
    assert (run.state, run.attempt) == (RunState.SUCCEEDED, 1), run.messages
    assert services.runs.record(run).digest == wanted
    assert any(not executor["isActive"] for executor in cluster.status("allexecutors"))
    assert exchanged(services) == []


def test_a_killed_driver_fails_the_run(
    services: Services, cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow, services.runs.working():
        take_long(slow, ENDLESS)
        run = at_work(services, cluster)
        kill(cluster.connect)
        until(lambda: services.runs.get(run.id).state.is_over)
    run = services.runs.get(run.id)
    assert run.state is RunState.FAILED
    (text,) = [message.text for message in run.messages]
    assert text.startswith(f"Spark at {cluster.url} cannot be reached, or ended while it ran the report: UNAVAILABLE: ")
    assert "Start it, or correct WHOHAS_SPARK_URL, and start the report again." in text
    assert_no_file(services, run)
    cluster.connect = cluster.start_connect()
    assert over(services, "ORPHAN_IDENTITIES", engine="spark").state is RunState.SUCCEEDED


def test_a_driver_that_starts_anew_fails_the_run(
    services: Services, cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_long(monkeypatch, ENDLESS)
    with services.runs.working():
        run = at_work(services, cluster)
        kill(cluster.connect)
        cluster.connect = cluster.start_connect()
        until(lambda: services.runs.get(run.id).state.is_over)
    run = services.runs.get(run.id)
    assert run.state is RunState.FAILED
    (text,) = [message.text for message in run.messages]
    assert text.startswith(f"Spark at {cluster.url} cannot be reached, or ended while it ran the report: ")
    assert_no_file(services, run)


def test_progress_comes_from_the_tasks(
    services: Services, cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_long(monkeypatch, LONG)
    seen: set[int] = set()
    with services.runs.working():
        run = services.runs.start("IDENTITIES", {"engine": "spark"}, "ann")

        def is_over() -> bool:
            now = services.runs.get(run.id)
            if now.progress.startswith("Running on Spark"):
                seen.add(now.percent)
            return now.state.is_over

        until(is_over)
    assert services.runs.get(run.id).state is RunState.SUCCEEDED
    assert len(seen) > 2, seen


def test_a_run_leaves_nothing_on_the_cluster(services: Services, cluster: SparkCluster) -> None:
    before = shuffled(cluster)
    run = over(services, "IDENTITIES_DETAILS", engine="spark")
    assert run.state is RunState.SUCCEEDED
    assert exchanged(services) == []
    assert cluster.status("storage/rdd") == []
    until(lambda: shuffled(cluster) <= before, lambda: shuffled(cluster) - before)
