"""A run of a report: wait for it, and save or read its rows. `Run` and `AsyncRun` share the steps of `RunSteps`."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, overload

from whohas_client._download import PartialFile
from whohas_client._formats import FileKind, file_kind
from whohas_client._progress import ProgressLine
from whohas_client._protocol import AsyncPerform, OnProgress, Perform, ReportsProtocol, RunBlocking, Steps
from whohas_client._rows import Row, closing, open_part, text_rows, typed_rows
from whohas_client._saving import save_to_file, save_to_path
from whohas_client._tables import read_csv, read_parquet, require, to_pandas
from whohas_client.contract import ReportResults, TaskMessage
from whohas_client.errors import InvalidArguments, ReportFailed, ReportWarning

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BATCH = 1_000
"""Rows that an asynchronous client parses at a time in a thread."""

Target = str | PathLike[str] | IO[bytes]
Columns = Mapping[str, Mapping[str, str]]
"""The parts of a run by their names, each with the types of its columns by their names."""


class RunSteps:
    """The operations on one run, as generators of steps; remembers the result once the run has ended."""

    def __init__(self, protocol: ReportsProtocol, run_id: str, title: str, progress: bool) -> None:
        self._protocol = protocol
        self.run_id = run_id
        self._title = title
        self._progress = progress
        self._result: ReportResults | None = None
        self._columns: Columns | None = None
        self._has_columns = True

    def state(self) -> Steps[ReportResults]:
        """Get the present state of the run."""
        return self._protocol.result(self.run_id, completed=False)

    def cancel(self) -> Steps[None]:
        """Cancel the run."""
        return self._protocol.cancel(self.run_id)

    def wait(self, timeout: float | None, on_progress: OnProgress | None = None) -> Steps[ReportResults]:
        """Wait for the end of the run; see `Run.wait`."""
        if self._result is not None:
            return self._result
        line = ProgressLine(self._title, self._progress)

        def show(result: ReportResults) -> None:
            line.show_result(result)
            if on_progress is not None:
                on_progress(result)

        try:
            result = yield from self._protocol.wait(self.run_id, show, timeout)
        finally:
            line.clear()
        if result.status not in ("SUCCESS", "WARNING"):
            errors = _texts(result, lambda message: message.error)
            raise ReportFailed(f"The run {self.run_id} ended as {result.status}. {errors}".strip(), result)
        self._result = result
        if result.status == "WARNING":
            texts = _texts(result, lambda message: message.error or message.warning)
            warnings.warn(f"The run {self.run_id} ended as WARNING. {texts}".strip(), ReportWarning, stacklevel=2)
        return result

    def save(self, to: Target, format: str | None, name: str | None, timeout: float | None) -> Steps[Path | None]:
        """Save a file of the run; see `Run.to`."""
        if isinstance(to, str | PathLike):
            path = Path(to)
            kind = FileKind((format or "csv").lower(), None) if path.is_dir() else file_kind(path.name, format)
        else:
            path, kind = None, _kind_of_file(to, format)
        if path is not None and not path.parent.is_dir():  # said before the run is waited for
            raise InvalidArguments(f"{path} cannot be written: there is no folder {path.parent}. Create it first.")
        yield from self.wait(timeout)
        line = ProgressLine(self._title, self._progress)
        try:
            if path is not None:
                return (
                    yield from save_to_path(
                        self._protocol, self.run_id, kind, path, name=name, on_bytes=line.show_bytes
                    )
                )
            assert not isinstance(to, str | PathLike)
            yield from save_to_file(self._protocol, self.run_id, kind, to, name=name, on_bytes=line.show_bytes)
            return None
        finally:
            line.clear()

    def rows(self, part: str | None, timeout: float | None) -> Steps[Iterator[Row]]:
        """Open the rows of the run; see `Run.rows`."""
        yield from self.wait(timeout)
        columns = yield from self._types()
        file = PartialFile()
        try:
            is_zip = yield from self._fetch(file, "csv" if columns is None else "ndjson")
            content, name = yield RunBlocking(lambda: open_part(file.file, is_zip, part))
        except BaseException:
            file.discard()
            raise
        if columns is None:
            return closing(text_rows(content), file.discard)
        types = columns.get(name or "") or (next(iter(columns.values())) if len(columns) == 1 else {})
        return closing(typed_rows(content, types), file.discard)

    def table(self, part: str | None, timeout: float | None) -> Steps[pa.Table]:
        """Read the rows of the run into a table of Arrow; see `Run.to_arrow`."""
        require("pyarrow", "arrow")
        yield from self.wait(timeout)
        columns = yield from self._types()
        read = read_csv if columns is None else read_parquet
        with PartialFile() as file:
            is_zip = yield from self._fetch(file, "csv" if columns is None else "parquet")

            def read_part() -> pa.Table:
                return read(open_part(file.file, is_zip, part)[0])

            return (yield RunBlocking(read_part))

    def frame(self, part: str | None, timeout: float | None) -> Steps[pd.DataFrame]:
        """Read the rows of the run into a DataFrame; see `Run.to_pandas`."""
        for library in ("pyarrow", "pandas"):
            require(library, "pandas")
        table = yield from self.table(part, timeout)
        return (yield RunBlocking(lambda: to_pandas(table)))

    def _types(self) -> Steps[Columns | None]:
        """Return the columns of the run, which the server is asked for once; None for a server that is not whohas."""
        if self._columns is None and self._has_columns:
            self._columns = yield from self._protocol.columns(self.run_id)
            self._has_columns = self._columns is not None
        return self._columns

    def _fetch(self, file: PartialFile, format: str) -> Steps[bool]:
        """Download a file of the run; return whether it is a zip."""
        line = ProgressLine(self._title, self._progress)
        try:
            head = yield from self._protocol.fetch(self.run_id, {"fileFormat": format}, file, line.show_bytes)
        finally:
            line.clear()
        return head.is_zip


def _texts(result: ReportResults, wanted: Callable[[TaskMessage], bool]) -> str:
    return " ".join(message.localizedText or "" for message in result.messages if wanted(message))


def _kind_of_file(file: IO[bytes], format: str | None) -> FileKind:
    if isinstance(file, io.TextIOBase):
        raise InvalidArguments("The file is open as text. Open it in binary mode: open(name, 'wb').")
    if not hasattr(file, "write"):
        raise InvalidArguments(f"{type(file).__name__} is neither a path nor a file that is open for writing.")
    name = getattr(file, "name", None)
    # a descriptor is named by its number, standard output by <stdout>
    is_path = isinstance(name, str) and not name.startswith("<")
    return file_kind(None if format or not is_path else name, format)


class Run:
    """A run of a report on a server. `Client.run` starts one; `Client.open_run` finds an earlier one.

    The methods that save or read rows first wait until the run has ended. On a terminal they show their progress on
    stderr, unless the client has `progress=False`. A run that ends with the status WARNING has complete files; its
    messages are issued as a `ReportWarning`.

    Raises (every method):
        ReportFailed: the run failed or was cancelled; the error has the messages of the run.
        TimedOut: the run has not ended after `timeout` seconds; it stays active.
        DamagedDownload: a file is not the one that the server announced; nothing was saved.
        NotFound: the server has no such run or file.

    Attributes:
        id: the id of the run.
    """

    def __init__(self, steps: RunSteps, perform: Perform) -> None:
        self._steps = steps
        self._perform = perform
        self.id = steps.run_id

    def __repr__(self) -> str:
        return f"<Run {self.id}>"

    def result(self) -> ReportResults:
        """Return the present state of the run; until the run has ended, its `status` is empty (None)."""
        return self._perform(self._steps.state())

    def wait(self, timeout: float | None = None, on_progress: OnProgress | None = None) -> ReportResults:
        """Wait until the run has ended, and return its result: its rows, duration, messages and formats.

        Args:
            timeout: the longest wait in seconds; None for no limit.
            on_progress: called with each result that differs from the last.
        """
        return self._perform(self._steps.wait(timeout, on_progress))

    def cancel(self) -> None:
        """Cancel the run; no effect if it has ended."""
        self._perform(self._steps.cancel())

    @overload
    def to(
        self, to: str | PathLike[str], format: str | None = None, *, name: str | None = None,
        timeout: float | None = None,
    ) -> Path: ...  # fmt: skip
    @overload
    def to(
        self, to: IO[bytes], format: str | None = None, *, name: str | None = None, timeout: float | None = None
    ) -> None: ...
    def to(
        self, to: Target, format: str | None = None, *, name: str | None = None, timeout: float | None = None
    ) -> Path | None:
        """Save a file of the run, and return its path; None for an open file.

        A file appears only when it is complete and its length and SHA-256 are those that the server announced; an
        existing file is replaced and keeps its permissions; only you can read a new one. A download whose connection
        breaks is resumed. A search export is a zip on the server: it is unpacked if it has one file, unless the name
        ends in `.zip`.

        Args:
            to: the path of the file; an existing folder, in which the file gets the name that the server suggests; or
                a file that is open in binary mode.
            format: the format, such as `csv`, `pdf`, or on whohas `xlsx`, `json` and `parquet`. Default: from the
                ending of the name; in a folder `csv`.
            name: a name to request from the server, for its audit log and for files in folders.
            timeout: the longest wait for the end of the run, in seconds; None for no limit.

        Raises:
            InvalidArguments: the name has no ending that is known, the path cannot be written, or the report makes
                several files and the name does not end in `.zip`.
        """
        return self._perform(self._steps.save(to, format, name, timeout))

    def rows(self, part: str | None = None, timeout: float | None = None) -> Iterator[Row]:
        """Return the rows of the run, each as a dict by the names of the columns, in the order of the report.

        On whohas, values are of the types of the report: str, bool, int, datetime with a time zone, list of str, or
        None. (A time in a year that datetime cannot hold stays a text.) Another server sends only CSV, which has no
        types: there every value is the text of its cell. The file is downloaded and verified before the first row; it
        takes space in the temporary folder and no memory.

        Args:
            part: the file of a search export with several, by its name without the ending, such as `Identities`.
            timeout: the longest wait for the end of the run, in seconds; None for no limit.

        Raises:
            InvalidArguments: there is no such part, or there are several and none is named.
        """
        return self._perform(self._steps.rows(part, timeout))

    def to_arrow(self, part: str | None = None, timeout: float | None = None) -> pa.Table:
        """Return the rows as a table of Apache Arrow. Needs the extra `whohas-client[arrow]`.

        On whohas the columns have the types of the report; from another server every column is text, as in `rows`.

        Args:
            part: the file of a search export with several, by its name without the ending, such as `Identities`.
            timeout: the longest wait for the end of the run, in seconds; None for no limit.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        return self._perform(self._steps.table(part, timeout))

    def to_pandas(self, part: str | None = None, timeout: float | None = None) -> pd.DataFrame:
        """Return the rows as a DataFrame of pandas. Needs the extra `whohas-client[pandas]`.

        The columns are those of `to_arrow`, with Arrow's types (`pandas.ArrowDtype`), which keep integers with gaps.

        Args:
            part: the file of a search export with several, by its name without the ending, such as `Identities`.
            timeout: the longest wait for the end of the run, in seconds; None for no limit.

        Raises:
            MissingExtra: pandas or pyarrow is not installed.
        """
        return self._perform(self._steps.frame(part, timeout))


