"""Trino as the engine of a run: it reads the Delta tables by their log, and its rows come as pages over HTTP.

Trino has no temporary views. So a statement gets a WITH clause that binds the name of each table to the version of the
run's snapshot. The tables must be registered in a catalog with the Delta Lake connector; whohas registers those that
are not. For the views of the search index, which are plain Parquet files, and for tables that have times with
microseconds, it writes a Delta log next to links to the files, and registers that as a table of the session, which ends
with it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

from whohas.engine.duckdb import connect_unlimited
from whohas.engine.remote import OR_DUCKDB, EngineAddress, RemoteTable
from whohas.engine.sql import quote_identifier, referenced_column_indexes, string_literal
from whohas.errors import Unavailable, WhohasError

if TYPE_CHECKING:
    import pyarrow as pa
    from trino.client import TrinoRequest, TrinoStatus

_ATTEMPTS: Final = 7
"""Attempts at a request that fails because the server cannot be reached; together they take 6 to 25 seconds."""

_CELLS: Final = 500_000
"""Cells that are kept in memory before they are written to a file."""

_TIME: Final = "TIMESTAMP WITH TIME ZONE"
"""DuckDB's type of times."""


@contextmanager
def open_trino(address: EngineAddress) -> Generator[TrinoEngine]:
    """Open a session on a Trino server; see `remote.open_engine`."""
    engine = TrinoEngine(address)
    if address.lost:
        engine.end_session(address.lost)
    try:
        yield engine
    finally:
        engine.drop_tables(address.session)


