"""`whohas audit`: list, follow and verify the audit log; state of its delivery; retry of rejected events."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whohas.cli.commands import Commands
from whohas.cli.exits import ExitCode
from whohas.cli.options import Connection, JsonOption, OutputFormat, OutputOption, on_this_machine, output_format
from whohas.cli.printing import Column, print_csv, print_object
from whohas.cli.terminal import single_line, without_control_characters
from whohas.plurals import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from whohas.audit.verify import VerificationResult
    from whohas.runs.service import Runs

audit_app = Commands(no_args_is_help=True, help="Read the audit log, and verify that it was not changed.")


@audit_app.command("list")
@on_this_machine
def list_events(
    connection: Connection,
    type: Annotated[
        str | None, typer.Option(help="A type or a part of it: run, run.started, downloaded, denied.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="The id of a run, or the beginning of it.")] = None,
    who: Annotated[str | None, typer.Option(help="A part of a name, or the id of a client or user.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From then on: 2026-11-27, 2026-11-27T08:00Z, or 30m, 12h, 7d ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before then, written in the same way.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="The number of newest events; 0 for all.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then print new events as they come, until stopped.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Print events, the oldest first. JSON has the lines of the log as they are, one event a line.

    Examples:
        whohas audit list --since 7d
        whohas audit list --type downloaded --who ann -o csv
        whohas audit list --run 3f2a -o json
        whohas audit list --follow
    """
    import collections

    from whohas.audit.log_file import EventFilter, read_events

    output = output_format(output, as_json)
    with connection.open_local() as services:
        services.relay.flush()
        path = services.settings.audit_log_path
        run = None if run is None else _run(run, services.runs, path)
    wanted = EventFilter(type, run, who, _time(since), _time(until))
    shown = collections.deque(read_events(path, wanted), limit or None)
    if output is OutputFormat.CSV:
        print_csv(_FIELDS, map(_cells, shown))
    else:
        for line in shown:
            _print(line, output)
    if follow:
        newest = shown[-1] if shown else None
        for line in _after(read_events(path, wanted, follow=lambda: True), newest):
            _print(line, output)
            sys.stdout.flush()


