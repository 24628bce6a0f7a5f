"""Servers of other engines, one of each for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance import address
from sparks import sail_server
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
def trino(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    """A Trino server; each warehouse has a schema of its own there."""
    with trino_server(tmp_path_factory.mktemp("trino")) as server:
        yield server
