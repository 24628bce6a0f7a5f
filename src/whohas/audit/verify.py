"""Whether a trail is what was written: which lines were changed, are missing, were added or stand elsewhere.

A trail that is in order is read line by line. In one that is not, the chain is followed from its end back to its
beginning, by what each event says of the one before it; whatever is not on this way does not belong there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whohas.audit.chain import Head, hash_of
from whohas.audit.events import canonical
from whohas.audit.trail import parsed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trail is found to be.

    Attributes:
        lines: how many it has.
        first: the number of its first event; 0 where it has none.
        head: its last event.
        faults: a sentence each; none where all is in order.
    """

    lines: int
    first: int
    head: Head
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A line as it is.

    Attributes:
        place: the file's name and the number of the line.
        sound: whether its hash is that of what it says.
    """

    place: str
    sequence: int
    previous: str
    hash: str
    sound: bool


def verify(paths: Sequence[Path], head: Head | None = None, size: int | None = None) -> Verdict:
    """Checks files that are one trail, the oldest first.

    Args:
        head: the event with which the trail must end, as the database knows it; None where that is not known.
        size: bytes of the last file up to there; None for all of it. What is being added meanwhile is not looked at.

    Raises:
        OSError: a file cannot be read.
    """
    lines, first, last, orderly = 0, 0, Head(), True
    for one in _lines(paths, size):
        follows = lines == 0 or (one.previous, one.sequence) == (last.hash, last.sequence + 1)
        orderly = orderly and one.sound and follows
        first = first if lines else one.sequence
        last = Head(one.sequence, one.hash)
        lines += 1
    begins = first == 1 or lines == 0
    if orderly and begins and (head is None or head == last):
        return Verdict(lines, first, last, ())
    return Verdict(lines, first, last, tuple(_faults(list(_lines(paths, size)), head)))


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
    event = parsed(line)
    if event is None:
        return _Seen(place, 0, "", "", sound=False)
    sequence = str(event.get("sequence", ""))
    number = int(sequence) if sequence.isascii() and sequence.isdecimal() and len(sequence) < 20 else 0
    hash = str(event.get("hash", ""))
    sound = number > 0 and hash == hash_of(event) and line == f"{canonical(event)}\n".encode()
    return _Seen(place, number, str(event.get("previoushash", "")), hash, sound)


def _faults(seen: list[_Seen], head: Head | None) -> Iterator[str]:
    """What is wrong, in the order of the chain; then what was added or moved, in the order of the lines."""
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
    """Lines by what they are, and the first and last numbers of what is not there."""

    right: list[int] = field(default_factory=list[int])
    changed: list[int] = field(default_factory=list[int])
    replaced: list[int] = field(default_factory=list[int])
    missing: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


def _way_back(seen: list[_Seen], head: Head | None) -> _Found:
    by_hash = {one.hash: line for line, one in enumerate(seen) if one.sound}
    by_number: dict[int, list[int]] = {}
    for line, one in enumerate(seen):
        by_number.setdefault(one.sequence, []).append(line)
    numbers = sorted(number for number in by_number if number > 0)
    sound = [one for one in seen if one.sound]
    end = head or (Head(sound[-1].sequence, sound[-1].hash) if sound else Head())
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
        # what a line that was changed says of the one before it counts only where there is such a one
        trusted = one.sound or (before is not None and seen[before].sequence == number)
        wanted = one.previous if trusted else ""
    return found


def _meant(there: list[int], seen: list[_Seen], wanted: str) -> int | None:
    """Of the lines with a number, the one that the chain means: by its hash, else one that is sound, else any."""
    return min(there, key=lambda line: (seen[line].hash != wanted, not seen[line].sound, line), default=None)


def _moved(lines: list[int], seen: list[_Seen]) -> list[int]:
    """The fewest lines by which the others are in order: all but a longest rising sequence."""
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
