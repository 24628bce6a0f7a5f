"""The chain: each event names the hash of the one before it and has a hash of its own over that and all it says.

So whoever changes, removes or adds a line has to write every later line anew, and the last hash differs from the one
that others know: the head in the database, and each event in Kafka. `jq -cS 'del(.hash)'` and `sha256sum` check a line
without us.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whohas.audit.events import canonical

NOTHING = "0" * 64
"""What the first event has for the hash of the one before it."""

DIGITS = 12
"""Of a number in the chain: texts of this length sort as numbers do, as CloudEvents' `sequence` wants it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the number and the hash of its last event; 0 and `NOTHING` before the first."""

    sequence: int = 0
    hash: str = NOTHING


@dataclass(frozen=True, slots=True)
class Line:
    """An event in the chain.

    Attributes:
        text: its canonical JSON: what the trail and Kafka have.
    """

    sequence: int
    hash: str
    text: str


def chained(head: Head, event: str, source: str) -> Line:
    """The next event of the chain.

    Args:
        event: as `Event.text` has it.
        source: of the installation's events.
    """
    attributes: dict[str, Any] = json.loads(event)
    attributes["source"] = source
    attributes["sequence"] = f"{head.sequence + 1:0{DIGITS}}"
    attributes["previoushash"] = head.hash
    digest = hash_of(attributes)
    return Line(head.sequence + 1, digest, canonical({**attributes, "hash": digest}))


def hash_of(attributes: Mapping[str, Any]) -> str:
    """What an event's `hash` must be: SHA-256 of its canonical JSON without it, in hex."""
    return hashlib.sha256(
        canonical({name: value for name, value in attributes.items() if name != "hash"}).encode()
    ).hexdigest()