class TrinoEngine:
    """A session on a Trino server. Created by `open_trino`.

    Trino itself has no sessions: what belongs to one is found by the source of queries and by the names of tables.
    """

    def __init__(self, address: EngineAddress) -> None:
        try:
            import trino  # noqa: F401 # pyright: ignore[reportUnusedImport]
        except ImportError as error:
            raise Unavailable(
                f"The client of Trino is not installed on this worker ({error}). Install `whohas[trino]`. {OR_DUCKDB}"
            ) from error
        self._address = address
        url = urlsplit(address.url)
        self._catalog, self._schema = (unquote(name) for name in url.path.strip("/").split("/"))
        self._next_uri: str | None = None
        self._has_tables = False
        ((version,),) = self._query("SELECT version()", "start a session")
        self._version = str(version)

    @property
    def version(self) -> str:
        """The version that the server reports, such as `Trino 476`."""
        return f"Trino {self._version}"

    def write_rows(
        self, sql: str, tables: Sequence[RemoteTable], folder: Path, on_share: Callable[[float], None]
    ) -> None:
        """Run a statement, and write its rows to a Parquet file as they come; see `RemoteEngine.write_rows`.

        At most `_CELLS` cells are kept in memory.
        """
        bound = [f"{quote_identifier(table.name)} AS (\n{self._table_sql(table, sql)}\n)" for table in tables]
        statement = f"WITH {', '.join(bound)}\n{sql}" if bound else sql
        folder.mkdir()
        rows: list[list[Any]] = []
        writer: _RowsWriter | None = None
        statuses = self._statuses(statement, "run the report's statement")
        try:
            for status in statuses:
                stats: dict[str, Any] = status.stats
                if stats.get("totalSplits"):
                    on_share(stats["completedSplits"] / stats["totalSplits"])
                if status.columns and writer is None:
                    writer = _RowsWriter(folder / "rows.parquet", status.columns)
                rows += cast("list[list[Any]]", status.rows)
                if writer is not None and len(rows) * writer.columns >= _CELLS:
                    writer.write(rows)
                    rows = []
            if writer is not None:
                writer.write(rows)
        finally:
            statuses.close()
            if writer is not None:
                writer.close()

    def interrupt(self) -> None:
        """Stop the statement of this session, and drop its tables; see `RemoteEngine.interrupt`."""
        if (uri := self._next_uri) is not None:
            self._cancel(uri)
        else:  # perhaps it is being sent
            with suppress(WhohasError):
                self._end_queries(self._address.session)
        self.drop_tables(self._address.session)

    def _cancel(self, uri: str) -> None:
        """Stop a query.

        Args:
            uri: the address of its next page.
        """
        with suppress(Exception):
            self._request(attempts=1).delete(uri)

    def end_session(self, session: str) -> None:
        """Stop the statement of another session, and drop its tables; errors are ignored."""
        with suppress(WhohasError):
            self._end_queries(session)
        self._has_tables = True
        self.drop_tables(session)

    def drop_tables(self, session: str) -> None:
        """Remove the tables that a session registered for itself; errors are ignored."""
        if not self._has_tables:
            return
        with suppress(WhohasError):
            pattern = string_literal(_table_prefix(session).replace("_", "!_") + "%")
            for (name,) in self._query(f"SHOW TABLES FROM {self._place} LIKE {pattern} ESCAPE '!'"):
                self._call("unregister_table", table_name=name)
            self._has_tables = False

    # --- tables

    @property
    def _place(self) -> str:
        return f"{quote_identifier(self._catalog)}.{quote_identifier(self._schema)}"

    def _table_sql(self, table: RemoteTable, sql: str) -> str:
        """Return the SQL of a table's rows, as they stood at its version.

        Args:
            sql: the statement that reads them.
        """
        if table.columns and table.version is None:
            nulls = ", ".join(f"CAST(NULL AS {type}) AS {quote_identifier(name)}" for name, type in _trino_types(table))
            return f"SELECT {nulls} WHERE false"
        if not table.columns or _has_microseconds(table, sql):
            return self._linked_table_sql(table)
        self._ensure_registered(table.name, table.folder)
        rows = f"FROM {self._place}.{quote_identifier(table.name)} FOR VERSION AS OF {table.version}"
        if not table.partition:
            return f"SELECT * {rows}"
        # An empty partition value is null by the protocol of Delta Lake, and empty in the files, which DuckDB reads.
        # Two selects instead of coalesce(), so that a condition on the partition still selects files.
        partition = quote_identifier(table.partition)
        columns = [quote_identifier(name) for name, _ in table.columns]
        filled = ", ".join("'' AS " + name if name == partition else name for name in columns)
        return (
            f"SELECT {', '.join(columns)} {rows} WHERE {partition} IS NOT NULL\nUNION ALL\n"
            f"SELECT {filled} {rows} WHERE {partition} IS NULL"
        )

    def _ensure_registered(self, name: str, folder: str) -> None:
        """Register a Delta table unless it is; check that a registered one lies in this warehouse.

        Raises:
            WhohasError: it cannot be registered, or there is another table of its name.
        """
        location = self._location(Path(folder))
        found = self._registered_location(name)
        if found is None:
            self._register(name, location)
            found = self._registered_location(name)
        if found is None or found.rstrip("/") != location:
            raise WhohasError(
                f"Trino at {self._host} has the table {self._catalog}.{self._schema}.{name} at {found}, and not at "
                f"{location}, where the warehouse of whohas is. Name a schema for whohas alone in WHOHAS_TRINO_URL, or "
                f"correct WHOHAS_TRINO_FILES. {OR_DUCKDB}"
            )

    def _registered_location(self, name: str) -> str | None:
        """Return the location of a table; None if there is no such table."""
        sql = f"SHOW CREATE TABLE {self._place}.{quote_identifier(name)}"
        try:
            ((definition,),) = self._query(sql, f"describe the table {name}")
        except _Refused as error:
            if error.name in ("TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND"):
                return None
            raise
        match = re.search(r"^\s*location = '((?:[^']|'')*)'", definition, re.MULTILINE)
        return match[1].replace("''", "'") if match else ""

    def _register(self, name: str, location: str) -> None:
        call = self._procedure("register_table", table_name=name, table_location=location)
        create = f"CREATE SCHEMA IF NOT EXISTS {self._place}"
        try:
            try:
                self._query(call)
            except _Refused as error:
                if error.name not in ("SCHEMA_NOT_FOUND", "NOT_FOUND"):
                    raise
                self._query(create)
                self._query(call)
        except _Refused as error:
            if error.name == "TABLE_ALREADY_EXISTS":  # another run has registered it in the meantime
                return
            raise WhohasError(
                f"Trino at {self._host} does not have the table {name}, and did not let whohas register it: "
                f"{error.words} Let an administrator run there: {create}; {call}; "
                f"Or let the user of WHOHAS_TRINO_URL do so, with delta.register-table-procedure.enabled=true in the "
                f"catalog. {OR_DUCKDB}"
            ) from error

    def _linked_table_sql(self, table: RemoteTable) -> str:
        """Return the SQL of the rows of a table's files, which are registered as a table of this session."""
        key = f"{table.name.lower()}_{zlib.crc32(json.dumps(table.files).encode()):08x}"
        name = _table_prefix(self._address.session) + key
        folder = Path(self._address.folder) / "tables" / key
        fields = _fields_of(table)
        if not folder.exists():
            _write_delta_table(folder, fields, [Path(file) for file in table.files])
            self._has_tables = True
            self._register(name, self._location(folder))
        found = {field.name: _column_sql(field) for field in fields}
        nulls = {name: f"CAST(NULL AS {type}) AS {quote_identifier(name)}" for name, type in _trino_types(table)}
        columns = ", ".join({**nulls, **found}.values())
        return f"SELECT {columns} FROM {self._place}.{quote_identifier(name)}"

    def _location(self, folder: Path) -> str:
        """Return the address of a folder for Trino."""
        return f"{self._address.files}{folder}"

    def _procedure(self, name: str, **arguments: str) -> str:
        """Return the call of a procedure of the catalog for a table of the schema."""
        given = {"schema_name": self._schema, **arguments}
        values = ", ".join(f"{key} => {string_literal(value)}" for key, value in given.items())
        return f"CALL {quote_identifier(self._catalog)}.system.{name}({values})"

    def _call(self, procedure: str, **arguments: str) -> None:
        self._query(self._procedure(procedure, **arguments))

    # --- queries

    @property
    def _host(self) -> str:
        """The address of the server, without its user."""
        url = urlsplit(self._address.url)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"

    def _request(self, attempts: int = _ATTEMPTS) -> TrinoRequest:
        from trino.auth import BasicAuthentication, JWTAuthentication
        from trino.client import ClientSession, TrinoRequest

        url = urlsplit(self._address.url)
        user = unquote(url.username or "")
        auth = None
        if self._address.token:
            auth = JWTAuthentication(self._address.token)
        elif self._address.password:
            auth = BasicAuthentication(user, self._address.password)
        session = ClientSession(user, source=_source(self._address.session), timezone="UTC")
        port = url.port or (443 if url.scheme == "https" else 8080)
        return TrinoRequest(url.hostname or "", port, session, http_scheme=url.scheme, auth=auth, max_attempts=attempts)

    def _query(self, sql: str, action: str = "prepare the tables of the report") -> list[list[Any]]:
        """Return all rows of a short query."""
        return [row for status in self._statuses(sql, action) for row in cast("list[list[Any]]", status.rows)]

    def _statuses(self, sql: str, action: str) -> Generator[TrinoStatus]:
        """Run a query; yield what the server answers, a page of rows at a time. The query is stopped if the generator
        is closed before its end.

        Raises:
            WhohasError: the engine failed or cannot be reached.
        """
        try:
            request = self._request()
            status = request.process(request.post(sql))
            self._next_uri = status.next_uri
            yield status
            while status.next_uri is not None:
                status = request.process(request.get(status.next_uri))
                self._next_uri = status.next_uri
                yield status
        except GeneratorExit:
            if self._next_uri is not None:
                self._cancel(self._next_uri)
            raise
        except Exception as error:
            raise self._error(error, action) from error
        finally:
            self._next_uri = None

    def _end_queries(self, session: str) -> None:
        """Stop the queries of a session."""
        sql = f"SELECT query_id FROM system.runtime.queries WHERE source = {string_literal(_source(session))}"
        for (id,) in self._query(
            f"{sql} AND state NOT IN ('FINISHED', 'FAILED') AND query NOT LIKE '%runtime.queries%'"
        ):
            self._query(f"CALL system.runtime.kill_query({string_literal(id)}, 'The run of whohas was ended')")

    def _error(self, error: Exception, action: str) -> WhohasError:
        """Return an error of the client as one of whohas: what failed, the engine's own words, and what to do.

        Args:
            action: what the engine could not do.
        """
        from requests.exceptions import RequestException
        from trino.exceptions import HttpError, TrinoConnectionError, TrinoQueryError

        words = _words(error.message if isinstance(error, TrinoQueryError) else str(error))
        if isinstance(error, TrinoQueryError):
            name = error.error_name or ""
            if name in _SERVER_ENDS:
                return self._unreachable(words)
            return _Refused(
                f"Trino at {self._host} could not {action}: {words} Correct that there, and start the report again. "
                f"{OR_DUCKDB}",
                name,
                words,
            )
        if isinstance(error, HttpError) and re.match(r"error 40[13]\b", str(error)):
            return Unavailable(
                f"Trino at {self._host} refused the user of whohas: {words} Correct WHOHAS_TRINO_TOKEN or "
                f"WHOHAS_TRINO_PASSWORD, and the user in WHOHAS_TRINO_URL. {OR_DUCKDB}"
            )
        if isinstance(error, RequestException | HttpError | TrinoConnectionError):
            return self._unreachable(words)
        return WhohasError(f"Trino at {self._host} could not {action}: {words} Start the report again. {OR_DUCKDB}")

    def _unreachable(self, words: str) -> Unavailable:
        return Unavailable(
            f"Trino at {self._host} cannot be reached, or ended while it ran the report: {words} Start it, or correct "
            f"WHOHAS_TRINO_URL, and start the report again. {OR_DUCKDB}"
        )


