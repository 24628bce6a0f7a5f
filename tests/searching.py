"""Searches over documents made to measure: loaded by the real loader, run by the real engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from whohas.engine.statement import Statement
from whohas.ingest import load
from whohas.search.index import open_index, searchable_snapshot
from whohas.search.service import SearchPlan, SearchRequest, plan_search
from whohas.warehouse.store import Warehouse

NOW = datetime(2026, 11, 23, 10, 15, 30, tzinfo=UTC)


class Corpus:
    """Documents in a warehouse of their own."""

    def __init__(self, folder: Path, identities: Sequence[Mapping[str, Any]] = (), **others: Sequence[Any]) -> None:
        data = folder / "data"
        data.mkdir(parents=True)
        for name, documents in {"identities": identities, **others}.items():
            if documents:
                lines = "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
                (data / f"{name}.ndjson").write_text(lines)
        self.warehouse = Warehouse(folder / "warehouse")
        report = load(self.warehouse, [data], accept_loss=True)
        assert not report.rejected, report.rejections
        self.open()

    @classmethod
    def of(cls, warehouse: Warehouse) -> Corpus:
        """What a warehouse has."""
        corpus = cls.__new__(cls)
        corpus.warehouse = warehouse
        corpus.open()
        return corpus

    def open(self) -> None:
        """Looks at the newest data."""
        self.index = open_index(searchable_snapshot(self.warehouse))
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        for element in self.index.elements.values():
            for name, file in element.files.items():
                self._connection.execute(f"CREATE VIEW \"{name}\" AS SELECT * FROM read_parquet('{file}')")

    def ask(self, query: str, index: str = "identities", **more: Any) -> SearchPlan:
        return plan_search(SearchRequest(query, (index,), **more), self.index, NOW)

    def rows(self, statement: Statement) -> list[dict[str, Any]]:
        """A statement's rows; times as ISO texts."""
        places = [f"c{n}" for n in range(len(statement.columns))]
        cells = ", ".join(
            f"strftime({place}, '%Y-%m-%dT%H:%M:%SZ') AS {place}" if column.type == "time" else place
            for place, column in zip(places, statement.columns, strict=True)
        )
        # by position: DuckDB does not tell names apart that differ by case alone
        found = self._connection.sql(f"SELECT {cells} FROM ({statement.sql}) AS t({', '.join(places)})")
        names = [column.name for column in statement.columns]
        return [dict(zip(names, row.values(), strict=True)) for row in found.to_arrow_table().to_pylist()]

    def search(self, query: str, index: str = "identities", **more: Any) -> list[dict[str, Any]]:
        return self.rows(self.ask(query, index, **more).statements[index])

    def ids(self, query: str, index: str = "identities", **more: Any) -> set[str]:
        """The ids of the documents that a query finds.

        Raises:
            InvalidArguments: the query cannot be read.
        """
        return {row["id"] for row in self.search(query, index, columns=("id",), **more)}
