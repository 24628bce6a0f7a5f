#!/usr/bin/env bash
# Test both built wheels as users get them: install each into a new environment, and run a report from outside the repository.
# Usage: tools/check_wheel.sh FOLDER PYTHON
set -euo pipefail
wheels=$(realpath "$1") python=$(realpath -s "$2") examples=$(realpath examples/acme) pages=$(realpath docs)
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null && wait "$server" || true; rm -rf "$folder"' EXIT
cd "$folder"
"$python" -m venv new
new/bin/python -m pip install --quiet --disable-pip-version-check "$wheels"/whohas_client-*.whl "$wheels"/whohas-*.whl
export WHOHAS_HOME=$folder/home
new/bin/whohas --help >help.txt
new/bin/whohas docs load | cmp - "$pages/how-to/load.md"
new/bin/whohas load "$examples" >load.txt
new/bin/whohas run ACCOUNTS --arg sourceName="Active Directory" -o accounts.csv
new/bin/whohas run IDENTITIES -o identities.pdf
new/bin/python - <<'CHECK'
import csv, importlib.metadata, pathlib, whohas, whohas_client
for package in (whohas, whohas_client):
    assert "site-packages" in package.__file__, package.__file__
    assert (pathlib.Path(package.__file__).parent / "py.typed").exists(), f"the wheel of {package.__name__} has no py.typed"
for name in ("whohas", "whohas-client"):
    assert importlib.metadata.version(name) == whohas.__version__, name
assert f"whohas-client=={whohas.__version__}" in importlib.metadata.requires("whohas"), "tools/pin_client.py did not work"
with open("accounts.csv", newline="") as file:
    rows = list(csv.DictReader(file))
assert rows and {row["sourceName"] for row in rows} == {"Active Directory"}
assert pathlib.Path("identities.pdf").read_bytes().startswith(b"%PDF-")
print(f"whohas {whohas.__version__}: the wheel works")
CHECK

# the client alone, in an environment of its own, on that server
"$python" -m venv alone
alone/bin/python -m pip install --quiet --disable-pip-version-check "$wheels"/whohas_client-*.whl
new/bin/whohas serve --dev --port 0 >server.log 2>&1 &
server=$!
until [[ -e home/dev.env ]]; do
  kill -0 "$server" || { cat server.log; exit 1; }
  sleep 0.1
done
. home/dev.env
export SAIL_BASE_URL SAIL_CLIENT_ID SAIL_CLIENT_SECRET
alone/bin/python - <<'CHECK'
import importlib.util, whohas_client
from whohas_client import Client
assert importlib.util.find_spec("whohas") is None, "the environment of the client has whohas"
with Client() as client:
    run = client.run("ACCOUNTS", source="Active Directory")
    run.to("again.csv")
    rows = list(run.rows())
assert open("again.csv", "rb").read() == open("accounts.csv", "rb").read()
assert rows and {row["sourceName"] for row in rows} == {"Active Directory"}
print(f"whohas-client {whohas_client.__version__}: the wheel works")
CHECK
