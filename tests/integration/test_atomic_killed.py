"""Files are whole whenever the process that writes them is killed, and on a disk that is full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS
from whohas import atomic

KILLED = """
import os, signal, sys
from pathlib import Path
from whohas import atomic

folder, replace = Path(sys.argv[1]), sys.argv[2] == "replace"
path = folder / "a.txt"

def kill_at(step):
    seen = 0
    def trace(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename != atomic.__file__:
            return None
        if event == "line":
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)

step, outcomes = 0, []
while True:
    step += 1
    for left in folder.iterdir():
        left.unlink()
    if replace:
        path.write_text("before" * 10_000)
    child = os.fork()
    if child == 0:
        kill_at(step)
        atomic.write(path, "after" * 10_000, replace=replace)
        os._exit(0)
    killed = os.waitpid(child, 0)[1] != 0
    others = [one.name for one in folder.iterdir() if one != path]
    outcomes.append([killed, path.read_text()[:20] if path.exists() else None, path.exists() and path.stat().st_size, others])
    if not killed:
        break
import json
print(json.dumps(outcomes))
"""


@pytest.mark.parametrize("replace", [True, False])
def test_a_writer_killed_at_any_step_leaves_the_file_whole(tmp_path: Path, replace: bool) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), "replace" if replace else "keep"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert len(outcomes) > 20
    before = ["before" * 3 + "be", 60_000] if replace else [None, False]
    after = ["after" * 4, 50_000]
    contents = [[text, size] for _, text, size, _ in outcomes]
    assert all(content in (before, after) for content in contents)
    assert contents == sorted(contents, key=lambda content: content == after), "once it is there it stays"
    assert before in contents and after in contents
    leftovers = {name for _, _, _, names in outcomes for name in names}
    assert leftovers and all(name.startswith(".a.txt.") and name.endswith(atomic.PART_SUFFIX) for name in leftovers)
    assert outcomes[-1] == [False, *after, []]


FULL = """
import errno, os, sys
from pathlib import Path
from whohas import atomic

folder = Path(sys.argv[1])
atomic.write(folder / "a.txt", "before")
for replace in (True, False):
    try:
        atomic.write(folder / ("a.txt" if replace else "b.txt"), b"x" * (2 << 20), replace=replace)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        print(error)
    assert [(one.name, one.read_text()) for one in folder.iterdir()] == [("a.txt", "before")]
atomic.write(folder / "b.txt", b"x" * (1 << 19))
"""


def test_a_full_disk_is_a_clear_error_and_keeps_files(tmp_path: Path) -> None:
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    if subprocess.run([*unshare, mount], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system in a namespace of its own")
    script = f'{mount} && exec {sys.executable} -c "$SCRIPT" {tmp_path}'
    done = subprocess.run([*unshare, script], env={**os.environ, "SCRIPT": FULL}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == [f"[Errno 28] No space left on device: '{tmp_path / name}'" for name in ("a.txt", "b.txt")]


READ_ONLY = """
import sys
from pathlib import Path
from whohas import atomic

try:
    atomic.write(Path(sys.argv[1]) / "a.txt", "after")
except OSError as error:
    print(error)
"""


def test_a_disk_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    mount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path}"
    if subprocess.run([*unshare, mount], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a folder in a namespace of its own")
    script = f'{mount} && exec {sys.executable} -c "$SCRIPT" {tmp_path}'
    done = subprocess.run([*unshare, script], env={**os.environ, "SCRIPT": READ_ONLY}, capture_output=True, text=True)
    assert done.stdout == f"[Errno 30] Read-only file system: '{tmp_path / 'a.txt'}'\n", done.stderr
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.txt", "before")]
