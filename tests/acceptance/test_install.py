"""docs/how-to/install.md, followed as written: pip, uv, the container's command and the unit of systemd."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

import asking
from patience import PATIENCE_SECONDS, until
from ports import free_ports
from support import ROOT, environment
from whohas import __version__, timeouts
from whohas.settings import Settings

PAGE = (ROOT / "docs" / "how-to" / "install.md").read_text()


def section(title: str) -> str:
    """Return the text of a section of the page."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def found(pattern: str, text: str) -> str:
    """Return the first group of a pattern that must be in a text."""
    match = re.search(pattern, text, re.MULTILINE)
    assert match, pattern
    return match[1]


def blocks(language: str, title: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Machine:
    """A folder in the place of a new machine: /opt, the folders of uv, and our wheels for pip and uv to find."""

    folder: Path
    variables: dict[str, str]

    def run(self, script: str) -> str:
        script = script.replace("/opt/", f"{self.folder}/opt/")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], env=self.variables, cwd=self.folder, capture_output=True,
            text=True, timeout=PATIENCE_SECONDS * 4,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    folder = tmp_path_factory.mktemp("machine")
    build = [uv, "build", "--quiet", "--wheel", "--all-packages", "--out-dir", folder / "dist", ROOT]
    subprocess.run(build, check=True)
    # the page installs `whohas` by its name: this version and its client come from the folder, all else from the index
    (folder / "constraints.txt").write_text(f"whohas=={__version__}\nwhohas-client=={__version__}\n")
    variables = environment(folder / "home")
    variables |= {f"{program}_FIND_LINKS": str(folder / "dist") for program in ("PIP", "UV")}
    variables |= {f"{program}_CONSTRAINT": str(folder / "constraints.txt") for program in ("PIP", "UV")}
    variables |= {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    variables["UV_PYTHON_DOWNLOADS"] = "never"
    # `python3` is the one that runs the tests: another may be older, or lack venv
    variables["PATH"] = f"{folder / 'bin'}:{Path(sys.executable).parent}:{Path(uv).parent}:{variables['PATH']}"
    return Machine(folder, variables)


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Path:
    """The program that the commands for pip install."""
    (script,) = blocks("sh", "With pip")
    assert f"whohas {__version__}\n" in machine.run(script)
    return machine.folder / "opt" / "whohas" / "bin" / "whohas"


@pytest.mark.long
def test_pip_installs_a_program_that_runs(machine: Machine, installed: Path) -> None:
    assert installed.exists()
    machine.run(
        "PATH=/opt/whohas/bin:$PATH; whohas generate exports; whohas load exports; whohas run IDENTITIES -o a.csv"
    )
    assert (machine.folder / "a.csv").read_text().count("\n") > 300
    page = (ROOT / "docs" / "how-to" / "load.md").read_text()
    assert machine.run("/opt/whohas/bin/whohas docs load") == page, "messages name pages that the wheel contains"


@pytest.mark.long
def test_uv_installs_a_tool_and_runs_without_one(machine: Machine) -> None:
    install, without = blocks("sh", "With uv")
    assert f"whohas {__version__}\n" in machine.run(install)
    assert (machine.folder / "bin" / "whohas").exists()
    assert "Usage: whohas" in machine.run(without)


@pytest.mark.long
def test_the_commands_of_the_container_serve_and_create_a_client(machine: Machine, installed: Path) -> None:
    (containerfile,) = blocks("dockerfile", "In a container")
    program, *arguments = json.loads(found(r"^CMD (.*)$", containerfile))
    assert program == "whohas"
    assert int(found(r"^EXPOSE (\d+)$", containerfile)) == Settings.model_fields["port"].default
    create = found(r"^podman exec whohas whohas (client create .*)$", section("In a container"))
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    log = machine.folder / "server.log"
    with log.open("wb") as errors:
        server = subprocess.Popen(
            [installed, *arguments, "--port", str(port)], env=machine.variables, stderr=errors, stdout=errors
        )
    try:
        until(lambda: answers(f"{url}/readyz") or server.poll() is not None, log.read_text)
        assert answers(f"{url}/healthz") and answers(f"{url}/readyz"), log.read_text()
        assert "client secret" in machine.run(f"/opt/whohas/bin/whohas {create}")
    finally:
        server.terminate()
        assert server.wait(PATIENCE_SECONDS) == 0


def answers(url: str) -> bool:
    try:
        return asking.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def test_the_unit_gives_a_server_time_to_stop() -> None:
    unit = RawConfigParser()
    unit.optionxform = str
    (text,) = blocks("ini", "As a service of systemd")
    unit.read_string(text)
    service = unit["Service"]
    assert service["ExecStart"] == "/opt/whohas/bin/whohas serve"
    assert service["Environment"] == f"WHOHAS_HOME=/var/lib/{service['StateDirectory']}"
    names = ("HTTP_GRACE_SECONDS", "TASKS_STOP_SECONDS", "DRAIN_SECONDS", "QUEUE_STOP_SECONDS", "AUDIT_DRAIN_SECONDS")
    stop = sum(getattr(timeouts, name) for name in names)
    assert f"needs up to {stop:g} seconds to stop" in " ".join(PAGE.split())
    assert stop < int(found(r"--stop-timeout (\d+) ", PAGE)) < int(service["TimeoutStopSec"])


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not there (Debian: systemd)")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    (text,) = blocks("ini", "As a service of systemd")
    unit = tmp_path / "whohas.service"
    unit.write_text(text.replace("/opt/whohas/bin/whohas", shlex.quote(str(shutil.which("true")))))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    # it warns of an unknown key with exit code 0
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, ours) == (0, []), done.stderr
