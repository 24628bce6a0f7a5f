"""The seven reports over examples/acme, against files that are small enough to read: see tests/golden/README.md.

`WHOHAS_REWRITE_GOLDEN=1` writes the files anew; look at what changed before it is kept.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factories import report_plan, write_csv
from whohas.search.index import searchable_snapshot
from whohas.warehouse.store import Snapshot, Warehouse

GOLDEN = Path(__file__).parent.parent / "golden"
HR, LEDGER = "f5b3ed1f1c701670e79ca8d8b9427d4f", "7c8377bb1b7dc98a3bdf0eede5d2041f"
CHOSEN = {
    "ute.sternbrueck", "amina.mwankemelu", "adele.rocheruisset", "marlene.steinbrueck", "ciro.montenuno", "emre.yildizsoylu",
}  # fmt: skip
Row = dict[str, str]

REPORTS: dict[str, tuple[dict[str, Any], Callable[[Row], bool]]] = {
    "IDENTITIES": ({}, lambda row: row["name"] in CHOSEN),
    "IDENTITIES_DETAILS": ({}, lambda row: row["name"] in CHOSEN),
    "IDENTITY_PROFILE_IDENTITY_ERROR": ({"authoritativeSource": HR}, lambda _: True),
    "ORPHAN_IDENTITIES": ({}, lambda _: True),
    "UNCORRELATED_ACCOUNTS": ({}, lambda row: not row["name"].startswith("Visitor")),
    "ACCOUNTS": ({"application": LEDGER}, lambda row: row["privileged"] == "true" or row["correlated"] == "false"),
    "SEARCH_EXPORT": (
        {
            "query": "(isManager:true AND @access(type:ROLE AND name.exact:Finance)) OR (NOT _exists_:accounts)",
            "indices": ["identities"],
            "columns": "name,displayName,attributes.department,access.spread",
            "sort": ["-displayName"],
        },
        lambda _: True,
    ),
}
"""Arguments, and which rows are kept in the file."""


@pytest.fixture(scope="module")
def snapshot(acme_home: Path) -> Snapshot:
    return searchable_snapshot(Warehouse(acme_home / "warehouse"))


@pytest.mark.parametrize("report_type", REPORTS)
def test_a_report_over_acme_is_what_its_file_says(snapshot: Snapshot, tmp_path: Path, report_type: str) -> None:
    arguments, keep = REPORTS[report_type]
    (statement,) = report_plan(snapshot, report_type, arguments).statements
    with write_csv(snapshot, statement, tmp_path).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if keep(row)]
    for row in rows:
        if "loadId" in row:
            assert row["loadId"] == snapshot.load_id
            row["loadId"], row["loaded"] = "the load", "its time"
    if not statement.ordered:
        rows.sort(key=lambda row: list(row.values()))
    path = GOLDEN / f"{report_type}.csv"
    if os.environ.get("WHOHAS_REWRITE_GOLDEN") == "1":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [column.name for column in statement.columns], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        assert rows == list(reader)
        assert reader.fieldnames == [column.name for column in statement.columns]
    assert rows
