"""Jars from Maven Central for the tests that ask Java."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS

_CACHE = Path(__file__).resolve().parent.parent / ".cache"


def jars(what: str, pom: Path) -> Path:
    """The folder of the jars that a `pom.xml` names, fetched when it is not there; Maven checks what it fetches.

    Args:
        what: whose they are, as people say it: `KafkaProducer`; the folder's name follows from it.
    """
    folder = _CACHE / what.lower()
    if not folder.is_dir():
        maven = shutil.which("mvn")
        if maven is None:
            pytest.skip(f"mvn is not installed; it fetches {what}'s jars")
        made = folder.with_name(f"{folder.name}-{os.getpid()}")
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={made}"], capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        if done.returncode:
            pytest.skip(f"{what}'s jars cannot be fetched: {done.stdout[-300:]}")
        # another test process may fetch them at the same time: whoever renames first wins
        if folder.is_dir():
            shutil.rmtree(made)
        else:
            made.replace(folder)
    return folder
