#!/usr/bin/env bash
# Test a built wheel as a user gets it: install it into a new environment, and run a report with it from outside the repository.
# Usage: tools/check_wheel.sh WHEEL PYTHON
set -euo pipefail
wheel=$(realpath "$1") python=$(realpath -s "$2") examples=$(realpath examples/acme)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$python" -m venv new
new/bin/python -m pip install --quiet --disable-pip-version-check "$wheel"
export WHOHAS_HOME=$folder/home
new/bin/whohas --help >help.txt
new/bin/whohas load "$examples" >load.txt
new/bin/whohas run ACCOUNTS --arg sourceName="Active Directory" -o accounts.csv
new/bin/whohas run IDENTITIES -o identities.pdf
new/bin/python - <<'CHECK'
import csv, importlib.metadata, pathlib, whohas
assert "site-packages" in whohas.__file__, whohas.__file__
assert importlib.metadata.version("whohas") == whohas.__version__
assert (pathlib.Path(whohas.__file__).parent / "py.typed").exists(), "the wheel has no py.typed"
with open("accounts.csv", newline="") as file:
    rows = list(csv.DictReader(file))
assert rows and {row["sourceName"] for row in rows} == {"Active Directory"}
assert pathlib.Path("identities.pdf").read_bytes().startswith(b"%PDF-")
print(f"whohas {whohas.__version__}: the wheel works")
CHECK
