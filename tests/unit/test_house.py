"""Rules of the sources and of the tests: one target of make for each test, long modules, one module for each mechanism."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from markers import APART

ROOT = Path(__file__).parents[2]


def test_each_test_runs_in_one_target_of_make(pytestconfig: pytest.Config) -> None:
    targets = dict(re.findall(r"^([a-z-]+):(.*(?:\n\t.*)*)", (ROOT / "Makefile").read_text(), re.M))
    apart = re.findall(r"\bnot (\w+)", re.findall(r"^QUICK := (.*)", (ROOT / "Makefile").read_text(), re.M)[0])
    assert set(apart) == APART
    registered = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert registered >= APART
    running = {name: re.findall(r"-m (\w+)\b", recipe) for name, recipe in targets.items() if name != "properties"}
    by_marker = {marker: [name for name, markers in running.items() if marker in markers] for marker in apart}
    assert all(len(names) == 1 for names in by_marker.values()), by_marker
    assert '-m "$(QUICK)"' in targets["test"]
    every = targets["all-tests"].partition("#")[0].split()
    assert sorted(every) == sorted(["test", *(name for (name,) in by_marker.values())])


EVERY = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "client" / "src").rglob("*.py")])


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.name)
def test_long_modules_are_named_in_a_warning(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    if lines > 800:
        warnings.warn(f"{path.relative_to(ROOT)} has {lines} lines: does it hold one concept?", stacklevel=1)


SOURCES = {path.relative_to(ROOT / "src" / "whohas").as_posix(): path for path in (ROOT / "src").rglob("*.py")}


@pytest.mark.parametrize(
    ("what", "allowed"),
    [
        (r"pg_(try_)?advisory|pg_locks", {"db/locks.py"}),
        (r"\bfcntl\b", {"db/locks.py", "formats/streaming.py"}),  # the pipe sets its size by it
        # the audit log is appended to, and a file that is being made is brought to the disk while it is written
        (r"\bf(data)?sync\(", {"atomic.py", "audit/log_file.py", "execution/digest.py"}),
        (
            r"sa\.(select|insert|update|delete)\((tables\.)?run[,)]|\brun\.(insert|update|delete)\(",
            {"runs/repository.py"},
        ),
        (r"os\.O_EXCL|\bos\.(rename|replace)\b", {"atomic.py"}),
    ],
)
def test_locks_files_and_runs_have_one_module_each(what: str, allowed: set[str]) -> None:
    users = {name for name, path in SOURCES.items() if re.search(what, path.read_text())}
    assert users == allowed
