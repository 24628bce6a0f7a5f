"""The hash chain of the audit log: each event contains the hash of the event before it, and a hash over itself.

Anybody who changes, removes or inserts a line must rewrite every later line. The last hash then differs from the copies
elsewhere: the chain head in the database, and the events in Kafka. A line can be checked without whohas, by
`jq -cS 'del(.hash)'` and `sha256sum`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whohas.audit.events import canonical_json

FIRST_PREVIOUS_HASH = "0" * 64
"""The previous hash of the first event."""

SEQUENCE_DIGITS = 12
"""Digits of a sequence number, padded with zeros so that the texts sort as numbers do (CloudEvents' `sequence`)."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Sequence number and hash of the last event of the chain; 0 and `FIRST_PREVIOUS_HASH` if the chain is empty."""

    sequence: int = 0
    hash: str = FIRST_PREVIOUS_HASH


@dataclass(frozen=True, slots=True)
class ChainLine:
    """An event with its place in the chain.

    Attributes:
        sequence: its number in the chain, from 1.
        hash: see `event_hash`.
        text: its canonical JSON, as in the log file and in Kafka.
    """

    sequence: int
    hash: str
    text: str


def chain_event(head: ChainHead, event: str, source: str) -> ChainLine:
    """Append an event to the chain: return it with its sequence number, the previous hash and its own hash.

    Args:
        head: the head of the chain so far.
        event: the JSON from `Event.to_json`.
        source: the CloudEvents `source` of the installation, from `event_source`.
    """
    attributes: dict[str, Any] = json.loads(event)
    attributes["source"] = source
    attributes["sequence"] = f"{head.sequence + 1:0{SEQUENCE_DIGITS}}"
    attributes["previoushash"] = head.hash
    digest = event_hash(attributes)
    return ChainLine(head.sequence + 1, digest, canonical_json({**attributes, "hash": digest}))


def event_hash(attributes: Mapping[str, Any]) -> str:
    """Compute the hash of an event: SHA-256 of its canonical JSON without the attribute `hash`, in hex."""
    return hashlib.sha256(
        canonical_json({name: value for name, value in attributes.items() if name != "hash"}).encode()
    ).hexdigest()
