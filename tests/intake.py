"""A small warehouse to load files into, for the tests of the intake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from whohas.ingest import LoadReport, load
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Warehouse

BADGES = """
[source]
name = "Badges"
[accounts]
file = "badges.csv"
[accounts.columns]
nativeIdentity = "No"
name = "Name"
"""


class Rig:
    """A folder of files to load, and the warehouse that they are loaded into."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.data = folder / "data"
        self.data.mkdir()
        self.warehouse = Warehouse(self.home / "warehouse")

    def write(self, **files: str) -> None:
        """Writes files of text, by their names."""
        for name, text in files.items():
            (self.data / name).write_text(text, encoding="utf-8", newline="")

    def clear(self) -> None:
        """Removes the files written so far."""
        for path in self.data.iterdir():
            path.unlink()

    def load(self, *paths: str, **options: Any) -> LoadReport:
        """Loads files of the folder; the guard has tests of its own, so losses are accepted here."""
        self.report = load(self.warehouse, [self.data / path for path in paths], **{"accept_loss": True, **options})
        return self.report

    def rows(self, name: str, number: int | None = None) -> list[dict[str, Any]]:
        """The rows of a table, by partition, in the order in which they are stored."""
        table = TABLES[name]
        files = self.warehouse.snapshot(number).files(table)
        names = {source["id"]: source["name"] for source in self.rows("sources", number)} if name == "accounts" else {}
        files.sort(key=lambda file: names.get(file.partition or "", file.partition or ""))
        return [row for file in files for row in pq.read_table(file.path, schema=table.schema).to_pylist()]

    def account(self, native: str) -> dict[str, Any]:
        """The account of that native identity."""
        return next(row for row in self.rows("accounts") if row["nativeIdentity"] == native)
