"""How fast `whohas load` reads accounts from CSV, and in how much memory: `make bench-load`.

Makes a CSV file of 14 columns for each size, loads each in a fresh process, and beside it lets DuckDB alone copy
the same file to Parquet, all columns as text: the least that any loader has to do. Writes `bench/results-load.md`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import machine

HEADER = (
    "dn,login,displayName,mail,employeeNumber,disabled,locked,privileged,created,modified,"
    "department,city,memberOf,description\n"
)
MAPPING = """
[source]
name = "Active Directory"
[accounts]
file = "{file}"
attributes = "*"
[accounts.columns]
nativeIdentity = "dn"
name = "login"
disabled = "disabled"
locked = "locked"
privileged = "privileged"
created = "created"
modified = "modified"
[accounts.lists]
"memberOf" = ";"
"""
LOAD = """
import json, resource, sys, time
from pathlib import Path
from whohas.ingest import load
from whohas.warehouse.store import Warehouse
started = time.monotonic()
report = load(Warehouse(Path(sys.argv[1])), [Path(sys.argv[2])])
seconds = time.monotonic() - started
assert report.rejected == 0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"rows": report.files[0].read, "seconds": seconds, "peak": peak}))
"""
COPY = """
import json, resource, sys, time
import duckdb
connection = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": sys.argv[1] + "-spill"})
connection.execute("SET enable_progress_bar = false")
started = time.monotonic()
rows = connection.execute(
    f"COPY (FROM read_csv('{sys.argv[2]}', all_varchar = true)) TO '{sys.argv[1]}' (FORMAT parquet, COMPRESSION zstd)"
).fetchone()[0]
seconds = time.monotonic() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"rows": rows, "seconds": seconds, "peak": peak}))
"""


def write_accounts(path: Path, count: int) -> None:
    """A CSV file of accounts as a directory exports them, in flat memory."""
    with path.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        for start in range(0, count, 10_000):
            out.write("".join(map(_account, range(start, min(start + 10_000, count)))))


def _account(i: int) -> str:
    note = '"a, ""quoted"" note"' if i % 1000 == 0 else ""
    return (
        f'"CN=User {i},OU=Staff,OU=Unit{i % 97},DC=example,DC=com",user{i},User Number {i},user{i}@example.com,E{i:07},'
        f"{'true' if i % 50 == 0 else 'false'},false,{'yes' if i % 200 == 0 else 'no'},"
        f"20{15 + i % 10}-{1 + i % 12:02}-{1 + i % 28:02}T00:00:00Z,"
        f"2025-{1 + i % 12:02}-{1 + i % 28:02}T{i % 24:02}:00:00Z,"
        f"Department {i % 40},City {i % 60},grp{i % 11};grp{i % 13};grp{i % 17},{note}\n"
    )


def run(script: str, *arguments: Path) -> dict[str, float]:
    """What a fresh process measured."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000_000, 10_000_000], help="sizes of the files")
    parser.add_argument("--folder", type=Path, help="where to work; needs 600 bytes an account")
    options = parser.parse_args()
    lines = [
        "| accounts | file | by | seconds | rows a second | peak memory |",
        "| ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    peaks: list[float] = []
    for count in options.accounts:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="whohas-bench-") as name:
            folder = Path(name)
            file, mapping = folder / "accounts.csv", folder / "accounts.toml"
            write_accounts(file, count)
            mapping.write_text(MAPPING.format(file=file))
            ours = run(LOAD, folder / "home" / "warehouse", mapping)
            peer = run(COPY, folder / "copy.parquet", file)
            peaks.append(ours["peak"])
            for by, figures in (("whohas load", ours), ("DuckDB alone, COPY to Parquet", peer)):
                assert figures["rows"] == count
                lines.append(
                    f"| {count:,} | {file.stat().st_size / 1e6:,.0f} MB | {by} | {figures['seconds']:.1f} "
                    f"| {count / figures['seconds']:,.0f} | {figures['peak'] / 1e6:,.0f} MB |"
                )
                print(lines[-1], flush=True)
    ratio = f"The last load's peak is {peaks[-1] / peaks[0]:.2f} times the first one's.\n" if len(peaks) > 1 else ""
    measured_on = machine(("duckdb", "pyarrow", "deltalake", "numpy"))
    text = (
        "# Loading accounts from CSV\n\n14 columns, each an attribute too, one of them a list; a fresh process each. "
        f"`make bench-load` on {datetime.now(UTC):%Y-%m-%d}.\n\n" + "\n".join(lines) + f"\n\n{ratio}\n{measured_on}.\n"
    )
    (Path(__file__).parent / "results-load.md").write_text(text)
    print(f"\n{ratio}{measured_on}")


if __name__ == "__main__":
    main()
