"""How fast whohas makes files, beside others on the same rows in the same run: `make bench`.

    python -m bench.files                          the sizes, formats and peers of bench/results.md
    python -m bench.files --rows 1000 --rows 100000 --formats csv pdf --rounds 5 --peers none
    python -m bench.files --smoke                  a tiny size: does everything run, and do the rows agree?

Two comparisons for each size:

- `ACCOUNTS`: the accounts are loaded by whohas's own intake, and a real server makes the report of them, from POST to
  SUCCESS. Its peers write the very cells of that report: they read the Parquet file that a run of it made, in which
  several values of a cell are one text already, as they are in its CSV. So they neither join nor look into attributes;
  but DuckDB with the report's own statement does.
- `14 columns`: PDF and XLSX of fourteen columns of ordinary text. whohas is the child process that makes the files of
  runs, with the rows as a run keeps them, from its work to its last word: to the peers too, only the writing counts.

Writes `bench/results.md` and `docs/bench-*.svg`, unless told `--smoke` or `--dry`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import data, ours, peers
from bench.peer_servers import build_jasper
from bench.plot import plots
from bench.results import page
from bench.rounds import Sample, Series, Way, take_turns

ROOT: Final = Path(__file__).resolve().parents[1]
FORMATS: Final = ("csv", "json", "ndjson", "parquet", "pdf", "xlsx")
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
LARGE: Final = 1_000_000
"""Beyond it only the formats and the peers whose memory or speed is promised there: `_LARGE_FORMATS`."""
_LARGE_FORMATS: Final = ("csv", "pdf")
_VARIANTS: Final = {
    "whohas, disarmed": ("csv", {"csvDisarm": True}),
    "whohas, gzip": ("csv.gz", {}),
    "whohas, Zstandard": ("csv.zst", {}),
}
"""Further ways of ours to a CSV file, taken in turn with the plain one: their format, and what a run is told."""
_SMOKE: Final = 300
_COUNTED: Final = 20_000
"""The pages of a PDF of more rows are not read again to count them."""
_MAPPING: Final = """
[source]
name = "Directory"
authoritative = {authoritative}
[accounts]
file = "{file}"
attributes = ["displayName", "firstName", "lastName", "email", "department", "title", "manager", "enabled", "entitlementCount"]
[accounts.columns]
nativeIdentity = "nativeIdentity"
name = "accountName"
locked = "locked"
created = "created"
"""


class Disagreement(Exception):
    """A file has not the rows that it should have."""


def main() -> None:
    options = _options()
    started = time.monotonic()
    if options.peers == "all" and not options.smoke:
        build_jasper()
    missing = [peer.name for peer in peers.PEERS if peer.version() is None]
    if missing:
        print(f"Not installed, so not measured: {', '.join(missing)}.", flush=True)
    series: list[Series] = []
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="whohas-bench-") as name:
        for rows in options.rows:
            folder = Path(name, str(rows))
            folder.mkdir()
            series += _Size(folder, rows, options).measured()
            shutil.rmtree(folder)
    text = page(series, missing if options.peers == "all" else [], time.monotonic() - started)
    print(f"\n{text}")
    if not options.smoke and not options.dry:
        (ROOT / "bench" / "results.md").write_text(text)
        for path, svg in plots(series):
            (ROOT / "docs" / path).write_text(svg)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="a size; may be given several times")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), metavar="FORMAT")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", choices=("none", "all"), default="all")
    parser.add_argument("--identities", action="store_true", help="each account has an identity, which ACCOUNTS joins")
    parser.add_argument("--smoke", action="store_true", help=f"{_SMOKE} rows, one round, every file is counted")
    parser.add_argument("--dry", action="store_true", help="write no results")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of the environment that has whohas")
    parser.add_argument("--folder", type=Path, help="where to work; needs 1.5 kB a row of the largest size")
    options = parser.parse_args()
    if options.smoke:
        options.rows, options.rounds = [_SMOKE], 1
    options.rows = sorted(set(options.rows or SIZES))
    return options


class _Size:
    """One size, in a folder of its own."""

    def __init__(self, folder: Path, rows: int, options: argparse.Namespace) -> None:
        self._folder = folder
        self._rows = rows
        self._options = options
        self._formats = [one for one in options.formats if rows <= LARGE or one in _LARGE_FORMATS]
        self._plain = folder / "plain.parquet"
        self._flat = folder / "flat.parquet"
        self._statement = folder / "statement.json"
        self._counted: set[str] = set()

    def measured(self) -> list[Series]:
        _say(f"{self._rows:,} rows are made")
        data.make(self._plain, self._rows)
        printed = [one for one in self._formats if one in ("pdf", "xlsx")]
        reported = [one for one in self._formats if self._rows <= LARGE or one == "csv"]
        return [*self._printed(printed), *self._reported(reported)]

    def _printed(self, formats: Sequence[str]) -> list[Series]:
        if not formats:
            return []
        extract = self._folder / "extract.parquet"
        ours.extract_of(self._plain, extract)
        series: list[Series] = []
        for format in formats:
            ways = [Way("whohas", partial(self._written, extract, format)), *self._peers(format, self._plain)]
            series += take_turns("14 columns", format, self._rows, ways, self._options.rounds, _say)
        extract.unlink()
        return series

    def _reported(self, formats: Sequence[str]) -> list[Series]:
        if not formats:
            return []
        home = self._folder / "home"
        home.mkdir()
        rows, mapping = self._folder / "accounts.csv", self._folder / "accounts.toml"
        data.write_csv(self._plain, rows)
        authoritative = str(self._options.identities).lower()
        mapping.write_text(_MAPPING.format(file=rows, authoritative=authoritative))
        _say(f"{self._rows:,} accounts loaded in {ours.load(self._options.python, home, mapping):.1f} s")
        rows.unlink()
        series: list[Series] = []
        with ours.serving(self._options.python, home) as server:
            self._flatten(server)
            ours.bare_copy(home, "Directory", self._statement)
            for format in formats:
                printed = format in ("pdf", "xlsx")
                # beside peers, and with earlier results: every column under its technical name
                ways = [Way("whohas", partial(self._run, server, format, {"detail": "complete"} if printed else {}))]
                if printed:
                    ways.append(Way("whohas, readable", partial(self._run, server, format, {})))
                else:
                    ways += self._peers(format, self._flat)
                if format == "csv" and self._rows <= LARGE:
                    ways += [Way(by, partial(self._run, server, *variant)) for by, variant in _VARIANTS.items()]
                series += take_turns("ACCOUNTS", format, self._rows, ways, self._options.rounds, _say)
        return series

    def _flatten(self, server: ours.Server) -> None:
        """The very cells of the report, for the peers."""
        run, _ = server.run("ACCOUNTS", {"sourceName": "Directory", "selectedFormats": ["PARQUET"]})
        target = self._folder / "report.parquet"
        server.take(run, "parquet", target)
        data.flatten(target, self._flat)
        target.unlink()
        self._forget(run)

    def _run(self, server: ours.Server, format: str, more: Mapping[str, Any]) -> Sample:
        """One run over HTTP, and its file."""
        arguments = {"sourceName": "Directory", "selectedFormats": [format.upper()], **more}
        run, made = server.run("ACCOUNTS", arguments)
        target = self._folder / f"whohas.{format}"
        server.take(run, format, target)
        self._check(f"ACCOUNTS {format} {more}", made.rows, target, format)
        size = target.stat().st_size
        target.unlink()
        self._forget(run)
        return Sample(made.seconds, made.peak_mib, size, made.own)

    def _written(self, extract: Path, format: str) -> Sample:
        target = self._folder / f"written.{format}"
        made = ours.write(self._options.python, extract, self._rows, format, target)
        self._check(f"14 columns {format}", made.rows, target, format)
        size = target.stat().st_size
        target.unlink()
        return Sample(made.seconds, made.peak_mib, size, made.own)

    def _peers(self, format: str, source: Path) -> list[Way]:
        if self._options.peers == "none":
            return []
        there = [peer for peer in peers.PEERS if peer.format == format and peer.version() is not None]
        own = peers.SAME_STATEMENT.values()
        return [
            Way(peer.name, partial(self._peer, peer, self._statement if peer.name in own else source))
            for peer in there
            if self._rows <= peer.most
        ]

    def _peer(self, peer: peers.Peer, source: Path) -> Sample:
        target = self._folder / f"peer.{peer.format}"
        figures = peers.measure(peer, source, target, counted=peer.name not in self._counted)
        self._counted.add(peer.name)
        target.unlink()
        if figures.rows not in (None, self._rows):
            raise Disagreement(f"{peer.name} wrote {figures.rows:,} rows of {self._rows:,}")
        return Sample(figures.seconds, figures.peak_mib, figures.file_bytes)

    def _check(self, kind: str, told: int, path: Path, format: str) -> None:
        """That the file has the rows that it should have, by what is in it, the first time."""
        found: int | None = told
        if told == self._rows and kind not in self._counted and (format != "pdf" or told <= _COUNTED):
            self._counted.add(kind)
            found = peers.count(path, format)
        if found not in (None, self._rows):
            raise Disagreement(f"whohas, {kind}: {found:,} rows of {self._rows:,}")

    def _forget(self, run: str) -> None:
        """Frees the disk of a run's files; the benchmark makes many."""
        shutil.rmtree(self._folder / "home" / "artefacts" / run)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) < 2:
        print("One core alone: engines that use several are shown slower than they are.", flush=True)
    main()
