"""How much of a run its summary takes: `make bench-summary` (ARGS="--accounts 100000" for less).

Accounts of a directory are loaded, a fourth as many people of HR with them. Then a server makes a PDF, a PDF with all
columns, and an XLSX file of the reports that have most rows. A run says how long each of its phases took, in wall time:
phases follow one another, so their share of the whole does not depend on what else the machine does. Writes
`bench/results-summary.md`.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import load, ours, scale
from bench.machine import machine

PHASE: Final = "Summarizing"
MOST: Final = 0.05
"""The largest share of a run that its summary may take."""
_PAGE: Final = Path(__file__).with_name("results-summary.md")
_REPORTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ACCOUNTS": {"sourceName": "Active Directory"},
    "UNCORRELATED_ACCOUNTS": {},
    "IDENTITIES_DETAILS": {},
}
_FILES: Final[Mapping[str, Mapping[str, Any]]] = {
    "PDF": {"selectedFormats": ["PDF"]},
    "PDF, `detail=complete`": {"selectedFormats": ["PDF"], "detail": "complete"},
    "XLSX": {"selectedFormats": ["XLSX"]},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--dry", action="store_true", help="write no page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measure(Path(folder), options.accounts)
    if not options.dry:
        _PAGE.write_text(page(options.accounts, rows))


def measure(folder: Path, accounts: int) -> list[tuple[str, str, int, float, float]]:
    """Return for each file its report, its kind, its rows, and the seconds of the run and of its summary."""
    data, home = folder / "data", folder / "home"
    data.mkdir()
    load.write_accounts(data / "directory.csv", accounts)
    scale.write_people(data / "hr.csv", max(1, accounts // 4))
    (data / "directory.toml").write_text(scale.DIRECTORY.format(file="directory.csv"))
    (data / "hr.toml").write_text(scale.HR.format(file="hr.csv"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHOHAS_")}
    command = [sys.executable, "-m", "whohas", "load", "--quiet", str(data)]
    subprocess.run(command, env=environment | {"WHOHAS_HOME": str(home)}, check=True)
    found: list[tuple[str, str, int, float, float]] = []
    with ours.serving(Path(sys.executable), home) as server:
        server.run("ACCOUNTS", {"sourceName": "HR", "selectedFormats": ["PDF", "XLSX"]})  # loads libraries
        for report, arguments in _REPORTS.items():
            for kind, files in _FILES.items():
                before = _phases(home)
                _, finished = server.run(report, {**arguments, **files})
                took = {name: seconds - before.get(name, 0.0) for name, seconds in _phases(home).items()}
                found.append((report, kind, finished.rows, sum(took.values()), took[PHASE]))
                print(_line(*found[-1]), flush=True)
    return found


def _phases(home: Path) -> dict[str, float]:
    """Return the seconds of each phase of all runs so far."""
    with closing(sqlite3.connect(home / "whohas.db")) as database:
        return dict(database.execute("SELECT phase, sum(seconds) FROM phase_total GROUP BY phase"))


def _line(report: str, kind: str, rows: int, seconds: float, own: float) -> str:
    return f"| {report} | {kind} | {rows:,} | {seconds:.2f} s | {own:.2f} s | {own / seconds:.1%} |"


def page(accounts: int, rows: list[tuple[str, str, int, float, float]]) -> str:
    """Return the page of the results."""
    largest = max(own / seconds for _, _, _, seconds, own in rows)
    lines = "\n".join(_line(*row) for row in rows)
    return f"""# Summaries

`make bench-summary` on {datetime.now(UTC):%Y-%m-%d}: {accounts:,} accounts, {max(1, accounts // 4):,} people. {machine(("duckdb", "pyarrow"))}.

The time of a run is the sum of its phases in its child process: extracting the rows, summarizing them, writing the file.

A summary may take at most {MOST:.0%} of a run that makes a PDF or XLSX; the largest share is {largest:.1%}: {"holds" if largest <= MOST else "**does not hold**"}.

| report | file | rows | run | summary | share |
| --- | --- | ---: | ---: | ---: | ---: |
{lines}
"""


if __name__ == "__main__":
    main()