@audit_app.command()
@on_this_machine
def verify(
    connection: Connection,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="The files of one audit log, the oldest first. Default: this installation's."),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Find lines of the audit log that were changed, removed, added or moved; exit code 1 if there are any.

    Examples:
        whohas audit verify
        whohas audit verify audit-2025.log audit.log
        whohas audit verify -o json
    """
    from whohas.audit.verify import verify as check
    from whohas.audit.writer import expected_end
    from whohas.errors import NotFound

    with connection.open_local() as services:
        own = services.settings.audit_log_path
        services.relay.flush()
        paths = files or [own]
        mine = own.exists() and any(path.exists() and path.samefile(own) for path in paths)
        head, size = None, None
        if mine or not files:
            with services.database.connect() as database:
                head, size = expected_end(services.settings, database)
    if not files and not own.exists():
        paths = []
    try:
        verdict = check(paths, head, size)
    except OSError as error:
        raise NotFound(f"{error.filename} cannot be read: {error.strerror}.") from None
    if output is OutputFormat.TABLE:
        _print_verdict(verdict, is_end_known=head is not None)
    else:
        columns: tuple[Column[VerificationResult], ...] = (
            Column("intact", "", lambda one: not one.faults),
            Column("events", "", lambda one: one.lines),
            Column("firstSequence", "", lambda one: one.first_sequence),
            Column("lastSequence", "", lambda one: one.head.sequence),
            Column("lastHash", "", lambda one: one.head.hash),
            Column("isEndKnown", "", lambda _: head is not None),
            Column("faults", "", lambda one: one.faults),
        )
        print_object(output, verdict, columns)
    if verdict.faults:
        raise typer.Exit(ExitCode.ERROR)


def _print_verdict(verdict: VerificationResult, *, is_end_known: bool) -> None:
    for fault in verdict.faults:
        print(without_control_characters(fault))
    if verdict.faults:
        print(f"{pluralize(len(verdict.faults), 'fault')} in {pluralize(verdict.lines, 'line')}.")
        return
    whole = "" if is_end_known else " Whether events are missing at the end is not known here."
    print(f"{pluralize(verdict.lines, 'event')}, in order and unchanged. The last one: {verdict.head.hash}.{whole}")


@audit_app.command()
@on_this_machine
def status(connection: Connection, output: OutputOption = OutputFormat.TABLE, as_json: JsonOption = False) -> None:
    """Print how many events wait for delivery, and which ones Kafka rejected.

    Examples:
        whohas audit status
        whohas audit status -o json
    """
    from whohas.audit.outbox import read_backlog, read_rejected

    output = output_format(output, as_json)
    with connection.open_local() as services, services.database.connect() as database:
        backlog = read_backlog(database)
        rejected = read_rejected(database)
    facts: dict[str, Any] = {
        "events": backlog.head.sequence,
        "hash": backlog.head.hash,
        "waiting": backlog.waiting,
        "unfiled": backlog.unfiled,
        "oldestSeconds": round(backlog.oldest_seconds, 1),
        "refused": [{"sequence": event.sequence, "reason": why} for event, why in rejected],
        "fault": backlog.fault or None,
    }
    if output is not OutputFormat.TABLE:
        columns: list[Column[dict[str, Any]]] = [Column(name, "", _getter(name)) for name in facts]
        print_object(output, facts, columns)
        return
    print(f"{pluralize(backlog.head.sequence, 'event')} in all; the last one: {backlog.head.hash}")
    print(
        f"{backlog.waiting:,} waiting for delivery, the oldest for {backlog.oldest_seconds:,.0f} s; "
        f"{backlog.unfiled:,} not in the log file yet"
    )
    if backlog.fault:
        print(without_control_characters(f"Last delivery error: {backlog.fault}"))
    for event, why in rejected:
        print(without_control_characters(f"Refused by Kafka: event {event.sequence}: {why}"))


@audit_app.command()
@on_this_machine
def retry(connection: Connection) -> None:
    """Send the events again that Kafka rejected, for example after a limit of the topic was raised.

    Examples:
        whohas audit retry
    """
    from whohas.audit.outbox import retry_rejected as send_again

    with connection.open_local() as services, services.database.begin() as database:
        count = send_again(database)
    print(f"{pluralize(count, 'event')} will be sent again.")


def _run(beginning: str, runs: Runs, path: Path) -> str:
    """Return the id of the only run with this prefix; look for deleted runs in the audit log.

    Raises:
        NotFound: no run has this prefix.
        InvalidArguments: several runs have it.
    """
    from whohas.audit.log_file import EventFilter, parse_line, read_events
    from whohas.errors import NotFound
    from whohas.hints import ambiguous_id

    text = beginning.strip().lower()
    try:
        return runs.resolve_id(text)
    except NotFound:
        if len(text) >= 32:
            return text
        events = (parse_line(line) or {} for line in read_events(path, EventFilter()))
        ids = dict.fromkeys(str((event.get("data") or {}).get("run") or "") for event in events)
        found = [id for id in ids if text and id.startswith(text)]
        if not found:
            raise
        if len(found) > 1:
            raise ambiguous_id(text, found) from None
        return found[0]


def _time(text: str | None) -> str | None:
    """Convert a time or an age (`30m`, `12h`) to the format of events; a time without zone is in UTC."""
    import re
    from datetime import UTC, datetime, timedelta

    from whohas.audit.events import format_timestamp
    from whohas.errors import InvalidArguments

    if text is None:
        return None
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", text):
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[ago[2]]
        return format_timestamp(datetime.now(UTC) - timedelta(**{unit: int(ago[1])}))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArguments(f"{text[:40]!r} is no time. Write 2026-11-27, 2026-11-27T08:00Z, or 12h.") from None
    return format_timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _after(lines: Iterable[bytes], last: bytes | None) -> Iterator[bytes]:
    """Yield the lines after the last one that was shown."""
    passed = last is None
    for line in lines:
        if passed:
            yield line
        passed = passed or line == last


_SHOWN = ("run", "report", "fileName", "range", "name", "path", "tried", "count", "snapshot", "rows", "reason")
"""The fields of an event's data that a line for people has."""
_FIELDS = ("sequence", "time", "type", "outcome", "actorKind", "actorName", "from", *_SHOWN)
"""The columns of events as CSV."""


def _getter(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda facts: facts[name]


def _print(line: bytes, output: OutputFormat) -> None:
    from whohas.audit.log_file import parse_line

    if output is OutputFormat.JSON:
        sys.stdout.write(line.decode("utf-8", "replace") + "\n")
        return
    if output is OutputFormat.CSV:
        csv.writer(sys.stdout, lineterminator="\n").writerow(_cells(line))
        return
    event = parse_line(line) or {}
    data: dict[str, Any] = event.get("data") or {}
    actor: dict[str, Any] = data.get("actor") or {}
    who = " ".join(filter(None, (actor.get("kind"), actor.get("name"))))
    facts = "  ".join(f"{name}={data[name]}" for name in _SHOWN if data.get(name) is not None)
    time = str(event.get("time"))[:19].replace("T", " ")
    kind = str(event.get("type")).removeprefix("whohas.")
    print(single_line(f"{time}  {kind:<17} {data.get('outcome')!s:<10} {who} from {data.get('from', '?')}  {facts}"))


def _cells(line: bytes) -> list[str]:
    """Return the cells of an event as CSV; a line that is no event has none but its text, as the type."""
    from whohas.audit.log_file import parse_line

    event = parse_line(line)
    if event is None:
        return ["", "", line.decode("utf-8", "replace"), *[""] * (len(_FIELDS) - 3)]
    data: dict[str, Any] = event.get("data") or {}
    actor: dict[str, Any] = data.get("actor") or {}
    values = (
        event.get("sequence"),
        event.get("time"),
        event.get("type"),
        data.get("outcome"),
        actor.get("kind"),
        actor.get("name"),
        data.get("from"),
        *(data.get(name) for name in _SHOWN),
    )
    return ["" if value is None else str(value) for value in values]
