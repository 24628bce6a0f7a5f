"""The demo: load examples/acme, serve it, run a report over HTTP as any client would, save the file under ./reports.

It ends by itself and leaves no process behind. Its home folder is `.demo`, so it touches nothing else.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from whohas_client import Client

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".demo"
WHOHAS = [sys.executable, "-m", "whohas"]
SOURCE = "Active Directory"


def main() -> None:
    environment = {**os.environ, "WHOHAS_HOME": str(HOME)}
    print("1. Loading examples/acme, a small organization's exports.")
    subprocess.run([*WHOHAS, "load", str(ROOT / "examples" / "acme")], env=environment, check=True)
    print("\n2. Starting the server, and running the ACCOUNTS report through its HTTP API.")
    with serving(environment) as settings, Client(**settings) as client:
        started = time.monotonic()
        run = client.run("ACCOUNTS", source=SOURCE)
        (ROOT / "reports").mkdir(exist_ok=True)
        path = run.to(ROOT / "reports" / f"{SOURCE} accounts.csv")
        seconds = time.monotonic() - started
        result = run.wait()
    print(f"   {result.rows} rows in {seconds:.2f} s, from the start to the saved file:")
    print(f"   {path.relative_to(ROOT)}")
    print(NEXT)


NEXT = """
3. What to try next
   export WHOHAS_HOME=$PWD/.demo                           the demo's data; without it, your own
   .venv/bin/whohas serve --dev                            a server with a client of its own
   .venv/bin/whohas run ACCOUNTS --arg sourceName="Badge System" -o badges.csv
   .venv/bin/whohas runs                                   what became of runs
   .venv/bin/whohas load PATH --check                      what your own files would become
   docs/how-to/load.md                                     how to load your own data"""


@contextmanager
def serving(environment: dict[str, str]) -> Generator[dict[str, str]]:
    """A server on a free loopback port while the context lasts; what its clients need to know."""
    dev_env = HOME / "dev.env"
    dev_env.unlink(missing_ok=True)
    with (HOME / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*WHOHAS, "serve", "--dev", "--port", "0"], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while not dev_env.exists():
            if server.poll() is not None:
                sys.exit(f"The server did not start; see {HOME / 'server.log'}.")
            time.sleep(0.02)
        words = (word for line in dev_env.read_text().splitlines() for word in shlex.split(line))
        values = dict(word.split("=", 1) for word in words if "=" in word)
        yield {
            "base_url": values["SAIL_BASE_URL"],
            "client_id": values["SAIL_CLIENT_ID"],
            "client_secret": values["SAIL_CLIENT_SECRET"],
        }
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