class AsyncRun:
    """The asyncio version of `Run`, with the same arguments and errors; `rows` is an asynchronous iterator.

    Attributes:
        id: the id of the run.
    """

    def __init__(self, steps: RunSteps, perform: AsyncPerform) -> None:
        self._steps = steps
        self._perform = perform
        self.id = steps.run_id

    def __repr__(self) -> str:
        return f"<AsyncRun {self.id}>"

    async def result(self) -> ReportResults:
        """Return the present state of the run; see `Run.result`."""
        return await self._perform(self._steps.state())

    async def wait(self, timeout: float | None = None, on_progress: OnProgress | None = None) -> ReportResults:
        """Wait until the run has ended, and return its result; see `Run.wait`."""
        return await self._perform(self._steps.wait(timeout, on_progress))

    async def cancel(self) -> None:
        """Cancel the run; no effect if it has ended."""
        await self._perform(self._steps.cancel())

    @overload
    async def to(
        self, to: str | PathLike[str], format: str | None = None, *, name: str | None = None,
        timeout: float | None = None,
    ) -> Path: ...  # fmt: skip
    @overload
    async def to(
        self, to: IO[bytes], format: str | None = None, *, name: str | None = None, timeout: float | None = None
    ) -> None: ...
    async def to(
        self, to: Target, format: str | None = None, *, name: str | None = None, timeout: float | None = None
    ) -> Path | None:
        """Save a file of the run, and return its path; see `Run.to`."""
        steps = self._steps.save(to, format, name, timeout)
        return await self._perform(steps)

    async def rows(self, part: str | None = None, timeout: float | None = None) -> AsyncIterator[Row]:
        """Yield the rows of the run; see `Run.rows`."""
        rows = await self._perform(self._steps.rows(part, timeout))
        while batch := await asyncio.to_thread(lambda: list(islice(rows, _BATCH))):
            for row in batch:
                yield row

    async def to_arrow(self, part: str | None = None, timeout: float | None = None) -> pa.Table:
        """Return the rows as a table of Apache Arrow; see `Run.to_arrow`."""
        return await self._perform(self._steps.table(part, timeout))

    async def to_pandas(self, part: str | None = None, timeout: float | None = None) -> pd.DataFrame:
        """Return the rows as a DataFrame of pandas; see `Run.to_pandas`."""
        return await self._perform(self._steps.frame(part, timeout))
