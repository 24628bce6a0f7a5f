"""Runs on Spark whose warehouse lies in an object store, which the engine reads itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remote_runs import exchanged, over
from sparks import sail_server
from stores import S3Server, moto, versitygw
from support import ACME, whohas
from whohas.execution.processes import ForkServer
from whohas.runs.models import RunState
from whohas.services import Services, open_services
from whohas.settings import Settings


@pytest.fixture(scope="module", params=["moto", pytest.param("versitygw", marks=pytest.mark.engine)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto() if request.param == "moto" else versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="module")
def warehouse(store: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a warehouse with examples/acme. The variables by which all find the store are set."""
    address = f"s3://{store.new_bucket()}/lake"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        done = whohas(tmp_path_factory.mktemp("loading") / "home", "load", ACME, WHOHAS_WAREHOUSE_URL=address)
        assert done.returncode == 0, done.stderr
        yield address


@pytest.fixture
def services(warehouse: str, tmp_path: Path, fork_server: ForkServer) -> Iterator[Services]:
    """An installation with that warehouse and Sail, and no worker."""
    with (
        sail_server(tmp_path) as url,
        open_services(Settings(home=tmp_path / "home", warehouse_url=warehouse, spark_url=url)) as opened,
    ):
        opened.on_demand.children.fork_server = fork_server
        yield opened


@pytest.mark.parametrize(
    ("report", "arguments"),
    [
        ("IDENTITIES_DETAILS", {}),
        ("SEARCH_EXPORT", {"query": "@access(type:ROLE) OR name:a*", "indices": "identities"}),
    ],
    ids=["report", "search"],
)
def test_the_engine_reads_the_store_itself(services: Services, report: str, arguments: dict[str, str]) -> None:
    run = over(services, report, engine="spark", **arguments)
    assert run.state is RunState.SUCCEEDED, run.messages
    assert exchanged(services) == []
    assert not list(services.warehouse.root.glob("accounts/*.parquet"))  # no file was downloaded for it
    here = services.runs.record(over(services, report, **arguments)).digest
    assert services.runs.record(run).digest == here


def test_a_store_that_denies_the_engine_fails_the_run(
    request: pytest.FixtureRequest, warehouse: str, tmp_path: Path, fork_server: ForkServer
) -> None:
    # moto checks no signatures, so there the engine asks a server that is not there
    is_moto = request.node.callspec.params["store"] == "moto"
    wrong = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"} if is_moto else {"AWS_SECRET_ACCESS_KEY": "wrong"}
    with (
        sail_server(tmp_path, environment=wrong) as url,
        open_services(Settings(home=tmp_path / "home", warehouse_url=warehouse, spark_url=url)) as opened,
    ):
        opened.on_demand.children.fork_server = fork_server
        run = over(opened, "IDENTITIES", engine="spark")
        assert run.state is RunState.FAILED
        (text,) = [message.text for message in run.messages]
        assert text.startswith(f"Spark at {url} could not read the table ")
        assert run.artefacts == ()
        assert exchanged(opened) == []


def test_other_stores_are_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"warehouse_url is an address of gs://: .* or in s3://"):
        Settings(spark_url="sc://spark", warehouse_url="gs://acme/lake")
