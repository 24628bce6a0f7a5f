"""Spark as the engine of a run, over Spark Connect: one protocol for Apache Spark, Databricks and Sail."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from whohas.engine.remote import OR_DUCKDB, EngineAddress, RemoteTable
from whohas.errors import Unavailable, WhohasError

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.connect.shell.progress import ProgressHandler

_SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    # an overflow or a wrong cast is an error, as in DuckDB, and not a null
    "spark.sql.ansi.enabled": "true",
    # without it, `${name}` in a text of the statement would be replaced
    "spark.sql.variable.substitute": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
}
"""Settings of the session by which Spark computes what DuckDB computes."""

_TIDY: Final = ("spark.sql.connect.shuffleDependency.fileCleanup.enabled", "true")
"""The setting by which executors remove their temporary files when a statement ends, and not only some time later."""

_RETRIES: Final = 5
"""Attempts at a call that fails because the server cannot be reached; together they take about 17 seconds."""


@contextmanager
def open_spark(address: EngineAddress) -> Generator[SparkEngine]:
    """Open a session on a Spark Connect server; see `remote.open_engine`."""
    if address.lost:
        with suppress(WhohasError):
            SparkEngine(_connected(address, address.lost), address).interrupt()
    session = _connected(address, address.session)
    try:
        yield SparkEngine(session, address)
    finally:
        with suppress(Exception):
            session.stop()


def _connected(address: EngineAddress, id: str) -> SparkSession:
    """Return a session with `_SETTINGS`: a new one, or one that is open.

    Args:
        id: the session's id, a UUID.

    Raises:
        WhohasError: the server cannot be reached or refuses the session.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about versions of pandas, which is not used here
            from pyspark.sql.connect.client.retries import DefaultPolicy
            from pyspark.sql.connect.session import SparkSession
    except ImportError as error:
        raise Unavailable(
            f"The client of Spark is not installed on this worker ({error}). Install `whohas[spark]`. {OR_DUCKDB}"
        ) from error
    try:
        session = SparkSession.builder.remote(_connection_string(address, id)).create()
        session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it advises against the value that is set
            for name, value in _SETTINGS.items():
                session.conf.set(name, value)
            with suppress(Exception):  # some services let nobody set it
                session.conf.set(*_TIDY)
        return session
    except Exception as error:
        raise _engine_error(error, address) from error


def _connection_string(address: EngineAddress, id: str) -> str:
    """Return the address with the session's id, and the token if there is one, which requires TLS."""
    options = [f"session_id={id}", "user_agent=whohas"]
    if address.token:
        options.append(f"token={quote(address.token, safe='')}")
    separator = ";" if "/;" in address.url else "/;"
    return f"{address.url.rstrip('/')}{separator}{';'.join(options)}"


class SparkEngine:
    """A session on a Spark Connect server. Created by `open_spark`."""

    def __init__(self, session: SparkSession, address: EngineAddress) -> None:
        self._session = session
        self._address = address

    @property
    def version(self) -> str:
        """The version that the server reports, such as `Spark 4.2.0`.

        Sail reports the version of Spark whose protocol it speaks, and by the function `version` its own. Example:
        `Spark 4.2.0 (server 0.7.2)`.
        """
        version = self._session.version
        with suppress(Exception):
            ((own,),) = self._session.sql("SELECT version()").collect()
            if not own.startswith(version):
                return f"Spark {version} (server {own})"
        return f"Spark {version}"

    def write_rows(
        self, sql: str, tables: Sequence[RemoteTable], folder: Path, on_share: Callable[[float], None]
    ) -> None:
        """Run a statement, and have the executors write its rows; see `RemoteEngine.write_rows`."""

        def on_progress(
            stages: Iterable[Any] | None, inflight_tasks: int, operation_id: str | None, done: bool
        ) -> None:
            known = list(stages or ())
            tasks = sum(stage.num_tasks for stage in known)
            if tasks:
                on_share(sum(stage.num_completed_tasks for stage in known) / tasks)

        try:
            for table in tables:
                self._open_table(table)
            self._session.registerProgressHandler(cast("ProgressHandler", on_progress))
            self._session.sql(sql).write.parquet(folder.as_uri())
        except WhohasError:
            raise
        except Exception as error:
            raise _engine_error(error, self._address) from error

    def interrupt(self) -> None:
        """Stop every operation of the session, and end it."""
        with suppress(Exception):
            self._session.interruptAll()
        with suppress(Exception):
            self._session.stop()

    def _open_table(self, table: RemoteTable) -> None:
        try:
            self._create_view(table)
        except Exception as error:
            raise _engine_error(error, self._address, f"read the table {table.name}") from error

    def _create_view(self, table: RemoteTable) -> None:
        """Create a view of a table that only this session sees."""
        session = self._session
        if not table.columns:
            rows = session.read.parquet(*map(_uri, table.files))
        elif table.version is None:
            nulls = ", ".join(f"CAST(NULL AS {type}) AS {_quoted(name)}" for name, type in _spark_columns(table))
            rows = session.sql(f"SELECT {nulls} WHERE false")
        else:
            try:
                delta = session.read.format("delta").option("versionAsOf", table.version).load(_uri(table.folder))
                delta.createOrReplaceTempView(table.name)
                return
            except Exception as error:
                if not _lacks_delta(error):
                    raise
            # without Spark's connector for Delta tables: the files of the version, by the schema of the table, because
            # some of them have more columns
            schema = ", ".join(f"{_quoted(name)} {type}" for name, type in _spark_columns(table))
            rows = session.read.schema(schema).parquet(*map(_uri, table.files))
        rows.createOrReplaceTempView(table.name)


