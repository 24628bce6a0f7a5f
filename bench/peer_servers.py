"""The peers that are programs of their own: PostgreSQL, Datasette and JasperReports.

Each gets its data first in the form that it reads, which is not counted, and tells what it measured of itself where
the process that started it cannot know.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypedDict

from bench.data import COLUMNS, UNIQUE, columns, texts, write_csv
from bench.peer_prints import FONTS, WIDTHS
from tools.postgresql import programs

_JASPER: Final = Path(__file__).resolve().parent / "jasper"
_JAVA_HEAP: Final = "-Xmx1g"
_POSTGRES_TYPES: Final = {"VARCHAR": "text", "TIMESTAMP WITH TIME ZONE": "timestamptz"}
"""Of those of DuckDB that have another name there."""
_PATIENCE: Final = 60
"""Seconds that a server may take to start."""


class Measured(TypedDict, total=False):
    """What a peer measured of itself; it stands in place of what its caller measures."""

    seconds: float
    peak_mib: float


def high_water(process: int | str = "self") -> float | None:
    """The most memory that a process had since it started its program, in MiB; None where the system does not tell.

    `ru_maxrss` would not do: a process takes over the one of the process that started it.
    """
    status = Path("/proc", str(process), "status")
    return _kibibytes(status.read_text()) / 1024 if status.exists() else None


def _kibibytes(status: str) -> int:
    return sum(map(int, re.findall(r"VmHWM:\s*(\d+) kB", status)))


def postgres_version() -> str | None:
    program = _postgres("postgres")
    if program is None or _postgres("psql") is None:
        return None
    return _output([program, "--version"]).split()[2]


@contextmanager
def postgres_loaded(source: Path) -> Generator[Path]:
    """The folder of a server's socket; its table `accounts` has the rows."""
    with TemporaryDirectory(prefix="whohas-pg-") as name:
        folder, data = Path(name), Path(name, "data")
        rows = folder / "accounts.csv"
        write_csv(source, rows)
        owner = _unprivileged(folder)
        initdb, postgres = _postgres("initdb"), _postgres("postgres")
        assert initdb and postgres
        _output([initdb, "-D", str(data), "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"], **owner)
        settings = ["-c", "listen_addresses=", "-c", "logging_collector=off"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [postgres, "-D", data, "-k", folder, *settings], stdout=log, stderr=log, cwd=folder, **owner
            )
        try:
            _wait(server, lambda: bool(_psql(folder, "SELECT 1")))
            table = ", ".join(f'"{name}" {_POSTGRES_TYPES.get(type, type)}' for name, type in columns(source).items())
            _psql(folder, f"CREATE TABLE accounts ({table});\n\\copy accounts FROM '{rows}' (FORMAT csv, HEADER)\n")
            _psql(folder, "VACUUM (FREEZE, ANALYZE) accounts")
            rows.unlink()
            yield folder
        finally:
            _stop(server)


def postgres_copy(folder: Path, target: Path) -> Measured:
    """`\\copy` of the table. Its memory is that of psql and of the server's process that serves it."""
    begin = "SELECT pg_backend_pid() AS pid \\gset\n\\setenv SERVER :pid\n"
    end = "\\! cat /proc/$PPID/status /proc/$SERVER/status\n"
    status = _psql(folder, f"{begin}\\copy accounts TO '{target}' (FORMAT csv, HEADER)\n{end}")
    return Measured(peak_mib=_kibibytes(status) / 1024) if status else Measured()


def _psql(folder: Path, script: str) -> str:
    program = _postgres("psql")
    assert program
    options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-U", "bench", "-d", "postgres"]
    return _output([program, *options, "-f", "-"], input=script)


