"""A disk that fills up half-way: the run fails and says so, nothing half made stays, and the server goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS
from support import environment

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from support import result_when_over, serving

home = Path({home!r})
with serving(home) as server, server.http() as http:
    body = {{"reportType": "ACCOUNTS", "arguments": {{"application": "big", "selectedFormats": [{format!r}]}}}}
    run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
    result = result_when_over(http, run_id)
    assert result["status"] == "FAILURE", result
    answer = http.get(f"/v2025/reports/{{run_id}}", params={{"fileFormat": {format!r}}})
    assert answer.status_code == 404, answer
    print(answer.json()["messages"][0]["text"])
    assert list((home / "artefacts").iterdir()) == []
    assert http.get("/healthz").status_code == 200
"""


@pytest.mark.parametrize(
    ("format", "megabytes"),
    # the extract of a PDF is some 11 MB: the disk is full while it is written, or the file after it
    [
        ("csv", 2),
        ("pdf", 20),
        *(
            pytest.param(format, megabytes, marks=pytest.mark.long)
            for format, megabytes in (("csv.gz", 2), ("parquet", 2), ("pdf", 2), ("xlsx", 20), ("html", 2))
        ),
    ],
)
def test_a_run_that_fills_the_disk_fails_and_leaves_nothing(big_home: Path, format: str, megabytes: int) -> None:
    artefacts = big_home / "artefacts"
    artefacts.mkdir()
    command = f'mount -t tmpfs -o size={megabytes}m tmpfs {artefacts} && exec {sys.executable} -c "$SCRIPT"'
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    if subprocess.run([*unshare, f"mount -t tmpfs tmpfs {artefacts}"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system in a namespace of its own")
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), home=str(big_home), format=format)
    done = subprocess.run(
        [*unshare, command],
        env=environment(big_home, SCRIPT=script, TESTS_FORK="0"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "disk full" in done.stdout or "No space left" in done.stdout
