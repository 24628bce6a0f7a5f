"""What a figure belongs to: the machine, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine(distributions: Iterable[str]) -> str:
    """Cores, processor, system, Python and the versions of distributions, in one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in distributions)
    return f"{os.cpu_count()} cores, {processor()}, {platform.system()}; Python {platform.python_version()}, {versions}"
