"""Official SDKs, each in an environment of its own, kept in `.cache/clients` between runs of the tests."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CACHE = Path(__file__).parent.parent.parent / ".cache" / "clients"


def python_sdk(package: str, version: str) -> Path:
    """The Python of an environment that holds a version of a package from PyPI, made if it is not there.

    Skips the test with the reason where the package cannot be had. Processes that want the same one wait for the
    first; what an interrupted one has left is made anew.
    """
    folder = CACHE / f"{package}-{version}"
    python, complete = folder / "bin" / "python", folder / ".complete"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists() and _works(python):
            return python
        shutil.rmtree(folder, ignore_errors=True)
        if fault := _make(folder, f"{package}=={version}"):
            shutil.rmtree(folder, ignore_errors=True)
            pytest.skip(f"{package} {version} cannot be installed from the package index: {fault}")
        complete.touch()
    return python


def _works(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def _make(folder: Path, requirement: str) -> str:
    """Makes the environment; says what went wrong, or nothing."""
    uv = shutil.which("uv")
    if uv is not None:
        steps = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), requirement],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--retries", "1", requirement],
        ]
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return f"{step[0]} took longer than 300 seconds"
        if done.returncode != 0:
            return (done.stderr or done.stdout).strip().splitlines()[-1]
    return ""
