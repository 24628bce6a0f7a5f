"""What others need for the same files: libraries, databases and report servers that write the rows of `bench.data`.

    python -m bench.peers                             which are installed
    python -m bench.peers NAME SOURCE TARGET          one of them: a Parquet file in, the peer's file out

Each runs in a process of its own, and prints one line of JSON: seconds, the rows that the finished file has, the peak
of its memory in MiB and the file's size. A peer that is not installed is `{"missing": NAME}`.

The time is from rows in a Parquet file to the finished file. What a user pays once and not per report does not count:
the start of Python or Java, imports, compiling a report, filling the database of a peer that is one. Where a peer
cannot read Parquet, its data are made ready in the form that it reads, and that does not count either.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from ctypes.util import find_library
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from bench import peer_prints as prints
from bench import peer_servers as servers
from bench import peer_tables as tables
from bench.data import UNIQUE
from bench.peer_servers import Measured

_ROOT: Final = Path(__file__).resolve().parents[1]
_BLOCK: Final = 1 << 20
_INSIDE: Final = "--inside"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another way to the same file.

    Attributes:
        most: the most rows that it is given.
        run: from what `prepare` gives to the file; what it measures of itself stands for what its caller measures.
        version: None when it is not installed.
        modules: imported before the clock runs.
        prepare: makes of the Parquet file what `run` reads, outside the clock.
    """

    name: str
    format: str
    most: int
    run: Callable[[Path, Path], Measured | None]
    version: Callable[[], str | None]
    modules: tuple[str, ...] = ()
    prepare: Callable[[Path], AbstractContextManager[Path]] = nullcontext


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run of a peer took, and what it made; `rows` is None where they cannot be counted here."""

    seconds: float
    rows: int | None
    peak_mib: float
    file_bytes: int


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _weasyprint_version() -> str | None:
    return _version("weasyprint") if find_library("pango-1.0") and find_library("pangoft2-1.0") else None


def _python(
    name: str, format: str, most: int, run: Callable[[Path, Path], None], distribution: str, *modules: str
) -> Peer:
    return Peer(name, format, most, run, partial(_version, distribution), modules)


def _jasper(format: str, most: int) -> Peer:
    name = f"JasperReports {format.upper()}"
    return Peer(name, format, most, servers.jasper(format), servers.jasper_version, prepare=servers.jasper_csv)


_ARROW = ("pyarrow.parquet", "pyarrow.compute", "pyarrow.dataset")
SAME_STATEMENT: Final = {
    "csv": "DuckDB COPY, the report's statement",
    "parquet": "DuckDB COPY to Parquet, the report's statement",
    "ndjson": "DuckDB COPY to JSON, the report's statement",
}
"""They read what the report reads, the warehouse, and not the report's cells."""
FINISHED_CELLS: Final = {"parquet": "DuckDB COPY to Parquet", "ndjson": "DuckDB COPY to JSON"}
"""They copy the report's cells, joined and laid out before."""


def _same_statement(format: str) -> Peer:
    return _python(
        SAME_STATEMENT[format], format, 10_000_000, partial(tables.duckdb_statement, format), "duckdb", "duckdb"
    )


PEERS: Final = (
    _python("DuckDB COPY", "csv", 10_000_000, tables.duckdb_csv, "duckdb", "duckdb"),
    _python("DuckDB COPY, any order", "csv", 10_000_000, tables.duckdb_csv_any_order, "duckdb", "duckdb"),
    _same_statement("csv"),
    _python("Polars sink_csv", "csv", 10_000_000, tables.polars_csv, "polars", "polars"),
    _python("pyarrow write_csv", "csv", 10_000_000, tables.pyarrow_csv, "pyarrow", "pyarrow.csv", *_ARROW),
    _python("pandas to_csv", "csv", 1_000_000, tables.pandas_csv, "pandas", "pandas", *_ARROW),
    Peer("Python csv", "csv", 1_000_000, tables.python_csv, lambda: sys.version.split()[0], _ARROW),
    Peer(
        "PostgreSQL copy", "csv", 1_000_000, servers.postgres_copy, servers.postgres_version,
        prepare=servers.postgres_loaded,
    ),
    Peer(
        "Datasette stream", "csv", 100_000, servers.datasette_stream, partial(_version, "datasette"),
        prepare=servers.datasette_serving,
    ),
    _jasper("csv", 100_000),
    _python("ReportLab LongTable", "pdf", 10_000, prints.reportlab_longtable, "reportlab", "reportlab.platypus", *_ARROW),
    _python("ReportLab canvas", "pdf", 100_000, prints.reportlab_canvas, "reportlab", "reportlab.pdfgen.canvas", *_ARROW),
    _python("Typst", "pdf", 10_000, prints.typst, "typst", "typst", *_ARROW),
    Peer("WeasyPrint", "pdf", 1_000, prints.weasyprint, _weasyprint_version, ("weasyprint", *_ARROW)),
    _jasper("pdf", 1_000_000),
    _python("XlsxWriter constant_memory", "xlsx", 100_000, tables.xlsxwriter, "xlsxwriter", "xlsxwriter", *_ARROW),
    _python("openpyxl write_only", "xlsx", 100_000, tables.openpyxl, "openpyxl", "openpyxl", *_ARROW),
    _jasper("xlsx", 100_000),
    _same_statement("parquet"),
    _python(FINISHED_CELLS["parquet"], "parquet", 10_000_000, tables.duckdb_parquet, "duckdb", "duckdb"),
    _same_statement("ndjson"),
    _python(FINISHED_CELLS["ndjson"], "ndjson", 10_000_000, tables.duckdb_json, "duckdb", "duckdb"),
)  # fmt: skip