def _uri(path: str) -> str:
    """Return the address of a file or folder as Spark writes it. Its connector for S3 is named s3a, also in Sail."""
    return path.replace("s3://", "s3a://", 1) if path.startswith("s3://") else Path(path).as_uri()


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _spark_columns(table: RemoteTable) -> list[tuple[str, str]]:
    """Return name and Spark type of each column of a table."""
    from sqlglot import exp

    return [(name, exp.DataType.build(type, dialect="duckdb").sql("spark")) for name, type in table.columns]


def _lacks_delta(error: Exception) -> bool:
    """Return whether an error says that the server has no connector for Delta tables."""
    condition = getattr(error, "getCondition", None)
    return (condition is not None and condition() == "DATA_SOURCE_NOT_FOUND") or "DATA_SOURCE_NOT_FOUND" in str(error)


_GONE: Final = ("UNAVAILABLE", "failed to connect", "Failed to connect", "RETRIES_EXCEEDED", "INVALID_HANDLE")
"""Signs in an error that the server cannot be reached, or was started again and does not know the session."""


def _engine_error(error: Exception, address: EngineAddress, action: str = "run the report's statement") -> WhohasError:
    """Return an error of the client as one of whohas: what failed, the engine's own words, and what to do.

    Args:
        action: what the engine could not do.
    """
    words = _words(error)
    host = address.url.partition("/;")[0]
    if "UNAUTHENTICATED" in words or "PERMISSION_DENIED" in words or "Invalid authentication token" in words:
        return Unavailable(
            f"Spark at {host} refused the token of whohas: {words} Correct WHOHAS_SPARK_TOKEN. {OR_DUCKDB}"
        )
    if any(sign in words for sign in _GONE):
        return Unavailable(
            f"Spark at {host} cannot be reached, or ended while it ran the report: {words} Start it, or correct "
            f"WHOHAS_SPARK_URL, and start the report again. {OR_DUCKDB}"
        )
    cause = _root_cause(error) or str(error)
    if address.folder in cause or "No space left" in cause:
        return WhohasError(
            f"Spark at {host} could not write the rows: {words} It must be able to write to "
            f"{Path(address.folder).parent} (WHOHAS_SPARK_FOLDER), and have room there. Correct that, and start the "
            f"report again. {OR_DUCKDB}"
        )
    return WhohasError(
        f"Spark at {host} could not {action}: {words} Correct that there, and start the report again. {OR_DUCKDB}"
    )


def _own_words(error: BaseException) -> str:
    """Return the text of one error; of an error of gRPC, the name of its status and its details."""
    text = str(error).strip()
    found = re.search(r'status = StatusCode\.(\w+)\s+details = "(.*?)"\s+debug_error_string', text, re.DOTALL)
    return f"{found[1]}: {found[2]}" if found else text


def _root_cause(error: Exception) -> str:
    """Return the first cause of an error of Apache Spark, which its message may leave out; empty if it has none.

    Example: `java.io.IOException: No space left on device`, of "Task failed while writing rows to file:/exchange".
    """
    read_trace = getattr(error, "getStackTrace", None)
    trace = (read_trace() if callable(read_trace) else None) or ""
    return next(reversed(re.findall(r"^Caused by: (.+)$", str(trace), re.MULTILINE)), "")


def _words(error: Exception) -> str:
    """Return an error's own words as one line, at most 500 characters."""
    texts = [_own_words(error)]
    cause: BaseException | None = error.__cause__ or error.__context__
    while cause is not None and len(texts) < 4:
        texts.append(_own_words(cause))
        cause = cause.__cause__ or cause.__context__
    text = next((text for text in texts if text), type(error).__name__)
    if "UNAVAILABLE" not in text:
        text += next((f" ({found.splitlines()[0]})" for found in texts[1:] if "UNAVAILABLE" in found), "")
    text = " ".join(text.split("\n\n")[0].split())
    root = _root_cause(error)
    text = text[:500] if not root or root in text else f"{text[:300]} ({root[:200]})"
    return text if text.endswith((".", "!", "?")) else f"{text}."
