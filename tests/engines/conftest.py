"""Servers of other engines, one of each for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance import address
from sparks import SparkCluster, sail_server, spark_cluster
from trinos import Trino, trino_server
from whohas.engine.remote import RemoteEngine, open_engine


@pytest.fixture(scope="session")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Sail server."""
    with sail_server(tmp_path_factory.mktemp("sail")) as url:
        yield url


@pytest.fixture(scope="session")
def sail_engine(sail: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteEngine]:
    """A session on it."""
    with open_engine(address(sail, tmp_path_factory.mktemp("session"))) as engine:
        yield engine


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """Apache Spark: a master, two workers and a Connect server. Who kills one of them starts another."""
    with spark_cluster(tmp_path_factory.mktemp("spark")) as started:
        yield started


@pytest.fixture
def spark_engine(cluster: SparkCluster, tmp_path: Path) -> Iterator[RemoteEngine]:
    """A session on it."""
    with open_engine(address(cluster.url, tmp_path / "session")) as engine:
        yield engine


@pytest.fixture(scope="session")
def trino(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    """A Trino server; each warehouse has a schema of its own there."""
    with trino_server(tmp_path_factory.mktemp("trino")) as server:
        yield server
