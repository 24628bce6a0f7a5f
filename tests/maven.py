"""What the tests that ask Java need from Maven Central: jars, and distributions of whole programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS

_CACHE = Path(__file__).resolve().parent.parent / ".cache"


def jars(what: str, pom: Path) -> Path:
    """The folder of the jars that a `pom.xml` names, fetched when it is not there; Maven checks what it fetches.

    Args:
        what: whose they are, as people say it: `KafkaProducer`; the folder's name follows from it.
    """

    def fetch(folder: Path) -> None:
        _run_maven(f"{what}'s jars", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder}")

    return _kept(what.lower(), fetch)


def distribution(artifact: str, prepare: Callable[[Path], None]) -> Path:
    """The folder with an unpacked archive of a program, fetched when it is not there.

    Args:
        artifact: group, name, version and type: `org.keycloak:keycloak-quarkus-dist:26.7.3:tar.gz`.
        prepare: what is done once with the unpacked folder, before others see it.
    """
    _, name, version, type = artifact.split(":")

    def fetch(folder: Path) -> None:
        packed = folder.with_name(f"{folder.name}-packed")
        try:
            _run_maven(f"{name} {version}", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={packed}")
            shutil.unpack_archive(packed / f"{name}-{version}.{type}", folder, filter="data")
            prepare(folder)
        finally:
            shutil.rmtree(packed, ignore_errors=True)

    return _kept(f"{name}-{version}", fetch)


def _kept(name: str, fetch: Callable[[Path], None]) -> Path:
    """A folder of the cache, filled when it is not there."""
    folder = _CACHE / name
    if not folder.is_dir():
        made = folder.with_name(f"{name}-{os.getpid()}")
        fetch(made)
        # another test process may fetch it at the same time: whoever renames first wins
        if folder.is_dir():
            shutil.rmtree(made)
        else:
            made.replace(folder)
    return folder


def _run_maven(what: str, *arguments: str) -> None:
    """Run Maven; skip the test where it is not there or `what` cannot be fetched."""
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip(f"mvn is not installed; it fetches {what}")
    command = [maven, "-q", "-B", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    if done.returncode:
        pytest.skip(f"{what} cannot be fetched: {done.stdout[-300:]}")
