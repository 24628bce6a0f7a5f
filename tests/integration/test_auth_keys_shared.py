"""Signing keys of one home folder that several processes or servers open."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from patience import PATIENCE_SECONDS, until
from processes import Process, python
from support import environment
from whohas.auth import open_keys

OPEN = """
import hashlib, sys
from pathlib import Path
from whohas.auth import open_keys
print("ready", flush=True)
sys.stdin.readline()
keys = open_keys(Path(sys.argv[1]))
print(hashlib.sha256(keys.secrets_key).hexdigest(), keys.signing.signing_key().id)
"""


def test_processes_that_create_a_home_at_once_share_its_keys(home: Path, tmp_path: Path) -> None:
    said = [tmp_path / f"opener{number}.out" for number in range(6)]
    openers: list[Process | subprocess.Popen[bytes]] = []
    read, begin = os.pipe()
    with os.fdopen(read) as stdin:
        for path in said:
            with path.open("w") as out:
                openers.append(
                    python("-c", OPEN, str(home), env=environment(home), stdin=stdin, stdout=out, stderr=out)
                )
    until(lambda: all(path.read_text() == "ready\n" for path in said))
    os.close(begin)  # all of them see the end of their input at once
    assert [opener.wait(PATIENCE_SECONDS) for opener in openers] == [0] * len(openers)
    seen = [path.read_text().split()[1:] for path in said]
    assert len({secret for secret, _ in seen}) == 1
    known = open_keys(home).signing
    assert all(known.find(key) for _, key in seen)


def test_each_server_knows_every_key_the_moment_it_signs(home: Path) -> None:
    servers = [open_keys(home).signing for _ in range(3)]
    for number in range(60):
        new = servers[number % 3].rotate()
        assert all(server.find(new.id) == new for server in servers), number
        assert all(server.signing_key() == new for server in servers), number
        time.sleep(0.002 * (number % 5))
