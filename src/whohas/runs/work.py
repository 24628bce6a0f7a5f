"""What a worker tells the child of a run: all that it needs to know, as plain data on one line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from whohas.engine.statement import Column, Layout, TableFiles
from whohas.render.definition import About, Options

EXTRACT = "extract"
"""The format of an extract among a run's files; no name of a format that can be asked for."""
ALONE = 75
"""The exit code of a child whose worker is gone, or silent for too long."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file to make.

    Attributes:
        format: of the file, or of each file in it where it is a zip.
        zipped: whether it is a zip with a file a part.
    """

    format: str
    path: str
    zipped: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One statement, and what is known of its rows.

    Attributes:
        name: of its file in a zip, without an extension; empty where there is no zip.
        sql: the statement; empty where the rows have been extracted before.
        expected_rows: for progress; 0 where nothing is known.
        group: the column whose equal values stand together in an extract; empty where none does.
        extract: the Parquet file that its rows go through on their way to each output; empty where they go straight.
    """

    name: str
    sql: str
    parameters: dict[str, Any]
    columns: tuple[Column, ...]
    ordered: bool
    expected_rows: int
    group: str = ""
    extract: str = ""

    @staticmethod
    def of_extract(path: str, rows: int) -> Part:
        """A part whose rows have been extracted before; the file itself says what they are."""
        return Part("", "", {}, (), True, rows, extract=path)


@dataclass(frozen=True, slots=True)
class Work:
    """What a child does: all that it needs to know, as plain data.

    Attributes:
        parts: at least one; more only for a zip.
        tables: what any of them reads.
        outputs: none where only the digest of their rows is wanted.
        about: the run that its files are of; None where extracts that are there tell it, or there are none.
        options: how they are written.
        memory: bytes for the engine.
        spill: a folder that the engine may make and spill to.
    """

    parts: tuple[Part, ...]
    tables: tuple[TableFiles, ...]
    outputs: tuple[Output, ...]
    about: About | None
    options: Options
    memory: int
    threads: int
    spill: str

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def from_line(line: str) -> Work:
        raw: dict[str, Any] = json.loads(line)
        raw["parts"] = tuple(_part(**part) for part in raw["parts"])
        raw["outputs"] = tuple(Output(**output) for output in raw["outputs"])
        raw["tables"] = tuple(
            TableFiles(
                table["name"],
                tuple((name, type) for name, type in table["columns"]),
                tuple(
                    Layout(
                        tuple(layout["files"]),
                        tuple((name, sql) for name, sql in layout["more"]),
                        tuple(layout["lacks"]),
                    )
                    for layout in table["layouts"]
                ),
            )
            for table in raw["tables"]
        )
        raw["about"] = About(**raw["about"]) if raw["about"] else None
        raw["options"] = Options(**raw["options"])
        return Work(**raw)


def _part(columns: list[dict[str, Any]], **others: Any) -> Part:
    return Part(columns=tuple(Column(**column) for column in columns), **others)
