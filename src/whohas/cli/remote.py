"""A server as the backend of commands: it calls the published API, and the routes of whohas below `/whohas`."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from whohas.cli.backend import RunDetails, RunFacts, RunFile, SearchHits, SearchQuestion
from whohas.cli.values import describe_arguments, describe_run_arguments, parse_time
from whohas.errors import NotFound, Unavailable, WhohasError, WrongUsage

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from whohas.cli.target import ServerTarget
    from whohas.contract import ReportResults
    from whohas_client import Client

_TASKS = "/v2025/task-status"
_RUNS = "/whohas/runs"
_SCHEDULES = "/whohas/schedules"
_PAGE = 250
"""Tasks on a page; the published API allows no more."""
_WITHOUT_RUNS = (
    "The server has only the published tasks of runs: rows of lists, arguments but the source, and files are not known."
)
_STATES = {"SUCCESS": "succeeded", "WARNING": "warned", "ERROR": "failed", "TERMINATED": "cancelled"}
"""The state of a run by the completion status of its task."""


@contextmanager
def open_remote(target: ServerTarget, note: Callable[[str], None]) -> Generator[RemoteBackend]:
    """Yield the backend of a server; close its connections at the end of the context.

    Args:
        note: shows the user a sentence on what the server does not say.
    """
    from whohas.settings import load_settings
    from whohas_client import Client

    with Client(target.url, target.client_id, target.client_secret) as client:
        yield RemoteBackend(client, load_settings().time_zone, note)


class RemoteBackend:
    """The backend of a server; see `Backend` for its methods."""

    def __init__(self, client: Client, zone: str, note: Callable[[str], None]) -> None:
        self._client = client
        self._note = note
        self._has_runs = True
        self.zone = zone

    def working(self) -> AbstractContextManager[None]:
        return nullcontext()

    def start(self, report_type: str, arguments: dict[str, Any]) -> str:
        run_id = self._client.start(report_type, arguments).id
        if not run_id:
            raise WhohasError("The server's answer to the start has no id.")
        return run_id

    def result(self, run_id: str) -> ReportResults:
        return self._client.result(run_id)

    def download(self, run_id: str, format: str, folder: Path, called: str | None) -> tuple[Path, bool]:
        saved = self._client.download(run_id, format, folder)
        return saved, saved.suffix == ".zip"

    def id_of(self, beginning: str) -> str:
        return self._client.find(beginning)

    def cancel(self, run_id: str) -> None:
        self._client.cancel(run_id)

    def runs(self, filters: str, only_active: bool, limit: int) -> list[RunFacts]:
        if only_active:
            filters = f"({filters}) and completionStatus isnull" if filters else "completionStatus isnull"
        found: list[RunFacts] = []
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            query = {"limit": str(size), "offset": str(len(found)), **({"filters": filters} if filters else {})}
            page = [_facts(run) for run in self._runs("", query)]
            found += page
            if len(page) < size:
                break
        if found and not self._has_runs:
            self._note(_WITHOUT_RUNS)
        return found

    def run(self, run_id: str) -> RunFacts:
        return _facts(self._runs(f"/{quote(run_id, safe='')}"))

    def details(self, run_id: str) -> RunDetails:
        run = self._runs(f"/{quote(run_id, safe='')}")
        facts = _facts(run)
        if self._has_runs:
            snapshot = run["snapshot"]
            files = [RunFile(one["name"], one["bytes"], one["sha256"]) for one in run["files"]]
        else:
            self._note(_WITHOUT_RUNS)
            result = self._client.result(run_id)
            facts, snapshot = replace(facts, rows=result.rows), result.snapshot
            files = [RunFile(format) for format in result.availableFormats or ()]
        statement: Mapping[str, Any] = {}
        with suppress(NotFound):  # a server that is not whohas has no such route
            statement = self._json("GET", f"{_RUNS}/{quote(run_id, safe='')}/statement", accept="application/json")
        return RunDetails(
            facts,
            snapshot,
            tuple((one["type"], (one["localizedText"] or {}).get("message") or "") for one in run["messages"]),
            tuple(files),
            statement,
        )

    def sql(self, run_id: str) -> str:
        path = f"{_RUNS}/{quote(run_id, safe='')}/statement"
        return self._client.request("GET", path, accept="text/plain").text.removesuffix("\n")

    def replay(self, run_id: str) -> Mapping[str, Any]:
        return self._json("POST", f"{_RUNS}/{quote(run_id, safe='')}/replay")

    def search(self, question: SearchQuestion) -> SearchHits:
        """Run a SEARCH_EXPORT of the query, and return its first rows: the run is listed and audited like any other."""
        format = "json" if question.as_objects else "csv"
        arguments: dict[str, Any] = {
            "query": question.query,
            "indices": [question.index],
            "columns": ",".join(question.columns),
            "selectedFormats": [format.upper()],
            **({"sort": list(question.sort)} if question.sort else {}),
            **({"timeZone": question.zone} if question.zone != "UTC" else {}),
            **({"phrases": question.phrases} if question.phrases is not None else {}),
        }
        run_id = self.start("SEARCH_EXPORT", arguments)
        try:
            result = self._client.wait(run_id)
        except KeyboardInterrupt:
            self.cancel(run_id)
            raise
        notes = [message.localizedText or "" for message in result.messages]
        if result.status not in ("SUCCESS", "WARNING"):
            raise WhohasError(f"The search {run_id} ended as {result.status}. {' '.join(notes)}".strip())
        with TemporaryDirectory() as folder:
            file, zipped = self.download(run_id, format, Path(folder), None)
            with _text(file, zipped) as lines:
                if question.as_objects:
                    objects = json.loads("".join(lines))
                    return SearchHits((), (), objects[: question.limit], result.rows or 0, notes)
                reader = csv.reader(lines)
                columns = next(reader, [])
                return SearchHits(columns, list(islice(reader, question.limit)), (), result.rows or 0, notes)

    def schedules(self) -> list[Mapping[str, Any]]:
        return self._json("GET", _SCHEDULES)

    def schedule(self, which: str) -> Mapping[str, Any]:
        return self._json("GET", _schedule(which))

    def add_schedule(
        self, name: str, report_type: str, arguments: dict[str, Any], cron: str, zone: str, launcher: str | None
    ) -> Mapping[str, Any]:
        if launcher is not None:
            raise WrongUsage("--launcher is for the local installation: on a server the client is the launcher.")
        body = {"name": name, "reportType": report_type, "arguments": arguments, "cron": cron, "timeZone": zone}
        return self._json("POST", _SCHEDULES, json=body)

    def pause_schedule(self, which: str, paused: bool) -> Mapping[str, Any]:
        return self._json("PATCH", _schedule(which), json={"paused": paused})

    def remove_schedule(self, which: str) -> str:
        found = self.schedule(which)
        self._client.request("DELETE", _schedule(found["id"]))
        return found["name"]

    def run_schedule(self, which: str) -> str:
        return self._json("POST", f"{_schedule(which)}/run")["id"]

    def describe(self, arguments: Mapping[str, Any]) -> str:
        return describe_arguments(arguments, lambda id: id)

    def _runs(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return runs from the route of whohas, or their tasks from a server that has no such route."""
        if self._has_runs:
            try:
                return self._json("GET", f"{_RUNS}{path}", query)
            except NotFound:
                # either there is no such run, or this is no whohas; the published route tells
                tasks = self._json("GET", f"{_TASKS}{path}", query)
                self._has_runs = False
                return tasks
        return self._json("GET", f"{_TASKS}{path}", query)

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        json: Any = None,
        accept: str | None = None,
    ) -> Any:
        """Return the JSON of a response.

        Raises:
            Unavailable: the response is not JSON, so that this is no such server.
        """
        response = self._client.request(method, path, query=query, json=json, accept=accept)
        try:
            return response.json()
        except ValueError:
            raise Unavailable(f"The answer to {method} {path} is not JSON. Is it a server of reports?") from None


