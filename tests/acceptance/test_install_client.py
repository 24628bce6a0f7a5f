"""The wheel of the Python client: installed alone into an empty environment, and used against a server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS
from support import ROOT, Server, environment

MEGABYTES = 30
"""The most that the client and its dependencies may take on disk; whohas takes 600 MB."""

SCRIPT = """
import importlib.metadata, json, sys
from whohas_client import Client

with Client() as client:
    run = client.run("ACCOUNTS", source="Active Directory")
    run.to("accounts.csv")
    run.to("accounts.xlsx")
    rows = list(run.rows())
    try:
        run.to_arrow()
    except ImportError as error:
        missing = str(error)
found = sorted(it.name.lower() for it in importlib.metadata.distributions())
print(json.dumps({
    "rows": len(rows), "types": sorted({type(row["disabled"]).__name__ for row in rows}), "missing": missing,
    "packages": found, "loaded": sorted(name for name in sys.modules if name.partition(".")[0] == "whohas"),
}))
"""


@dataclass(frozen=True)
class Alone:
    """An environment with the client alone."""

    python: Path
    packages: Path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    folder = tmp_path_factory.mktemp("alone")
    build = [uv, "build", "--quiet", "--wheel", "--package", "whohas-client", "--out-dir", folder / "dist", ROOT]
    subprocess.run(build, check=True)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, wheel], check=True)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    return Alone(python, packages)


@pytest.mark.long
def test_the_client_alone_runs_reports(alone: Alone, server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [alone.python, "-c", SCRIPT], env=environment(tmp_path, **server.sail), cwd=tmp_path, capture_output=True,
        text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no progress where stderr is no terminal"
    told = json.loads(done.stdout)
    assert told["types"] == ["bool"] and told["loaded"] == []
    assert told["rows"] > 300 and len((tmp_path / "accounts.csv").read_text().splitlines()) > told["rows"]
    assert (tmp_path / "accounts.xlsx").read_bytes().startswith(b"PK")
    assert told["missing"] == "pyarrow is not installed. Install it: pip install 'whohas-client[arrow]'"
    assert {"whohas-client", "httpx2", "pydantic"} <= set(told["packages"])
    assert not {"whohas", "duckdb", "pyarrow", "pandas"} & set(told["packages"])


@pytest.mark.long
def test_the_client_is_small(alone: Alone) -> None:
    files = [path for path in alone.packages.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    print(f"The client and its dependencies take {megabytes:.1f} MB on disk.")
    assert megabytes < MEGABYTES
