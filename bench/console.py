"""How quick the web console is in a browser: `make bench-console`.

Chromium, headless, without a cache: the first contentful paint and the bytes of pages; and the table of a run with a
million rows: its first rows, a jump to its end, a sort and a filter. Writes `bench/results-console.md`. Needs Chromium,
Node.js and npm.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.load import MAPPING, write_accounts
from bench.machine import machine

from browsing import run_script
from console import add_user
from support import Server, result_when_over, serving, whohas

_SCRIPT: Final = Path(__file__).with_suffix(".mjs")
_PAGES: Final = {"start": "Start", "runs": "Runs", "run": "A run", "rows": "Its rows"}
"""The pages that the script measures, and their titles."""
_ACTS: Final = {
    "firstRows": "first rows of the table, from the navigation on",
    "jump": "jump to the tenth row from the end",
    "sort": "sort by a column of texts",
    "filter": "filter for a text in any column, one row is found",
}
_MOST_PAINT: Final = 300.0
_MOST_BYTES: Final = 120_000
_IDLE: Final = 0.5
"""Load average for each processor up to which a machine counts as idle."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of all tries.

    Attributes:
        tries: what the script printed at each try.
        load: the load average of a minute before each try.
    """

    tries: Sequence[dict[str, Any]]
    load: Sequence[float]

    def of_page(self, page: str, figure: str) -> list[float]:
        """A figure of a page at each try, from the lowest on."""
        return sorted(one[page][figure] for one in self.tries)

    def of_act(self, act: str) -> list[float]:
        """The milliseconds of an act at each try, from the lowest on."""
        return sorted(one[act] for one in self.tries)


def main() -> None:
    parser = argparse.ArgumentParser(description="How quick the web console is in a browser.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the run")
    parser.add_argument("--tries", type=int, default=7, help="how often everything is measured")
    parser.add_argument("--folder", type=Path, help="where to work; needs 400 bytes a row, and 50 a row and try")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="whohas-bench-") as name:
        folder = Path(name)
        file, mapping = folder / "accounts.csv", folder / "accounts.toml"
        write_accounts(file, options.rows)
        mapping.write_text(MAPPING.format(file=file))
        loaded = whohas(folder / "home", "load", mapping)
        assert loaded.returncode == 0, loaded.stderr
        with serving(folder / "home") as server:
            add_user(server, "ann", "ORG_ADMIN")
            found = figures(server, options.rows, options.tries)
    text = page(found, options.rows)
    (Path(__file__).parent / "results-console.md").write_text(text)
    print(text)


def figures(server: Server, rows: int, tries: int) -> Figures:
    """Measure everything some times, each time on a run of its own, whose sorted rows the server does not know yet."""
    taken: list[dict[str, Any]] = []
    load: list[float] = []
    for number in range(tries + 1):
        run = one_run(server)
        load.append(os.getloadavg()[0])
        word = f"user number {rows // 2 + number}"
        taken.append(json.loads(run_script(_SCRIPT, server.url, RUN=run, WORD=word)))
        print({name: round(taken[-1][name]) for name in _ACTS}, flush=True)
    # at the first try the server compiles templates and imports libraries
    return Figures(taken[1:], load[1:])


def one_run(server: Server) -> str:
    """Run ACCOUNTS, and return the id of the run."""
    with server.http("/v2025") as http:
        arguments = {"sourceName": "Active Directory", "selectedFormats": ["PARQUET"]}
        body = {"reportType": "ACCOUNTS", "arguments": arguments}
        id = http.post("/reports/run", json=body).raise_for_status().json()["id"]
        assert result_when_over(http, id, prefix="")["status"] == "SUCCESS"
        return id


def page(found: Figures, rows: int) -> str:
    """All of `bench/results-console.md`."""
    load = f"{min(found.load):.1f} to {max(found.load):.1f}"
    parts = [
        _INTRODUCTION.format(today=f"{datetime.now(UTC):%Y-%m-%d}", tries=len(found.tries), load=load),
        "\n".join(["| promised | seen | |", "| --- | ---: | --- |", *_judged(found)]),
        "## Pages\n\n"
        + "\n".join(
            [
                "| page | first paint | spread | answered | first paint, cached | sent | uncompressed |",
                "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
                *(_page_line(found, page, title) for page, title in _PAGES.items()),
            ]
        ),
        f"## A table of {rows:,} rows\n\n"
        + "\n".join(
            [
                "| act | median | spread |",
                "| --- | ---: | ---: |",
                *(
                    f"| {title} | {_ms(found.of_act(act))} | {_spread(found.of_act(act))} |"
                    for act, title in _ACTS.items()
                ),
            ]
        ),
        f"{machine(('duckdb', 'uvicorn', 'starlette', 'jinja2'))}; Chromium {found.tries[0]['version']}.",
    ]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION: Final = """# The web console

`make bench-console` on {today}: Chromium, headless, on the machine of the server, whose load average was {load}. Medians of
{tries} tries.

- **first paint** is the first contentful paint of a page in a browser with an empty cache, from the navigation on. It has the
  answer of the server in it, which is **answered**. **cached** is the same page a second time.
- **sent** are the bytes of the page with all that it loads, as they were sent, with headers; **uncompressed** are those of the
  contents alone.
- The table is that of a run of ACCOUNTS, from a Parquet file. Each try has a separate run, so that the server does not know its
  order yet. The times end with the frame in which the rows are there."""


def _judged(found: Figures) -> Iterator[str]:
    paint = max(statistics.median(found.of_page(page, "paint")) for page in _PAGES)
    is_idle = max(found.load) <= _IDLE * (os.cpu_count() or 1)
    verdict = "holds" if paint < _MOST_PAINT else "**does not hold**" if is_idle else "not judged: the machine was busy"
    yield f"| First paint of each page in less than {_MOST_PAINT:.0f} ms, on an idle machine | {paint:.0f} ms | {verdict} |"
    sent = max(found.of_page(page, "sent")[-1] for page in _PAGES)
    verdict = "holds" if sent < _MOST_BYTES else "**does not hold**"
    yield f"| First screen of each page in less than 120 kB | {sent / 1000:.0f} kB | {verdict} |"


def _page_line(found: Figures, page: str, title: str) -> str:
    paint, answered, again = (found.of_page(page, figure) for figure in ("paint", "answered", "again"))
    sent, whole = (statistics.median(found.of_page(page, figure)) / 1000 for figure in ("sent", "whole"))
    return f"| {title} | {_ms(paint)} | {_spread(paint)} | {_ms(answered)} | {_ms(again)} | {sent:.0f} kB | {whole:.0f} kB |"


def _ms(milliseconds: Sequence[float]) -> str:
    return f"{statistics.median(milliseconds):,.0f} ms"


def _spread(milliseconds: Sequence[float]) -> str:
    return f"{milliseconds[0]:,.0f} to {milliseconds[-1]:,.0f}"


if __name__ == "__main__":
    main()
