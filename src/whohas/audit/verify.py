"""Verification of the audit log: finds lines that were changed, removed, replaced, added or moved.

An intact log is checked line by line in one pass. If that pass finds a problem, the chain is followed backwards from
its head, by the previous hash of each event. Lines that are not reached this way do not belong to the log.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whohas.audit.chain import ChainHead, event_hash
from whohas.audit.events import canonical_json
from whohas.audit.log_file import parse_line


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """The result of a verification.

    Attributes:
        lines: the number of lines.
        first_sequence: the sequence number of the first event; 0 if the log is empty.
        head: sequence number and hash of the last line.
        faults: one sentence for each problem; empty if the log is intact.
    """

    lines: int
    first_sequence: int
    head: ChainHead
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A line of the log.

    Attributes:
        place: the file's name and the line number, for messages.
        sequence: the sequence number that it states; 0 if it is not an event.
        previous: the previous hash that it states.
        hash: the hash that it states.
        sound: whether it is canonical JSON and the hash matches its content.
    """

    place: str
    sequence: int
    previous: str
    hash: str
    sound: bool


def verify(paths: Sequence[Path], head: ChainHead | None = None, size: int | None = None) -> VerificationResult:
    """Verify files that together are one audit log.

    Args:
        paths: the files, the oldest first.
        head: the event that the log must end with, according to the database; None if unknown, and then missing events
            at the end cannot be detected.
        size: how many bytes of the last file to read, so that lines that are being appended now are left out; None for
            all.

    Raises:
        OSError: a file cannot be read.
    """
    lines, first, last, orderly = 0, 0, ChainHead(), True
    for line in _lines(paths, size):
        follows = lines == 0 or (line.previous, line.sequence) == (last.hash, last.sequence + 1)
        orderly = orderly and line.sound and follows
        first = first if lines else line.sequence
        last = ChainHead(line.sequence, line.hash)
        lines += 1
    begins = first == 1 or lines == 0
    if orderly and begins and (head is None or head == last):
        return VerificationResult(lines, first, last, ())
    return VerificationResult(lines, first, last, tuple(_faults(list(_lines(paths, size)), head)))


def _lines(paths: Sequence[Path], size: int | None) -> Iterator[_Seen]:
    for path in paths:
        left = size if path is paths[-1] else None
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if left is not None:
                    if left <= 0:
                        return
                    left -= len(line)
                yield _seen(f"{path.name}, line {number}", line)


def _seen(place: str, line: bytes) -> _Seen:
    event = parse_line(line)
    if event is None:
        return _Seen(place, 0, "", "", sound=False)
    sequence = str(event.get("sequence", ""))
    number = int(sequence) if sequence.isascii() and sequence.isdecimal() and len(sequence) < 20 else 0
    hash = str(event.get("hash", ""))
    sound = number > 0 and hash == event_hash(event) and line == f"{canonical_json(event)}\n".encode()
    return _Seen(place, number, str(event.get("previoushash", "")), hash, sound)


def _faults(seen: list[_Seen], head: ChainHead | None) -> Iterator[str]:
    """Yield a sentence for each problem: missing, changed and replaced events, then added and moved lines."""
    found = _way_back(seen, head)
    for first, last in sorted(found.missing):
        yield f"The event {first} is missing." if first == last else f"The events {first} to {last} are missing."
    for line in sorted(found.changed):
        yield f"{seen[line].place}: the event {seen[line].sequence} was changed."
    for line in sorted(found.replaced):
        yield f"{seen[line].place}: another event was put in the place of the event {seen[line].sequence}."
    known = {*found.right, *found.changed, *found.replaced}
    for line, one in enumerate(seen):
        if line not in known:
            what = f"as if it were the event {one.sequence}" if one.sequence else "and is no event"
            yield f"{one.place}: this line was added, {what}."
    for line in _moved(sorted(known), seen):
        yield f"{seen[line].place}: the event {seen[line].sequence} stands in the wrong place."


@dataclass(frozen=True, slots=True)
class _Found:
    """The lines of a log (by index) that belong to the chain, sorted by their condition, and the missing events.

    Attributes:
        right: unchanged lines.
        changed: lines whose hash does not match their content.
        replaced: lines that carry the right sequence number but belong to another event.
        missing: ranges of missing sequence numbers, each as first and last.
    """

    right: list[int] = field(default_factory=list[int])
    changed: list[int] = field(default_factory=list[int])
    replaced: list[int] = field(default_factory=list[int])
    missing: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


def _way_back(seen: list[_Seen], head: ChainHead | None) -> _Found:
    """Follow the chain backwards from its head, and sort the lines that it reaches.

    Example: the lines are 1, 2, 3, 5 and the head is (5, hash of 5). Line 5 has the expected hash: right. Event 4 has
    no line: missing, and the expected hash of event 3 is unknown. Line 3 is sound: right; its previous hash is that of
    line 2, and so on. If line 2 was edited without a new hash, it still states the expected hash: changed. If it was
    rewritten with a matching new hash, that hash is not the one line 3 expects: replaced.
    """
    by_hash = {one.hash: line for line, one in enumerate(seen) if one.sound}
    by_number: dict[int, list[int]] = {}
    for line, one in enumerate(seen):
        by_number.setdefault(one.sequence, []).append(line)
    numbers = sorted(number for number in by_number if number > 0)
    sound = [one for one in seen if one.sound]
    end = head or (ChainHead(sound[-1].sequence, sound[-1].hash) if sound else ChainHead())
    found = _Found()
    number, wanted = end.sequence, end.hash
    while number > 0:
        there = by_number.get(number, [])
        line = _meant(there, seen, wanted)
        if line is None:
            below = bisect_left(numbers, number)
            lower = numbers[below - 1] if below else 0
            found.missing.append((lower + 1, number))
            number, wanted = lower, ""
            continue
        one = seen[line]
        if one.sound and wanted in ("", one.hash):
            found.right.append(line)
        elif one.hash == wanted or not wanted:
            found.changed.append(line)
        else:
            found.replaced.append(line)
        number -= 1
        before = by_hash.get(one.previous)
        # the previous hash in a changed line may be forged: trust it only if the line before it has that hash
        trusted = one.sound or (before is not None and seen[before].sequence == number)
        wanted = one.previous if trusted else ""
    return found


def _meant(there: list[int], seen: list[_Seen], wanted: str) -> int | None:
    """Return the line that the chain most probably refers to: the one with the expected hash, else a sound one, else
    the first; None if there is no line.
    """
    return min(there, key=lambda line: (seen[line].hash != wanted, not seen[line].sound, line), default=None)


def _moved(lines: list[int], seen: list[_Seen]) -> list[int]:
    """Return the smallest set of lines whose removal leaves the others in order.

    These are all lines outside a longest increasing subsequence of sequence numbers (patience sorting). Example: the
    lines have the numbers 1, 4, 2, 3, 5; a longest increasing subsequence is 1, 2, 3, 5; the line with 4 was moved.
    """
    ends: list[int] = []
    chosen: list[int] = []
    before: dict[int, int | None] = {}
    for line in lines:
        at = bisect_left(ends, seen[line].sequence)
        before[line] = chosen[at - 1] if at else None
        ends[at:] = [seen[line].sequence, *ends[at + 1 :]]
        chosen[at:] = [line, *chosen[at + 1 :]]
    stays: set[int] = set()
    line = chosen[-1] if chosen else None
    while line is not None:
        stays.add(line)
        line = before[line]
    return [line for line in lines if line not in stays]
