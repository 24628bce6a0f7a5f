"""veraPDF as the judge of printed reports: its jars from Maven Central, and one run of `verapdf/Judge.java`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from maven import jars
from patience import PATIENCE_SECONDS

_HERE = Path(__file__).resolve().parent / "verapdf"


def judged(*documents: tuple[str, Path]) -> Sequence[str]:
    """What veraPDF says of each: the standard, PASS, or FAIL and the rules that were broken.

    Args:
        documents: a standard (`2a`, `2u`, `ua1`) and a file each.
    """
    java = shutil.which("java")
    if java is None:
        pytest.skip("java is not installed; veraPDF needs a JDK 11 or later")
    arguments = [one for standard, path in documents for one in (standard, str(path))]
    classes = f"{jars('veraPDF', _HERE / 'pom.xml')}/*"
    command = [java, "-XX:TieredStopAtLevel=1", "-cp", classes, str(_HERE / "Judge.java"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