_SERVER_ENDS: Final = ("SERVER_SHUTTING_DOWN", "SERVER_STARTING_UP")
"""The names of errors by which a server says that it runs no query at the moment."""


class _Refused(WhohasError):
    """A query that Trino refused or that failed in it.

    Attributes:
        name: the name of Trino's error, such as `TABLE_NOT_FOUND`.
        words: its message.
    """

    def __init__(self, message: str, name: str, words: str) -> None:
        super().__init__(message)
        self.name = name
        self.words = words


def _source(session: str) -> str:
    """Return the source by which the queries of a session are found."""
    return f"whohas-{session}"


def _table_prefix(session: str) -> str:
    """Return the beginning of the names of tables that a session registers for itself."""
    return f"whohas_{session.replace('-', '')}_"


def _words(text: str) -> str:
    """Return an error's own words as one line, at most 500 characters."""
    line = " ".join(text.split())[:500]
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _trino_types(table: RemoteTable) -> list[tuple[str, str]]:
    """Return name and Trino type of each column of a table."""
    from sqlglot import exp

    return [(name, exp.DataType.build(type, dialect="duckdb").sql("trino")) for name, type in table.columns]


def _has_microseconds(table: RemoteTable, sql: str) -> bool:
    """Return whether a table has times that are finer than a millisecond.

    Trino's connector reads times of Delta tables in milliseconds, and would cut these.

    Args:
        sql: the statement; only columns that it may name are looked at.
    """
    if not table.files:
        return False
    with connect_unlimited() as connection:
        files = f"read_parquet([{', '.join(map(string_literal, table.files))}], union_by_name = true)"
        columns = [(name, type) for name, type, *_ in connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()]
        named = (columns[index] for index in referenced_column_indexes([name for name, _ in columns], sql))
        finer = [f"epoch_us({quote_identifier(name)}) % 1000 <> 0" for name, type in named if type == _TIME]
        if not finer:
            return False
        found = connection.execute(f"SELECT 1 FROM {files} WHERE {' OR '.join(finer)} LIMIT 1").fetchone()
    return found is not None


