"""Spark Connect servers for tests: Sail, which is ready at once, and Apache Spark with a master and two workers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS, until
from ports import free_ports

_MAIN = sys.modules["__main__"]
if _MAIN.__spec__ is None and not hasattr(_MAIN, "__file__"):
    # Spark's client takes a main module without a file, as a worker of xdist has, for a doctest, and looks for Spark.
    _MAIN.__file__ = __file__

SPARK = "4.2.0"
_CACHE = Path(__file__).resolve().parent.parent / ".cache"


@contextmanager
def sail_server(folder: Path) -> Generator[str]:
    """Start Sail; yield its address."""
    (port,) = free_ports(1)
    sail = Path(sys.executable).with_name("sail")
    with _process([str(sail), "spark", "server", "--port", str(port)], folder / "sail.log", port):
        yield f"sc://127.0.0.1:{port}"


@contextmanager
def spark_cluster(folder: Path) -> Generator[str]:
    """Start a Spark master, two workers and a Connect server that uses them, all on JDK 17; yield its address."""
    home, java = _spark_home(), _java_home()
    master, connect, first, second, page = free_ports(5)
    environment = {
        **os.environ, "SPARK_HOME": str(home), "JAVA_HOME": str(java), "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"), "SPARK_WORKER_DIR": str(folder / "work"),
    }  # fmt: skip
    spark_class = str(home / "bin" / "spark-class")
    address = f"spark://127.0.0.1:{master}"
    with ExitStack() as started:
        command = [spark_class, "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1"]
        command += ["--port", str(master), "--webui-port", str(page)]
        started.enter_context(_process(command, folder / "master.log", master, environment))
        for number, port in enumerate((first, second)):
            command = [spark_class, "org.apache.spark.deploy.worker.Worker", "-c", "1", "-m", "1200m"]
            command += ["--host", "127.0.0.1", "--webui-port", str(port), address]
            started.enter_context(_process(command, folder / f"worker-{number}.log", port, environment))
        settings = {
            "spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": connect,
            "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
            "spark.executor.memory": "900m", "spark.sql.shuffle.partitions": 4,
        }  # fmt: skip
        command = [str(home / "bin" / "spark-submit"), "--master", address]
        command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
        command += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        started.enter_context(_process([*command, "spark-internal"], folder / "connect.log", connect, environment))
        yield f"sc://127.0.0.1:{connect}"


@contextmanager
def _process(
    command: list[str], log: Path, port: int, environment: dict[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """Start a server, wait until it listens on a port, and end it afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:

        def listens() -> bool:
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-2000:]}"
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", port)) == 0

        until(listens, lambda: log.read_text()[-2000:])
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _java_home() -> Path:
    """Return the folder of a JDK 17, which Spark supports; newer ones are not supported by all of its parts."""
    java = shutil.which("java")
    found = [Path(given) for name in ("JAVA_17_HOME", "JAVA_HOME") if (given := os.environ.get(name))]
    found += sorted(Path("/usr/lib/jvm").glob("*17*")) + ([Path(java).resolve().parents[1]] if java else [])
    for home in found:
        release = home / "release"
        if release.is_file() and 'JAVA_VERSION="17' in release.read_text():
            return home
    pytest.skip("a JDK 17 is not installed (Debian: openjdk-17-jre-headless)")


def _spark_home() -> Path:
    """Return the folder of Apache Spark, which is installed from its package when it is not there."""
    folder = _CACHE / f"spark-{SPARK}"
    home = folder / "pyspark"
    if not home.is_dir():
        made = folder.with_name(f"{folder.name}-{os.getpid()}")
        uv = shutil.which("uv") or str(_CACHE.parent / ".tools" / "bin" / "uv")
        command = [uv, "pip", "install", "--quiet", "--target", str(made), "--no-deps", f"pyspark=={SPARK}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if done.returncode:
            pytest.skip(f"Apache Spark cannot be fetched: {done.stderr[-300:]}")
        # another test process may fetch it at the same time: whoever renames first wins
        if folder.is_dir():
            shutil.rmtree(made)
        else:
            made.replace(folder)
    return home
