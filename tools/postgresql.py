"""Find the programs of PostgreSQL, whatever its version. `.ci/run`, tests and benchmarks use it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin", "usr/local/pgsql/bin")
"""Where Debian, Red Hat, Homebrew and a build from source put the programs, which are not always on the path."""


def programs(root: Path = Path("/")) -> Path | None:
    """Return the folder with `initdb` and `postgres`: that of the path, of `pg_config`, or of the newest version."""
    return next((folder for folder in _folders(root) if all((folder / name).exists() for name in _NEEDED)), None)


_NEEDED = ("initdb", "postgres")


def _folders(root: Path) -> Iterator[Path]:
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    if config := shutil.which("pg_config"):
        yield Path(subprocess.run([config, "--bindir"], check=False, capture_output=True, text=True).stdout.strip())
    for pattern in _PLACES:
        yield from sorted(root.glob(pattern), key=_version, reverse=True)


def _version(folder: Path) -> tuple[int, ...]:
    """Return the version in a path as numbers: 9.6 comes before 10, a path without a version before both."""
    return tuple(int(number) for number in re.findall(r"\d+", str(folder)))


if __name__ == "__main__":
    if (folder := programs()) is None:
        sys.exit("PostgreSQL is not installed: no folder with initdb and postgres (Debian: apt-get install postgresql)")
    print(folder)