def _postgres(program: str) -> str | None:
    """Return a program of PostgreSQL: beside the server's if there is one, else from the path."""
    folder = programs()
    beside = folder / program if folder else None
    return str(beside) if beside and beside.exists() else shutil.which(program)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """How to start a server that refuses to run as root: as a user who has the folder."""
    if os.geteuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def datasette_serving(source: Path) -> Generator[Path]:
    """A file that tells the port and the process of a server of a SQLite database with the rows, kept in key order."""
    with TemporaryDirectory(prefix="whohas-datasette-") as name:
        database = Path(name, "bench.db")
        with sqlite3.connect(database) as connection:
            names = list(columns(source))
            table = ", ".join(f'"{name}" TEXT' for name in names)
            connection.execute(f"CREATE TABLE accounts ({table}, PRIMARY KEY ({UNIQUE})) WITHOUT ROWID")
            marks = ", ".join("?" for _ in names)
            ordered = sorted(texts(source), key=lambda row: row[names.index(UNIQUE)])
            connection.executemany(f"INSERT INTO accounts VALUES ({marks})", ordered)
        connection.close()
        del ordered
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = ["-m", "datasette", "serve", str(database), "-h", "127.0.0.1", "-p", str(port)]
        with Path(name, "log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, *command, "--setting", "max_csv_mb", "0"], stdout=log, stderr=log, cwd=name
            )
        try:
            _wait(server, lambda: _answers(port))
            place = Path(name, "server.json")
            place.write_text(json.dumps({"port": port, "process": server.pid}))
            yield place
        finally:
            _stop(server)


def datasette_stream(server: Path, target: Path) -> Measured:
    """The whole table as a stream of CSV over HTTP. Its memory is the server's."""
    known = json.loads(server.read_text())
    connection = HTTPConnection("127.0.0.1", known["port"])
    connection.request("GET", "/bench/accounts.csv?_stream=on")
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"Datasette answered {answer.status}")
    with target.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
    connection.close()
    peak = high_water(known["process"])
    return Measured() if peak is None else Measured(peak_mib=peak)


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/-/versions.json")
    return connection.getresponse().status == 200


def jasper_version() -> str | None:
    """The version that is built; None without Java, or where it is not built yet."""
    if shutil.which("java") is None or not _jasper_built():
        return None
    found = re.search(r"<jasperreports.version>(.+)</jasperreports.version>", (_JASPER / "pom.xml").read_text())
    assert found
    return found[1]


def _jasper_built() -> bool:
    made = _JASPER / "target" / "jasper-1.jar"
    sources = [_JASPER / "pom.xml", *_JASPER.glob("src/**/*.java")]
    if not made.exists() or not (_JASPER / "target" / "dependency").exists():
        return False
    return made.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def build_jasper() -> None:
    """Builds the program where there is Maven and it is not built; what it needs comes from Maven Central."""
    if not _jasper_built() and shutil.which("java") and shutil.which("mvn"):
        _output(["mvn", "-q", "-B", "package", "dependency:copy-dependencies"], cwd=_JASPER)


@contextmanager
def jasper_csv(source: Path) -> Generator[Path]:
    """The rows as CSV."""
    with TemporaryDirectory(prefix="whohas-jasper-") as name:
        path = Path(name, "accounts.csv")
        write_csv(source, path)
        yield path


def jasper(format: str) -> Callable[[Path, Path], Measured]:
    """Fill and export, in the format; its time is without the start of Java and without compiling the report."""

    def run(source: Path, target: Path) -> Measured:
        classes = f"{_JASPER / 'target' / 'jasper-1.jar'}{os.pathsep}{_JASPER / 'target' / 'dependency'}/*"
        options = [_JAVA_HEAP, "-Djava.awt.headless=true", "-cp", classes]
        with TemporaryDirectory(dir=target.parent) as swap:
            with source.open(encoding="utf-8") as file:
                names = file.readline().split(",")
            # a table of other columns is never printed: their widths matter to nothing but the order of its cells
            widths = WIDTHS if len(names) == len(COLUMNS) else (sum(WIDTHS) // len(names),) * len(names)
            look = [",".join(map(str, widths)), *map(str, FONTS)]
            line = _output(["java", *options, "bench.Main", format, str(source), str(target), swap, *look])
        figures = json.loads(line)
        return Measured(seconds=figures["seconds"], peak_mib=figures["peak_mib"])

    return run


def _output(command: list[str], **options: Any) -> str:
    """What a program prints; its complaint is the error's text."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _wait(server: subprocess.Popen[Any], ready: Callable[[], bool]) -> None:
    """Wait until a server that was started answers."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            if ready():
                return
        except (OSError, RuntimeError):
            if server.poll() is not None or time.monotonic() > until:
                raise
        time.sleep(0.1)


def _stop(server: subprocess.Popen[Any]) -> None:
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
