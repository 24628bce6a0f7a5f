"""The operations that commands need of an installation, and what they return; local and remote ones implement them.

`LocalBackend` (`local.py`) calls the services of this machine, `RemoteBackend` (`remote.py`) the HTTP API of a server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from whohas.contract import ReportResults

ACTIVE = ("queued", "running", "cancelling")
"""The states of a run that has not ended."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, as lists show it.

    Attributes:
        report: the type of its report.
        arguments: its arguments for people: `source name: Payroll`.
        state: a value of `RunState`.
        progress: how far it is, in a sentence.
        percent: how far it is, 0 to 100.
        rows: the number of rows of its report; None if it has not ended or the server does not say.
        seconds: how long it took; None if it has not ended.
        to_api: returns the run as `GET /whohas/runs/{id}` does; as the task-status API if the server is no whohas.
    """

    id: str
    report: str
    arguments: str
    state: str
    progress: str
    percent: int
    rows: int | None
    seconds: float | None
    created: datetime
    launcher: str
    to_api: Callable[[], dict[str, Any]]

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state not in ACTIVE


@dataclass(frozen=True, slots=True)
class RunFile:
    """A finished file of a run.

    Attributes:
        name: the name of the file; that of its format if the server does not say more.
        bytes: its size; None if the server does not say.
        sha256: its SHA-256 in hex; empty if the server does not say.
    """

    name: str
    bytes: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Everything that is known of a run.

    Attributes:
        snapshot: the number of the snapshot that it read; None if the server does not say.
        messages: level and text of each message.
        statement: its SQL and the digest of its rows, as `GET /whohas/runs/{id}/statement` returns them.
    """

    facts: RunFacts
    snapshot: int | None
    messages: tuple[tuple[str, str], ...]
    files: tuple[RunFile, ...]
    statement: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """A search.

    Attributes:
        index: the index to search.
        columns: the columns to show.
        sort: the fields to sort by, `-` before a name for descending order.
        zone: the time zone of dates that name none.
        phrases: whether the words of an unquoted value must follow each other; None for the setting.
        limit: the most hits to return.
        as_objects: whether hits are returned as objects with typed values, otherwise as texts.
    """

    query: str
    index: str
    columns: tuple[str, ...]
    sort: tuple[str, ...]
    zone: str
    phrases: bool | None
    limit: int
    as_objects: bool


@dataclass(frozen=True, slots=True)
class SearchHits:
    """The first hits of a search.

    Attributes:
        columns: the names of the columns.
        rows: the cells of each hit, as in a CSV file; empty if objects were asked for.
        objects: the hits as objects; empty unless they were asked for.
        total: the number of all hits.
        notes: warnings for the user.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    objects: Sequence[Any]
    total: int
    notes: Sequence[str]


class Backend(Protocol):
    """The operations of an installation. They raise errors of `whohas.errors`."""

    zone: str
    """The time zone in which times are shown to people."""

    def working(self) -> AbstractContextManager[None]:
        """Return a context in which queued runs are executed."""
        ...

    def start(self, report_type: str, arguments: dict[str, Any]) -> str:
        """Start a run, and return its id."""
        ...

    def result(self, run_id: str) -> ReportResults:
        """Return the result of a run, or its progress."""
        ...

    def download(self, run_id: str, format: str, folder: Path, called: str | None) -> tuple[Path, bool]:
        """Save a file of a run into a folder, under the name that the server suggests.

        Return its path and whether it is a zip.

        Args:
            called: the final file name, for the audit log; None for the suggested name.
        """
        ...

    def id_of(self, beginning: str) -> str:
        """Return the id of the only run whose id begins so."""
        ...

    def cancel(self, run_id: str) -> None:
        """Cancel a run; it may end a moment later."""
        ...

    def runs(self, filters: str, only_active: bool, limit: int) -> list[RunFacts]:
        """Return the newest runs that a filter of the task-status API matches."""
        ...

    def run(self, run_id: str) -> RunFacts:
        """Return a run."""
        ...

    def details(self, run_id: str) -> RunDetails:
        """Return everything that is known of a run."""
        ...

    def sql(self, run_id: str) -> str:
        """Return the SQL of a run with its parameters inserted."""
        ...

    def replay(self, run_id: str) -> Mapping[str, Any]:
        """Execute the SQL of a run again, and compare the rows; return what `POST /whohas/runs/{id}/replay` returns."""
        ...

    def search(self, question: SearchQuestion) -> SearchHits:
        """Return the first hits of a search."""
        ...

    def schedules(self) -> list[Mapping[str, Any]]:
        """Return all schedules, as `GET /whohas/schedules` returns them."""
        ...

    def schedule(self, which: str) -> Mapping[str, Any]:
        """Return a schedule by its id or name."""
        ...

    def add_schedule(
        self, name: str, report_type: str, arguments: dict[str, Any], cron: str, zone: str, launcher: str | None
    ) -> Mapping[str, Any]:
        """Create a schedule, and return it."""
        ...

    def pause_schedule(self, which: str, paused: bool) -> Mapping[str, Any]:
        """Pause or resume a schedule, and return it."""
        ...

    def remove_schedule(self, which: str) -> str:
        """Remove a schedule, and return its name."""
        ...

    def run_schedule(self, which: str) -> str:
        """Start a run of a schedule now, and return its id."""
        ...

    def describe(self, arguments: Mapping[str, Any]) -> str:
        """Return arguments of a report for people, with the names of sources instead of their ids."""
        ...