def _schedule(which: str) -> str:
    return f"{_SCHEDULES}/{quote(which, safe='')}"


def _facts(task: Mapping[str, Any]) -> RunFacts:
    """Return a run of whohas, or a task of the task-status API, which has neither rows nor arguments."""
    launched, completed = parse_time(task.get("launched")), parse_time(task.get("completed"))
    seconds = (completed - launched).total_seconds() if completed and launched else None
    target = task.get("target") or {}
    if "arguments" in task:
        names = {target["id"]: target["name"]} if target else {}
        arguments = describe_run_arguments(task["arguments"], lambda id: str(names.get(id, id)))
    else:
        arguments = f"source name: {target['name']}" if target.get("name") else ""
    if task.get("duration") is not None:
        seconds = task["duration"] / 1000
    return RunFacts(
        id=task["id"],
        report=(task.get("taskDefinitionSummary") or {}).get("id") or task["uniqueName"],
        arguments=arguments,
        state=task.get("state") or _state(task, launched),
        progress=task.get("progress") or "",
        percent=task.get("percentComplete") or 0,
        rows=task.get("rows"),
        seconds=seconds,
        created=datetime.fromisoformat(task["created"]),
        launcher=task["launcher"],
        to_api=lambda: dict(task),
    )


def _state(task: Mapping[str, Any], launched: datetime | None) -> str:
    completion: str | None = task["completionStatus"]
    if completion is None:
        return "running" if launched else "queued"
    return _STATES.get(completion, completion.lower())


@contextmanager
def _text(file: Path, zipped: bool) -> Generator[Iterator[str]]:
    """Yield the lines of a file, or of the only file in a zip."""
    if not zipped:
        with file.open(newline="", encoding="utf-8") as lines:
            yield lines
        return
    with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as member:
        yield io.TextIOWrapper(member, encoding="utf-8", newline="")
