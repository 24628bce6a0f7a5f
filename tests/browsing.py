"""Chromium, headless, for tests and for the benchmark of the console: scripts for Node that drive it with Playwright."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = _ROOT / "tests" / "browser" / "package.json"
_MODULES = _ROOT / ".cache" / "browser"
PICTURES = _ROOT / ".cache" / "pictures"
"""Where the pictures of pages are left, for people to look at."""
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
_ACT = "act: "
"""How a line begins by which a script asks for an act; it waits for an empty line."""


def run_script(script: Path, url: str, acts: Mapping[str, Callable[[], object]] | None = None, **variables: str) -> str:
    """Run a script for Node to its end, and return what it prints; it fails with what the script says.

    Args:
        script: the script, which imports `browser/browser.mjs`.
        url: the address of the server.
        acts: what the script may ask for by its function `act`, such as the end of the server.
        variables: what its environment has beyond that.
    """
    node = shutil.which("node")
    if not CHROMIUM or node is None:
        pytest.skip(f"{'Node.js' if CHROMIUM else 'Chromium'} is not installed")
    told = {
        "MODULES": str(_modules()),
        "PICTURES": str(PICTURES),
        "CHROMIUM": CHROMIUM,
        "URL": url,
        "PATIENCE": str(PATIENCE_SECONDS),
        **variables,
    }
    printed: list[str] = []
    with tempfile.TemporaryFile("w+") as errors:
        command = [node, str(script)]
        environment = {**os.environ, **told}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            for line in process.stdout:
                name = line.rstrip("\n").removeprefix(_ACT)
                if name == line.rstrip("\n"):
                    printed.append(line)
                    continue
                try:
                    (acts or {})[name]()
                except BaseException:
                    process.kill()
                    raise
                process.stdin.write("\n")
        errors.seek(0)
        assert process.returncode == 0, errors.read()[-4000:]
    return "".join(printed)


def _modules() -> Path:
    """The folder with the packages of `browser/package.json`, installed when they are not there or others."""
    npm = shutil.which("npm")
    copy = _MODULES / "package.json"
    _MODULES.mkdir(parents=True, exist_ok=True)
    with (_MODULES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not copy.is_file() or copy.read_bytes() != _PACKAGE.read_bytes():
            if npm is None:
                pytest.skip("npm is not installed; it fetches Playwright and axe")
            install = [npm, "install", "--no-fund", "--no-audit", "--no-save", "--prefix", str(_MODULES)]
            # the copy is there before the packages, because npm reads it, and stays only with them
            shutil.copyfile(_PACKAGE, copy)
            done = subprocess.run(install, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
            if done.returncode:
                copy.unlink()
                pytest.skip(f"Playwright and axe cannot be fetched: {done.stderr[-300:]}")
    return _MODULES
