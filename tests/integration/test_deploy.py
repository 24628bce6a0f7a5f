"""deploy/: the container file, the compose file and the units of systemd, as far as they can be checked without running them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from patience import PATIENCE_SECONDS
from support import ROOT
from whohas import timeouts
from whohas.settings import Settings

DEPLOY = ROOT / "deploy"
CONTAINERFILE = DEPLOY / "Containerfile"
COMPOSE = DEPLOY / "compose.yaml"
UNITS = sorted((DEPLOY / "systemd").iterdir())
COMPOSE_GO = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
"""The reference implementation of the Compose Specification."""
STOP_SECONDS = sum(
    (
        timeouts.HTTP_GRACE_SECONDS, timeouts.TASKS_STOP_SECONDS, timeouts.DRAIN_SECONDS, timeouts.QUEUE_STOP_SECONDS,
        timeouts.AUDIT_DRAIN_SECONDS,
    )
)  # fmt: skip
"""How long a process needs to stop, at most."""
MAX_EXPOSURE = 2.0
"""The highest score of `systemd-analyze security` that is accepted, from 0 (safe) to 10."""


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the container file with their arguments, continued lines joined."""
    lines = [line for line in CONTAINERFILE.read_text().splitlines() if line and not line.startswith("#")]
    return [
        (name, rest)
        for name, _, rest in (line.partition(" ") for line in "\n".join(lines).replace("\\\n", " ").splitlines())
    ]


def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def ours() -> dict[str, Any]:
    return {name: service for name, service in services().items() if "build" in service}


def test_hadolint_accepts_the_containerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", CONTAINERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_image_runs_unprivileged_with_a_health_check() -> None:
    last = [name for name, _ in instructions()].index("FROM", 2)
    stage = dict(instructions()[last:])
    assert stage["USER"] == "10001:10001"
    assert stage["EXPOSE"] == str(Settings.model_fields["port"].default)
    assert f"127.0.0.1:{stage['EXPOSE']}/readyz" in stage["HEALTHCHECK"]
    start = re.search(r"--start-period=(\d+)s", stage["HEALTHCHECK"])
    assert start and int(start[1]) > timeouts.DATABASE_START_SECONDS, "a server waits so long for its database"
    assert "ADD" not in dict(instructions()), "ADD fetches and unpacks"


def test_every_file_that_the_image_needs_reaches_it() -> None:
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    let_through = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_compose_has_two_servers_and_two_workers() -> None:
    commands = [service["command"][:2] for service in ours().values()]
    assert commands == [["whohas", "serve"]] * 2 + [["whohas", "worker"]] * 2
    assert {"postgres", "kafka", "s3"} <= services().keys()
    for service in ours().values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert int(service["stop_grace_period"].removesuffix("s")) > STOP_SECONDS
        known = {f"WHOHAS_{name.upper()}" for name in Settings.model_fields}
        assert {name for name in service["environment"] if name.startswith("WHOHAS_")} <= known


def test_compose_pins_images_checks_health_and_has_no_secrets() -> None:
    for name, service in services().items():
        assert "build" in service or re.search(r":v?\d", service["image"]), f"{name} has no version"
        assert "minio" not in service["image"]
        once = service.get("network_mode") == "none"
        assert once or "build" in service or "healthcheck" in service, f"{name} has no health check"
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY$", variable):
                assert re.fullmatch(r"\$\{\w+:\?.*\}", value), f"{name}: {variable}"
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert asked == set(re.findall(r"^(\w+)=", (DEPLOY / "example.env").read_text(), re.MULTILINE))


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("go"), reason="Go is not installed")
def test_the_reference_implementation_loads_compose(tmp_path: Path) -> None:
    filled = re.sub(r"\$\{\w+:\?[^}]*\}", "filled", COMPOSE.read_text())
    (tmp_path / "compose.yaml").write_text(filled)
    (tmp_path / "go.mod").write_text("module check\n")
    done = subprocess.run(
        ["go", "run", COMPOSE_GO, "compose.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"].keys() == services().keys()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_gives_runs_time_and_survives_a_killed_child(path: Path) -> None:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read_string(path.read_text())
    service = unit["Service"]
    assert int(service["TimeoutStopSec"]) > STOP_SECONDS
    assert (service["KillMode"], service["OOMPolicy"]) == ("mixed", "continue")
    assert f"WHOHAS_HOME=/var/lib/{service['StateDirectory']} " in service["Environment"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not there (Debian: systemd)")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_a_unit_and_its_hardening(tmp_path: Path, path: Path) -> None:
    name = path.name.replace("@.", "@1.")
    unit = tmp_path / path.name
    unit.write_text(path.read_text().replace("/opt/whohas/bin/whohas", str(shutil.which("true"))))
    verify = ["systemd-analyze", "verify", "--man=no", tmp_path / name]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert done.returncode == 0 and path.name.partition(".")[0] not in done.stderr, done.stderr
    security = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={MAX_EXPOSURE * 10:.0f}",
        tmp_path / name,
    ]
    done = subprocess.run(security, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
