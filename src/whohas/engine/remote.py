"""The interface of engines on other machines, which run the statement of a report and leave its rows as Parquet files.

A child process opens the engine with `open_engine`, has it write the rows of each statement into a folder that both can
reach, and then reads them with DuckDB. So the rows become files in the same way as those of DuckDB itself, whatever
the format, and their digest is comparable; neither the engine's driver nor whohas ever holds all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from whohas.engine.sql import quote_identifier, string_literal
from whohas.engine.statement import ResultColumn

RemoteName = Literal["spark", "trino"]
"""The engines on other machines. Sail and Databricks are reached, and read SQL, as Spark."""

EngineName = Literal["duckdb"] | RemoteName
"""The engines that a run can be executed on. `duckdb` is the embedded one."""

ENGINE_TITLES: Final[Mapping[str, str]] = {"duckdb": "DuckDB", "spark": "Spark", "trino": "Trino"}
"""Each engine's name for people."""

OR_DUCKDB: Final = "Or run the report on DuckDB (`--engine duckdb`)."
"""The end of messages about an engine that failed."""


def engine_table_name(name: str) -> str:
    """Return the name of a table in translated statements, where names must not contain dots.

    Example: `identities.access.items` gives `identities__access__items`.
    """
    return name.replace(".", "__")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One value by which the rows of a translated statement are to be sorted; nulls come last.

    Attributes:
        column: the column of the translated statement that has it, such as `k1`.
        descending: whether the largest comes first.
    """

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class TranslatedStatement:
    """A statement in the SQL of another engine.

    Attributes:
        sql: the text. It has no parameters; its columns are c1, c2, … in the order of the report's columns, then k1,
            k2, … for `order`. A time is the number of microseconds since 1970, in UTC.
        tables: the names of the tables that it reads, as the report's statement names them; see `engine_table_name`.
        order: the keys to sort the rows by, the most significant first; none where the order is not promised.
    """

    sql: str
    tables: tuple[str, ...]
    order: tuple[SortKey, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the statement as a JSON object."""
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> TranslatedStatement:
        """Return the statement that `to_json` wrote."""
        order = tuple(SortKey(**key) for key in document["order"])
        return TranslatedStatement(document["sql"], tuple(document["tables"]), order)


@dataclass(frozen=True, slots=True)
class RemoteTable:
    """A table that a translated statement reads, where the engine finds it.

    Attributes:
        name: its name in translated statements.
        folder: the folder of the Delta table, or its address in an object store; empty for a view of the search index,
            which is plain Parquet files.
        version: the version of the Delta table; None if the snapshot has no rows of the table.
        columns: name and DuckDB type of each column; empty for a view.
        files: the Parquet files of that version, for engines that cannot read Delta tables.
        partition: the column by which the files are divided; empty for none. Where it is null by the Delta log, the
            files have an empty text.
    """

    name: str
    folder: str
    version: int | None
    columns: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    partition: str = ""


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """How a child process reaches an engine.

    Attributes:
        engine: the engine's name.
        url: its address, from the settings.
        token: the token to present; empty for none.
        session: the id of the session to open, a UUID.
        lost: the id of the session of the attempt before, which is ended first; empty for none.
        folder: the folder, reachable by the engine under the same path, for the rows that it, or whohas for it, writes.
        password: the password of the user in `url`, instead of a token; empty for none.
        files: the beginning of the addresses by which the engine reaches folders, such as `local://`.
    """

    engine: RemoteName
    url: str
    token: str = field(repr=False)
    session: str
    lost: str
    folder: str
    password: str = field(default="", repr=False)
    files: str = ""


class RemoteEngine(Protocol):
    """A session on an engine."""

    @property
    def version(self) -> str:
        """The engine and its version, such as `Spark 4.2.0`."""
        ...

    def write_rows(
        self, sql: str, tables: Sequence[RemoteTable], folder: Path, on_share: Callable[[float], None]
    ) -> None:
        """Run a statement, and have the engine write its rows as Parquet files into a new folder.

        Args:
            sql: the statement, in the engine's dialect.
            tables: the tables that it reads.
            folder: the folder to create.
            on_share: called, possibly from another thread, with the share that is done, 0 to 1.

        Raises:
            WhohasError: the engine failed or cannot be reached; the message has its own words and what to do.
        """
        ...

    def interrupt(self) -> None:
        """Stop what the engine does for this session. Called from another thread; errors are ignored."""
        ...


def open_engine(address: EngineAddress) -> AbstractContextManager[RemoteEngine]:
    """Open a session on an engine; it is ended, and what it created there removed, when the context ends.

    Raises:
        WhohasError: the engine cannot be reached or refuses the session; the message says why.
    """
    if address.engine == "trino":
        from whohas.engine.trino import open_trino

        return open_trino(address)
    from whohas.engine.spark import open_spark

    return open_spark(address)


def rows_statement(folder: Path, columns: Sequence[ResultColumn], order: Sequence[SortKey]) -> str:
    """Return the DuckDB statement that reads the rows that an engine wrote with `RemoteEngine.write_rows`.

    Args:
        folder: the folder with the Parquet files, which have the columns c1, c2, … and the keys of the order.
        columns: the columns of the report.
        order: the keys of the order.
    """
    files = sorted(str(file) for file in folder.glob("*.parquet"))
    places = [f"c{number}" for number in range(1, len(columns) + 1)]
    types = {"text": "VARCHAR", "boolean": "BOOLEAN", "integer": "BIGINT", "texts": "VARCHAR[]"}
    cells = [
        f"make_timestamptz({place}::BIGINT) AS {place}"
        if column.type == "time"
        else f"{place}::{types[column.type]} AS {place}"
        for place, column in zip(places, columns, strict=True)
    ]
    if not files:
        nulls = ", ".join(f"NULL AS {quote_identifier(place)}" for place in places)
        return f"SELECT {', '.join(cells)} FROM (SELECT {nulls}) WHERE false"
    sorted_by = ", ".join(f"{key.column} {'DESC' if key.descending else 'ASC'} NULLS LAST" for key in order)
    return (
        f"SELECT {', '.join(cells)} FROM read_parquet([{', '.join(map(string_literal, files))}])"
        f"{f' ORDER BY {sorted_by}' if sorted_by else ''}"
    )
