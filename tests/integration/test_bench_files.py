"""The benchmark of files at a tiny size: everything runs, and every file has the same rows. Nothing is timed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench import peers
from bench.data import make

from patience import PATIENCE_SECONDS
from support import ROOT


@pytest.mark.long
def test_everybody_who_is_installed_writes_the_same_rows() -> None:
    kept = (ROOT / "bench" / "results.md").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "bench.files", "--smoke"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for peer in peers.PEERS:
        in_table, named_missing = f"| {peer.name} |" in done.stdout, peer.name in done.stdout.splitlines()[0]
        assert in_table == (peer.version() is not None), peer.name
        assert named_missing == (peer.version() is None), peer.name
    for kind in ("PDF, 14 columns", "XLSX, 14 columns", "CSV, ACCOUNTS", "JSON, ACCOUNTS", "Parquet, ACCOUNTS"):
        assert f"## {kind}" in done.stdout
    assert (ROOT / "bench" / "results.md").read_bytes() == kept


def test_a_file_that_lacks_a_row_is_found(tmp_path: Path) -> None:
    make(tmp_path / "plain.parquet", 50)
    figures = peers.measure(peers.peer("DuckDB COPY"), tmp_path / "plain.parquet", tmp_path / "whole.csv")
    lines = (tmp_path / "whole.csv").read_text().splitlines(keepends=True)
    (tmp_path / "short.csv").write_text("".join(lines[:-1]))
    assert (figures.rows, peers.count(tmp_path / "short.csv", "csv")) == (50, 49)
