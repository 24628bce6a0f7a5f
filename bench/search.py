"""How fast SEARCH_EXPORT is, beside the same SQL written by hand: `python bench/search.py`.

Makes a warehouse of 1,000,000 identities, 3,000,000 accounts and 10,000,000 access rows and its search index, starts a
server, and runs each of twelve queries from POST to finished zip. Beside each, in the same run, a process with DuckDB
alone runs the same question as an auditor would write it in SQL, over the same Parquet files, into a CSV file. Both
take the best of a few rounds. Writes `bench/results-search.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2
import psutil

from search_data import make
from whohas.search.index import build_index
from whohas.warehouse.store import Warehouse

COLUMNS = "id,name,displayName,firstName,lastName,email,attributes.city,attributes.department,created"
CELLS = ", ".join(f'd."{name}"' for name in COLUMNS.split(","))

QUERIES: dict[str, tuple[str, str, str]] = {
    "Q1": ("attributes.city:London", "", "contains(d.\"attributes.city:words\", ' london ')"),
    "Q2": ("name:a*", "", "contains(d.\"name:words\", ' a')"),
    "Q3": (
        "attributes.state:active AND attributes.department:finance",
        "",
        "contains(d.\"attributes.state:words\", ' active ') AND contains(d.\"attributes.department:words\", ' finance ')",
    ),
    "Q4": (
        '@accounts(source.name.exact:"Active Directory" AND disabled:true)',
        "",
        'd.num IN (SELECT num FROM "identities.accounts" WHERE "source.name" = \'Active Directory\' AND disabled)',
    ),
    "Q5": (
        '@access(source.name:"SAP ECC" AND privileged:true AND type:ENTITLEMENT)',
        "",
        'd.num IN (SELECT num FROM "identities.access" WHERE item IN (SELECT item FROM "identities.access.items" '
        "WHERE contains(\"source.name:words\", ' sap ecc ') AND privileged AND contains(\"type:words\", ' entitlement ')))",
    ),
    "Q6": (
        'attributes.state:leaver AND @accounts(source.name:"Active Directory") AND NOT @access(type:ROLE)',
        "",
        'contains(d."attributes.state:words", \' leaver \') AND d.num IN (SELECT num FROM "identities.accounts" '
        'WHERE contains("source.name:words", \' active directory \')) AND d.num NOT IN (SELECT num FROM "identities.access" '
        'WHERE item IN (SELECT item FROM "identities.access.items" WHERE contains("type:words", \' role \')))',
    ),
    "Q7": (
        "created:[2024-01-01 TO 2024-12-31] AND accountCount:>4",
        "",
        "d.created >= TIMESTAMPTZ '2024-01-01 00:00:00Z' AND d.created < TIMESTAMPTZ '2025-01-01 00:00:00Z' "
        'AND d."accountCount" > 4',
    ),
    "Q8": (
        '"john smith" OR email:*partner*',
        "",
        "contains(d.\":words\", ' john smith ') OR contains(d.\"email:words\", 'partner')",
    ),
    "Q9": (
        "lastName:schmitd~1 AND NOT _exists_:phone",
        "",
        "regexp_matches(d.\"lastName:words\", ' (schmidt|schmitt) ') AND (d.phone IS NULL OR d.phone = '')",
    ),
    "Q10": ("*", "", "true"),
    "Q11": ("attributes.city:London", "access.spread", "contains(d.\"attributes.city:words\", ' london ')"),
    "Q12": ("john", "", "contains(d.\":words\", ' john ')"),
}
"""Query, what is spread, and the same condition by hand."""

ITEM = ", ".join(
    f'i."{name}"'
    for name in (
        "id", "type", "name", "displayName", "description", "source.name", "owner.displayName", "attribute", "value",
        "privileged", "standalone", "revocable", "disabled",
    )
)  # fmt: skip
SPREAD = (
    "SELECT {cells}, {item} FROM identities d "
    'LEFT JOIN "identities.access" h ON h.num = d.num LEFT JOIN "identities.access.items" i ON i.item = h.item '
    "WHERE {where} ORDER BY d.num, i.item"
)
PLAIN = "SELECT {cells} FROM identities d WHERE {where} ORDER BY d.num"

BY_HAND = """
import json, sys, time
import duckdb
connection = duckdb.connect(config={"memory_limit": "1GB", "threads": 2, "temp_directory": sys.argv[1] + "/spill"})
connection.execute("SET TimeZone = 'UTC'")
connection.execute("SET enable_progress_bar = false")
for name, path in json.loads(sys.argv[2]).items():
    connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet(\\'{path}\\')')
for line in sys.stdin:
    started = time.monotonic()
    rows = connection.execute(f"COPY ({line}) TO '{sys.argv[1]}/rows.csv' (FORMAT csv, HEADER)").fetchone()[0]
    print(json.dumps({"seconds": time.monotonic() - started, "rows": rows}), flush=True)
