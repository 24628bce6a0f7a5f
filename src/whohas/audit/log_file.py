"""The file of the audit log, `audit.ndjson` in the home folder: append-only, one event a line.

An incomplete last line, left by a crash or a full disk, is cut off before the next append; its event is still in the
outbox. To rotate the log, move the file away: a new file is created, and the hash chain continues in it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from whohas import timeouts
from whohas.atomic import sync_file

_BLOCK = 1 << 16


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Append lines to the file and sync it to disk; create the file if it is missing.

    Raises:
        OSError: the disk is full or the file cannot be written; no line was added.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        size = _whole(file)
        file.truncate(size)
        content = "".join(f"{line}\n" for line in lines).encode()
        try:
            written = 0
            while written < len(content):
                written += file.write(content[written:]) or 0
            os.fsync(descriptor)
        except OSError:
            file.truncate(size)
            raise
    if size == 0:
        sync_file(path.parent)


def last_hashes(path: Path, most: int) -> set[str]:
    """Return the hashes of the last `most` events of the file.

    After a crash, they show which events were appended but not yet marked in the outbox.
    """
    return {str(event.get("hash")) for event in map(parse_line, last_lines(path, most)) if event}


def last_lines(path: Path, most: int) -> list[bytes]:
    """Return the last `most` complete lines, without line ends; an empty list if the file is missing."""
    try:
        with path.open("rb") as file:
            end = start = _whole(file)
            tail = b""
            while start > 0 and tail.count(b"\n") <= most:
                step = min(_BLOCK, start)
                start -= step
                file.seek(start)
                tail = file.read(step) + tail
            lines = tail[: end - start].split(b"\n")[:-1]
            return lines[-most:]
    except FileNotFoundError:
        return []


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Parse a line as an event; return None if it is not a JSON object."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", event) if isinstance(event, dict) else None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter for events; None attributes match every event.

    Attributes:
        type: whole dotted parts of the type: `run`, `started`, `run.started`, `whohas.run.started`.
        run: the id of a run.
        who: a part of the actor's name in any case, or the id of the actor or of its client.
        since: an RFC 3339 time in UTC; matches events at this time or later.
        until: an RFC 3339 time in UTC; matches events before it.
    """

    type: str | None = None
    run: str | None = None
    who: str | None = None
    since: str | None = None
    until: str | None = None

    def matches(self, event: dict[str, Any]) -> bool:
        """Return whether an event matches all attributes."""
        data: Any = event.get("data")
        facts: dict[str, Any] = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        actor: Any = facts.get("actor") or {}
        time = str(event.get("time"))
        return (
            (self.type is None or f".{self.type.removeprefix('whohas.')}." in f"{event.get('type')}."[6:])
            and (self.run is None or self.run in (facts.get("run"), event.get("subject")))
            and (self.who is None or self._is_who(actor))
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )

    def _is_who(self, actor: Any) -> bool:
        assert self.who is not None
        wanted = self.who.casefold()
        return wanted in str(actor.get("name", "")).casefold() or wanted in (actor.get("id"), actor.get("client"))


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some events of the log, the newest first.

    Attributes:
        events: the events.
        older: the position in the file before which older lines are; None at the beginning of the file.
    """

    events: tuple[dict[str, Any], ...]
    older: int | None


def read_page(path: Path, wanted: EventFilter, count: int, before: int | None = None, most: int = 1 << 26) -> LogPage:
    """Return the newest events that match a filter, read from the end of the file.

    Args:
        path: the file; without it there are no events.
        wanted: the filter.
        count: the most events to return.
        before: read only what is before this position, which an earlier page gave as `older`; None for all.
        most: stop after this many bytes; the page may then have fewer events, but has `older`.
    """
    found: list[dict[str, Any]] = []
    try:
        with path.open("rb") as file:
            size = _whole(file)
            end = size if before is None else max(0, min(before, size))
            start, rest = end, b""  # rest: the bytes from `start` to the end of a line that is yet to be parsed
            while start > 0 and end - start < most:
                step = min(_BLOCK, start)
                start -= step
                file.seek(start)
                rest = file.read(step) + rest
                stop = len(rest)
                while stop > 0:
                    at = rest.rfind(b"\n", 0, stop - 1)
                    if at < 0 and start > 0:
                        break  # the line begins before `start`
                    event = parse_line(rest[at + 1 : stop])
                    stop = at + 1
                    if event is not None and wanted.matches(event):
                        found.append(event)
                        if len(found) == count:
                            return LogPage(tuple(found), start + stop or None)
                rest = rest[:stop]
            return LogPage(tuple(found), start + len(rest) or None)
    except FileNotFoundError:
        return LogPage((), None)


def read_events(path: Path, wanted: EventFilter, *, follow: Callable[[], bool] = lambda: False) -> Iterator[bytes]:
    """Yield the lines of the events that match a filter, in order; lines that are not events are skipped.

    Args:
        wanted: the filter.
        follow: called at the end of the file; if it returns true, wait for more lines. If the file is moved away, it is
            read to its end, then the new file from its beginning.
    """
    file: BinaryIO | None = None
    rest = b""
    try:
        while True:
            if file is None and path.is_file():
                file = path.open("rb")
            for line in file or ():
                rest += line
                if rest.endswith(b"\n"):
                    event = parse_line(rest)
                    if event is not None and wanted.matches(event):
                        yield rest[:-1]
                    rest = b""
            if not follow():
                return
            if file is not None and _moved(file, path):
                file.close()
                file, rest = None, b""
            else:
                time.sleep(timeouts.AUDIT_FOLLOW_SECONDS)
    finally:
        if file is not None:
            file.close()


def _moved(file: BinaryIO, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False  # moved away, but the new file does not exist yet
    mine = os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)


def _whole(file: BinaryIO) -> int:
    """Return the size in bytes of the complete lines of a file, searching backwards for the last line end."""
    end = start = file.seek(0, os.SEEK_END)
    while start > 0:
        step = min(_BLOCK, start)
        start -= step
        file.seek(start)
        block = file.read(step)
        at = block.rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return end
