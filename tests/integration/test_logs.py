"""The log of a server or worker is JSON, whoever writes into it, or lines for people."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patience import PATIENCE_SECONDS, until
from support import environment, fork_servers, serving
from whohas.execution.protocol import EXIT_WORKER_GONE

BEGIN = "import logging, sys, threading, warnings\nfrom whohas.logs import configure_logs\nconfigure_logs('info')\n"
BY_WHOM = {
    "a thread": "t = threading.Thread(target=lambda: 1 / 0, name='watch')\nt.start()\nt.join()",
    "the main thread": "raise ValueError('two\\nlines')",
    "a warning": "warnings.warn('old\\nand new', DeprecationWarning, stacklevel=1)\nwarnings.warn('seen', stacklevel=1)",
    "a library": "logging.getLogger('uvicorn.error').warning('a %s\\n', 'line')",
    "a library whose line cannot be formatted": "logging.getLogger('lib').warning('%d', 'x')",
    "a destructor": "class A:\n    def __del__(self): raise OSError(5, 'in a destructor')\na = A()\ndel a",
    "asyncio": "import asyncio, gc\nasync def fail(): raise KeyError('lost')\nasync def main():\n"
    "    task = asyncio.create_task(fail())\n    await asyncio.sleep(0)\n    del task\n    gc.collect()\n"
    "asyncio.run(main())",
    "a callback of asyncio": "import asyncio\nasync def main():\n    asyncio.get_running_loop().call_soon(lambda: 1 / 0)\n"
    "    await asyncio.sleep(0.1)\nasyncio.run(main())",
    "a task group of several faults": "raise ExceptionGroup('several', [ValueError(1), OSError(2, 'x')])",
    "half a character": "logging.getLogger('lib').warning('\\ud800')",
    "something that is no JSON": "import structlog\nstructlog.get_logger('x').warning('odd', what=object(), when={1: b'x'})",
}


@pytest.mark.parametrize("code", BY_WHOM.values(), ids=BY_WHOM.keys())
def test_every_line_is_json(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines
    for line in lines:
        assert {"event", "level", "timestamp"} <= line.keys()


@pytest.mark.parametrize(("level", "logged"), [("info", ["warning", "error"]), ("error", ["error"])])
def test_noisy_libraries_keep_to_the_level_of_the_log(level: str, logged: list[str]) -> None:
    code = "for level in (20, 30, 40): logging.getLogger('httpx2').log(level, 'sent')"
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.replace("info", level) + code],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert [json.loads(line)["level"] for line in done.stderr.splitlines()] == logged


def test_a_thread_that_ends_by_a_fault_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + BY_WHOM["a thread"]], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert line["thread"] == "watch"
    assert "ZeroDivisionError" in line["exception"]


def test_a_log_for_people_is_one_short_line_each() -> None:
    code = "import structlog\nstructlog.get_logger('whohas.x').warning('kept', rows=3, why='two words')\n1 / 0"
    begin = BEGIN.replace("'info'", "'info', 'text'")
    done = subprocess.run(
        [sys.executable, "-c", begin + code], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    first, *others = done.stderr.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[warning  \] kept +\[whohas\.x\] rows=3 why='two words'", first), first
    assert "internal fault" in others[0] and others[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_setting_chooses_the_form_of_the_log(home: Path, log_format: str) -> None:
    with serving(home, WHOHAS_LOG_FORMAT=log_format) as server:
        (fork_server,) = fork_servers(server.process.pid)
        line = {"event": "of a child", "level": "error", "timestamp": "2026-11-29T13:05:00Z", "rows": 3}
        Path(f"/proc/{fork_server.pid}/fd/2").write_text(json.dumps(line) + "\n")
        until(lambda: "of a child" in server.log.read_text(), server.log.read_text)
        (written,) = [one for one in server.log.read_text().splitlines() if "of a child" in one]
    if log_format == "json":
        assert json.loads(written) == line
    else:
        assert re.fullmatch(r"\d\d:\d\d:\d\d \[error    \] of a child +rows=3", written), written


def test_output_of_children_is_json_in_the_workers_log(home: Path) -> None:
    with serving(home) as server:
        (fork_server,) = fork_servers(server.process.pid)
        stream = Path(f"/proc/{fork_server.pid}/fd/2")
        stream.write_text("thread '<unnamed>' panicked at src/lib.rs:1\n")
        stream.write_text(json.dumps({"event": "of a child", "level": "error", "timestamp": "now"}) + "\n")
        both = {"output of a child process", "of a child"}
        until(lambda: both <= {line["event"] for line in _lines(server.log)}, server.log.read_text)
    (raw,) = [line for line in _lines(server.log) if line["event"] == "output of a child process"]
    assert raw["text"] == "thread '<unnamed>' panicked at src/lib.rs:1"


def test_a_server_that_cannot_start_says_so_in_json(home: Path) -> None:
    with serving(home):
        done = subprocess.run(
            [sys.executable, "-m", "whohas", "serve", "--port", "0"],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    assert done.returncode == 1
    *_, last = [json.loads(line) for line in done.stderr.splitlines()]
    assert last["event"] == "ended" and "Another whohas already works" in last["reason"]


GONE = """
import os, sys, tempfile, time
from pathlib import Path
from whohas.execution.processes import ChildPool
from child_work import work

children = ChildPool()
child = children.fork()
child.stdin.write(work(Path(tempfile.mkdtemp())).to_line().encode())
child.stdin.flush()
os.read(child.stdout.fileno(), 1)  # it is at work, and tells how far it is
os.close(child.stdout.fileno())
assert child.wait_ended(600), "a child whose worker does not listen goes on"
print(child.exit_code)
"""


def test_a_child_whose_worker_stops_listening_ends_without_a_fault() -> None:
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", GONE],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.stdout, done.stderr) == (f"{EXIT_WORKER_GONE}\n", "")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