# --- rows as they come


class _RowsWriter:
    """Writes the rows of a query to a Parquet file.

    Attributes:
        columns: the number of columns.
    """

    def __init__(self, path: Path, columns: Sequence[dict[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.columns = len(columns)
        self._times = {place for place, column in enumerate(columns) if column["type"].startswith("timestamp")}
        self._schema = pa.schema([(column["name"], _arrow_type(column["type"])) for column in columns])
        self._writer = pq.ParquetWriter(path, self._schema)

    def write(self, rows: Sequence[list[Any]]) -> None:
        """Append rows, as the server sent them."""
        import pyarrow as pa

        cells = list(zip(*rows, strict=True)) or [()] * self.columns
        arrays = [
            _microseconds(column) if place in self._times else pa.array(column, field.type)
            for place, (column, field) in enumerate(zip(cells, self._schema, strict=True))
        ]
        self._writer.write_batch(pa.record_batch(arrays, self._schema))

    def close(self) -> None:
        self._writer.close()


def _arrow_type(type: str) -> pa.DataType:
    """Return the Arrow type for a type of Trino. Times become microseconds since 1970."""
    import pyarrow as pa

    if type.startswith("array("):
        return pa.list_(_arrow_type(type.removeprefix("array(").removesuffix(")")))
    name = type.partition("(")[0]
    if name.startswith("timestamp"):
        return pa.int64()
    known = {"varchar": pa.string(), "unknown": pa.string(), "boolean": pa.bool_(), "double": pa.float64()}
    known |= dict.fromkeys(("bigint", "integer", "smallint", "tinyint"), pa.int64())
    if name not in known:
        raise WhohasError(f"The statement gives a column of the type {type}, which whohas does not read from Trino.")
    return known[name]


def _microseconds(texts: Sequence[str | None]) -> pa.Array[Any]:
    """Return times, such as `2026-01-02 03:04:05.678 UTC`, as microseconds since 1970."""
    import pyarrow as pa

    without_zone = [None if text is None else text.removesuffix(" UTC") for text in texts]
    return pa.array(without_zone, pa.string()).cast(pa.timestamp("us")).cast(pa.int64())


# --- Parquet files as a Delta table


def _fields_of(table: RemoteTable) -> list[pa.Field[Any]]:
    """Return the columns that the files of a table have, without those that the table has not."""
    import pyarrow.parquet as pq

    names = {name for name, _ in table.columns}
    fields = {field.name: field for file in table.files for field in pq.read_schema(file)}
    return [field for name, field in fields.items() if not names or name in names]


def _column_sql(field: pa.Field[Any]) -> str:
    """Return the SQL of a column of such a table. Its times have no zone, because only these have microseconds."""
    import pyarrow as pa

    name = quote_identifier(field.name)
    return f"with_timezone({name}, 'UTC') AS {name}" if pa.types.is_timestamp(field.type) else name


def _write_delta_table(folder: Path, fields: Sequence[pa.Field[Any]], files: Sequence[Path]) -> None:
    """Make a folder a Delta table of Parquet files, which are linked into it, or copied from another file system.

    The log is written here and not by the library deltalake, which fails in forked processes.
    """
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    now = time.time_ns() // 1_000_000
    features = ["timestampNtz"]
    protocol = {"minReaderVersion": 3, "readerFeatures": features, "minWriterVersion": 7, "writerFeatures": features}
    actions: list[dict[str, Any]] = [
        {"protocol": protocol},
        {
            "metaData": {
                "id": folder.name, "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": _delta_fields(fields)}),
                "partitionColumns": [], "configuration": {}, "createdTime": now,
            }
        },
    ]  # fmt: skip
    for number, file in enumerate(files):
        target = folder / f"{number}.parquet"
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)
        add = {"path": target.name, "size": target.stat().st_size, "partitionValues": {}, "modificationTime": now}
        actions.append({"add": {**add, "dataChange": True}})
    (log / f"{0:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))


def _delta_fields(fields: Iterable[pa.Field[Any]]) -> list[dict[str, Any]]:
    return [{"name": field.name, "type": _delta_type(field.type), "nullable": True, "metadata": {}} for field in fields]


def _delta_type(type: pa.DataType) -> Any:
    """Return the type of a column in a Delta log."""
    import pyarrow as pa

    if pa.types.is_list(type):
        return {"type": "array", "elementType": _delta_type(type.value_type), "containsNull": True}
    if pa.types.is_map(type):
        key, value = _delta_type(type.key_type), _delta_type(type.item_type)
        return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}
    if pa.types.is_struct(type):
        return {"type": "struct", "fields": _delta_fields(type)}
    if pa.types.is_timestamp(type):
        return "timestamp_ntz"
    names = {"string": "string", "large_string": "string", "bool": "boolean", "int64": "long", "int32": "integer"}
    names |= {"int16": "short", "int8": "byte", "double": "double"}
    if str(type) not in names:
        raise WhohasError(f"A file of the warehouse has a column of the type {type}, which Trino does not read.")
    return names[str(type)]
