"""The fuzz targets run, each with a few inputs; `make fuzz` gives them ten minutes each."""

from __future__ import annotations

import os
import subprocess
import sys

from fuzz.parsers import PARSERS
from support import ROOT


def test_each_parser_takes_a_few_drawn_inputs() -> None:
    # in a process of its own: the application's logs are silenced there
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}"}
    command = [sys.executable, "-m", "fuzz", "--draws", "2", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(PARSERS)
    assert all(line.endswith("nothing found") for line in lines)