"""


class ByHand:
    """DuckDB alone, in a process of its own."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-c", BY_HAND, str(folder), json.dumps(files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, sql: str) -> tuple[float, int]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(sql.replace("\n", " ") + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        return found["seconds"], found["rows"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def served(home: Path) -> Iterator[tuple[httpx2.Client, subprocess.Popen[str]]]:
    environment = {
        **os.environ,
        "WHOHAS_HOME": str(home),
        "WHOHAS_CONCURRENT_REPORTS": "SEARCH_EXPORT",
        "WHOHAS_RATE_LIMIT": "0",
    }
    command = [sys.executable, "-m", "whohas", "serve", "--dev", "--port", "0"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    server.stdout.readline()
    told = dict(
        line.removeprefix("export ").strip().split("=", 1) for line in (home / "dev.env").read_text().splitlines()
    )
    client = httpx2.Client(base_url=told["SAIL_BASE_URL"], timeout=600)
    credentials = {
        "grant_type": "client_credentials",
        "client_id": told["SAIL_CLIENT_ID"],
        "client_secret": told["SAIL_CLIENT_SECRET"],
    }
    token = client.post("/oauth/token", data=credentials).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    try:
        yield client, server
    finally:
        client.close()
        server.terminate()
        server.wait()


def export(client: httpx2.Client, arguments: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Seconds from POST to the finished file, and the result."""
    started = time.monotonic()
    run = client.post("/v2025/reports/run", json={"reportType": "SEARCH_EXPORT", "arguments": arguments})
    run.raise_for_status()
    while True:
        result = client.get(f"/v2025/reports/{run.json()['id']}/result").json()
        if result.get("status"):
            return time.monotonic() - started, result
        time.sleep(0.005)


def peak_while(server: subprocess.Popen[str], work: Any) -> tuple[Any, int]:
    """What `work` returns, and the most memory that a child of the server had meanwhile, in bytes."""
    import threading

    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        parent = psutil.Process(server.pid)
        while not over.wait(0.02):
            for child in parent.children(recursive=True):
                try:
                    peak = max(peak, child.memory_info().rss)
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), peak
    finally:
        over.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--identities", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--home", type=Path, help="a home folder that this made before, to use again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = given.home or Path(temporary)
        warehouse = Warehouse(home / "warehouse")
        made = 0.0
        if warehouse.snapshot().number == 0:
            make(warehouse, given.identities)
        started = time.monotonic()
        build_index(warehouse, warehouse.snapshot())
        made = time.monotonic() - started
        folder = next((home / "warehouse" / "search").glob("*/index.json")).parent
        names = ("identities", "identities.accounts", "identities.access", "identities.access.items")
        files = {name: str(folder / f"{name}.parquet") for name in names}
        lines = measure(home, files, given.rounds, Path(temporary) / "hand")
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Linux"
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "sqlglot", "isal"))
    page = Path(__file__).with_name("results-search.md")
    index = f"The index was made in {made:.0f} s.\n\n" if made > 1 else ""
    page.write_text("\n".join(lines) + f"\n\n{index}{machine}; Python {platform.python_version()}, {versions}.\n")
    print(page.read_text())


def measure(home: Path, files: dict[str, str], rounds: int, scratch: Path) -> list[str]:
    lines = [
        f"# SEARCH_EXPORT: {given_rows(files)}",
        "",
        "`python bench/search.py`: seconds from POST to the finished zip, and seconds of the same SQL by hand to a CSV "
        f"file, each the median of {rounds} rounds, turn by turn in one run. The fixed cost is that of a run which finds nothing.",
        "",
        "| | query | rows | by hand, s | whohas, s | less the fixed cost | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    hand = ByHand(scratch, files)
    with served(home) as (client, server):
        nothing = {"query": "NOT *", "indices": ["identities"], "columns": COLUMNS}
        export(client, nothing)
        fixed = statistics.median(export(client, nothing)[0] for _ in range(2 * rounds))
        for name, (query, spread, where) in QUERIES.items():
            cells = CELLS
            arguments = {"query": query, "indices": ["identities"], "columns": COLUMNS}
            sql = PLAIN
            if spread:
                arguments["columns"] += f",{spread}"
                sql = SPREAD
            sql = sql.format(cells=cells, where=where, item=ITEM)
            ours, theirs, result, rows = [], [], {}, 0
            for _ in range(rounds + 1):
                seconds, rows = hand.run(sql)
                theirs.append(seconds)
                seconds, result = export(client, arguments)
                ours.append(seconds)
            if result.get("rows") != rows:
                raise SystemExit(f"{name} gave {result.get('rows')} rows, by hand {rows}: {result}")
            mine, by_hand = statistics.median(ours[1:]), statistics.median(theirs[1:])
            ratio = (mine - fixed) / by_hand
            shown = f"`{query}`" + (f", {spread}" if spread else "")
            lines.append(
                f"| {name} | {shown} | {rows:,} | {by_hand:.3f} | {mine:.3f} | {mine - fixed:.3f} | {ratio:.2f} |"
            )
            print(lines[-1], flush=True)
        everything = {"query": "*", "indices": ["identities"], "columns": f"{COLUMNS},access.spread"}
        (seconds, result), peak = peak_while(server, lambda: export(client, everything))
        if result["status"] != "SUCCESS":
            raise SystemExit(f"`*` with access.spread ended as {result['status']}: {result}")
        lines += [
            "",
            f"The fixed cost of a run: {fixed:.3f} s.",
            "",
            f"`*` with `access.spread`: {result['rows']:,} rows in {seconds:.1f} s, the child's peak {peak / 1e6:,.0f} MB.",
        ]
    hand.close()
    return lines


def given_rows(files: dict[str, str]) -> str:
    import pyarrow.parquet as pq

    counts = {name: pq.ParquetFile(path).metadata.num_rows for name, path in files.items()}
    return (
        f"{counts['identities']:,} identities, {counts['identities.accounts']:,} accounts, "
        f"{counts['identities.access']:,} access rows"
    )


if __name__ == "__main__":
    main()
