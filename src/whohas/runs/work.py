"""What a worker tells the child of a run: all that it needs to know, as plain data on one line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from whohas.engine.statement import Column, TableFiles


@dataclass(frozen=True, slots=True)
class Output:
    """A file to make: its format, and where."""

    format: str
    path: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a child does: all that it needs to know, as plain data.

    Attributes:
        memory: bytes for the engine.
        spill: a folder that the engine may make and spill to.
        expected_rows: for progress; 0 where nothing is known.
    """

    sql: str
    parameters: dict[str, Any]
    columns: tuple[Column, ...]
    tables: tuple[TableFiles, ...]
    outputs: tuple[Output, ...]
    ordered: bool
    expected_rows: int
    memory: int
    threads: int
    spill: str

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def from_line(line: str) -> Work:
        raw: dict[str, Any] = json.loads(line)
        raw["columns"] = tuple(Column(**column) for column in raw["columns"])
        raw["outputs"] = tuple(Output(**output) for output in raw["outputs"])
        raw["tables"] = tuple(
            TableFiles(table["name"], tuple((name, type) for name, type in table["columns"]), tuple(table["files"]))
            for table in raw["tables"]
        )
        return Work(**raw)
