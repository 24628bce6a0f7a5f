"""Official SDKs, each in an environment of its own, kept in `.cache/clients` between runs of the tests.

What is not there and cannot be had skips its tests, and the reason is what the registry said.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    with _alone(folder):
        if complete.exists() and _works(python):
            return python
        shutil.rmtree(folder, ignore_errors=True)
        if fault := _make(folder, f"{package}=={version}"):
            shutil.rmtree(folder, ignore_errors=True)
            pytest.skip(f"{package} {version} cannot be installed from the package index: {fault}")
        complete.touch()
    return python


def typescript_sdk(package: str, version: str) -> Path:
    """A folder whose `node_modules` has a version of a package from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: the TypeScript SDK needs it")
    folder = CACHE / f"{package}-{version}"
    with _alone(folder):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text("{}")
            install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"{package}@{version}"]
            _or_skip(install, folder, 300, f"{package} {version} cannot be installed from npm")
            (folder / ".complete").touch()
    return folder


def go_program(version: str) -> Path:
    """The program in `go/<version>`, built with the Go SDK of that version.

    v2 has 6,000 files and takes minutes: it is built once, and kept.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed: the Go SDK needs it")
    sources = Path(__file__).parent / "go" / version
    content = b"".join(path.read_bytes() for path in sorted(sources.iterdir()))
    program = CACHE / f"go-{version}-{hashlib.sha256(content).hexdigest()[:12]}" / "client"
    with _alone(program.parent):
        if not program.exists():
            program.parent.mkdir(parents=True, exist_ok=True)
            build = [go, "build", "-p", "1", "-mod=mod", "-o", f"{program}.part", "."]
            _or_skip(
                build,
                shutil.copytree(sources, program.parent / "src", dirs_exist_ok=True),
                1800,
                f"the Go SDK {version} cannot be had",
            )
            Path(f"{program}.part").replace(program)
    return program


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _or_skip(command: list[str], cwd: Path, seconds: int, fault: str) -> None:
    """Runs a command that fetches what is published; a fault of our own code is a failure, not a skip."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{fault}: it took longer than {seconds} seconds")
    said = (done.stderr or done.stdout).strip()
    if done.returncode != 0:
        assert any(sign in said for sign in ("reading https://", "dial tcp", "npm error", "lookup ")), said
        pytest.skip(f"{fault}: {' '.join(said.splitlines()[-2:])}")


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
