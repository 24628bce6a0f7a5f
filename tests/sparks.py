"""Spark Connect servers for tests: Sail, which is ready at once, and Apache Spark with a master and two workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from asking import get
from patience import PATIENCE_SECONDS, until
from ports import free_ports
from pypi import installed

_MAIN = sys.modules["__main__"]
if _MAIN.__spec__ is None and not hasattr(_MAIN, "__file__"):
    # Spark's client takes a main module without a file, as a worker of xdist has, for a doctest, and looks for Spark.
    _MAIN.__file__ = __file__

SPARK = "4.2.0"


@contextmanager
def sail_server(folder: Path, mounts: str = "", environment: Mapping[str, str] | None = None) -> Generator[str]:
    """Start Sail; yield its address.

    Args:
        mounts: commands of a shell that mount what only Sail sees.
        environment: variables that only Sail has.
    """
    (port,) = free_ports(1)
    sail = Path(sys.executable).with_name("sail")
    command = _with_mounts([str(sail), "spark", "server", "--port", str(port)], mounts)
    with _process(command, folder / "sail.log", port, {**os.environ, **(environment or {})}):
        yield f"sc://127.0.0.1:{port}"


def read_only(folder: Path) -> str:
    """Commands that mount a folder so that nothing can be written there."""
    return f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"


def full(folder: Path) -> str:
    """Commands that mount a file system without room for anything but folders."""
    return f"mount -t tmpfs -o size=4k tmpfs {folder}"


def _with_mounts(command: list[str], mounts: str) -> list[str]:
    """A command that is executed in a namespace of its own, in which `mounts` have been executed."""
    if not mounts:
        return command
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    if subprocess.run([*unshare, mounts], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount in a namespace of its own")
    return [*unshare, f'{mounts} && exec "$@"', "sh", *command]


class SparkCluster:
    """A Spark master with workers, and a Connect server that uses them, all on JDK 17. Created by `spark_cluster`.

    Attributes:
        url: the address of the Connect server.
        connect: the process of the Connect server, the driver of all that Spark executes.
        workers: the processes of the workers; each has an executor as its child.
    """

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        self._folder, self._processes = folder, processes
        self._home = _spark_home()
        self._master, self._port, self._page, page = free_ports(4)
        self.url = f"sc://127.0.0.1:{self._port}"
        self.shuffle_folder = folder / "local"
        self._environment = {
            **os.environ, "SPARK_HOME": str(self._home), "JAVA_HOME": str(_java_home()), "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.shuffle_folder), "SPARK_WORKER_DIR": str(folder / "work"),
        }  # fmt: skip
        master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(self._master)]
        self._start("master", ["spark-class", *master, "--webui-port", str(page)], self._master)
        self.workers = [self.start_worker(), self.start_worker()]
        self.connect = self.start_connect()

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start another worker."""
        (page,) = free_ports(1)
        worker = ["org.apache.spark.deploy.worker.Worker", "--cores", "1", "--memory", "1200m", "--host", "127.0.0.1"]
        master = f"spark://127.0.0.1:{self._master}"
        return self._start("worker", ["spark-class", *worker, "--webui-port", str(page), master], page)

    def start_connect(self) -> subprocess.Popen[bytes]:
        """Start the Connect server, also after it was killed."""
        settings = {"spark.ui.port": self._page, "spark.executor.memory": "900m", "spark.sql.shuffle.partitions": 4}
        command = connect_command(f"spark://127.0.0.1:{self._master}", self._port, settings)
        return self._start("connect", command, self._port)

    def _start(self, name: str, command: list[str], port: int) -> subprocess.Popen[bytes]:
        command = [str(self._home / "bin" / command[0]), *command[1:]]
        log = self._folder / f"{name}-{port}.log"
        return self._processes.enter_context(_process(command, log, port, self._environment))

    def status(self, what: str) -> Any:
        """What the REST interface of the driver says of its application, such as `jobs` or `executors`."""
        applications = f"http://127.0.0.1:{self._page}/api/v1/applications"
        (application,) = get(applications).raise_for_status().json()
        return get(f"{applications}/{application['id']}/{what}").raise_for_status().json()

    @property
    def tasks_at_work(self) -> int:
        """The number of tasks that the executors execute at the moment."""
        return sum(executor["activeTasks"] for executor in self.status("executors"))


@contextmanager
def spark_cluster(folder: Path) -> Generator[SparkCluster]:
    """Start a Spark master, two workers and a Connect server."""
    with ExitStack() as processes:
        yield SparkCluster(folder, processes)


@contextmanager
def spark_alone(folder: Path, settings: Mapping[str, object], mounts: str = "") -> Generator[str]:
    """Start a Connect server that executes all itself, which needs no master and no workers; yield its address."""
    (port,) = free_ports(1)
    home = _spark_home()
    environment = {**os.environ, "SPARK_HOME": str(home), "JAVA_HOME": str(_java_home()), "SPARK_LOCAL_IP": "127.0.0.1"}
    usual = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": 1}
    command = connect_command("local[1]", port, {**usual, **settings})
    command = _with_mounts([str(home / "bin" / command[0]), *command[1:]], mounts)
    with _process(command, folder / "connect.log", port, environment):
        yield f"sc://localhost:{port}"


def connect_command(master: str, port: int, settings: Mapping[str, object]) -> list[str]:
    """The command line of a Connect server."""
    everywhere = {
        "spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": port,
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
    }  # fmt: skip
    options = [part for name, value in {**everywhere, **settings}.items() for part in ("--conf", f"{name}={value}")]
    server = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    return ["spark-submit", "--master", master, *server, *options, "spark-internal"]


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process of Spark together with those that it has started, as the end of their machine does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_SECONDS)


@contextmanager
def _process(
    command: list[str], log: Path, port: int, environment: dict[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    """Start a server, wait until it listens on a port, and end it afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, process_group=0)
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
    return installed("pyspark", SPARK) / "pyspark"
