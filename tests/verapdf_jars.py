"""veraPDF as the judge of printed reports: its jars from Maven Central, and one run of `verapdf/Judge.java`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parent / "verapdf"
_JARS = _HERE.parent.parent / ".cache" / "verapdf"


def judged(*documents: tuple[str, Path]) -> Sequence[str]:
    """What veraPDF says of each: the standard, PASS, or FAIL and the rules that were broken.

    Args:
        documents: a standard (`2a`, `2u`, `ua1`) and a file each.
    """
    java = shutil.which("java")
    if java is None:
        pytest.skip("java is not installed; veraPDF needs a JDK 11 or later")
    arguments = [one for standard, path in documents for one in (standard, str(path))]
    command = [java, "-XX:TieredStopAtLevel=1", "-cp", f"{_jars()}/*", str(_HERE / "Judge.java"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _jars() -> Path:
    """The folder of the jars, fetched when it is not there; Maven checks what it fetches."""
    if not _JARS.is_dir():
        maven = shutil.which("mvn")
        if maven is None:
            pytest.skip("mvn is not installed; it fetches veraPDF's jars")
        made = _JARS.with_name(f"verapdf-{os.getpid()}")
        command = [maven, "-q", "-B", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"]
        done = subprocess.run([*command, f"-DoutputDirectory={made}"], capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.skip(f"veraPDF's jars cannot be fetched: {done.stdout[-300:]}")
        # another test process may fetch them at the same time: whoever renames first wins
        if _JARS.is_dir():
            shutil.rmtree(made)
        else:
            made.replace(_JARS)
    return _JARS