def peer(name: str) -> Peer:
    """The peer of that name."""
    found = [peer for peer in PEERS if peer.name == name]
    if not found:
        raise LookupError(f"There is no peer {name!r}; there are: {', '.join(peer.name for peer in PEERS)}")
    return found[0]


def measure(peer: Peer, source: Path, target: Path, counted: bool = True) -> Figures:
    """Run a peer in a process of its own and, if asked to, count what it made. The target is overwritten."""
    target = target.resolve()
    target.unlink(missing_ok=True)
    with peer.prepare(source.resolve()) as given:
        command = [sys.executable, "-m", "bench.peers", _INSIDE, peer.name, str(given), str(target)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer.name} failed: {done.stderr.strip()[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    rows = count(target, peer.format) if counted else None
    return Figures(round(measured["seconds"], 3), rows, round(measured["peak_mib"], 1), target.stat().st_size)


def _inside(peer: Peer, given: Path, target: Path) -> Measured:
    for module in peer.modules:
        importlib.import_module(module)
    if set(_ARROW) & set(peer.modules):
        with suppress(ImportError):  # Arrow imports it with the first values that it makes, where it is installed
            importlib.import_module("pandas")
    started = time.perf_counter()
    own = peer.run(given, target)
    seconds = time.perf_counter() - started
    peak = servers.high_water() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(seconds=seconds, peak_mib=peak) | (own or Measured())


def count(path: Path, format: str) -> int | None:
    """How many different rows a file has, by what is in it; of a PDF None without pdftotext."""
    match format:
        case "xlsx":
            with zipfile.ZipFile(path) as book:
                texts = [name for name in book.namelist() if name.startswith(("xl/worksheets/", "xl/sharedStrings"))]
                return sum(_occurrences(book.open(name), b">CN=") for name in texts)
        case "pdf":
            if shutil.which("pdftotext") is None:
                return None
            with subprocess.Popen(["pdftotext", "-raw", path, "-"], stdout=subprocess.PIPE) as reader:
                assert reader.stdout
                return _occurrences(reader.stdout, b"CN=")
        case _:
            import duckdb

            read = {
                "csv": "read_csv('{}', all_varchar = true)",
                "parquet": "read_parquet('{}')",
                "json": "read_json('{}', format = 'array')",
                "ndjson": "read_json('{}', format = 'newline_delimited')",
            }
            table = read[format.partition(".")[0]].format(path)
            with duckdb.connect() as connection:
                row = connection.execute(f'SELECT count(DISTINCT "{UNIQUE}") FROM {table}').fetchone()
            return row[0] if row else None


def _occurrences(stream: IO[bytes], what: bytes) -> int:
    found, end = 0, b""
    while block := stream.read(_BLOCK):
        found += (end + block).count(what)
        end = (end + block)[1 - len(what) :]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="of the peer")
    parser.add_argument("source", nargs="?", type=Path, help="a Parquet file of bench.data")
    parser.add_argument("target", nargs="?", type=Path, help="the file to write")
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.name is None:
        for each in PEERS:
            print(f"{each.format:8} {each.name:28} {each.version() or 'missing'}")
        return
    if options.source is None or options.target is None:
        parser.error("a name needs a source and a target")
    chosen = peer(options.name)
    if options.inside:
        print(json.dumps(_inside(chosen, options.source, options.target)))
    elif chosen.version() is None:
        print(json.dumps({"missing": chosen.name}))
    else:
        print(json.dumps(asdict(measure(chosen, options.source, options.target))))


if __name__ == "__main__":
    main()
