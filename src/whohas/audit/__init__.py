"""The audit trail: what was done, by whom, from where, in order, and so that a change of it shows.

::

    an act's transaction    `write` puts its event into the outbox: both are there afterwards, or neither
    the relay               gives each event its number and its hash, appends it to the trail, sends it to Kafka
    the trail               `audit.ndjson` in the home folder, one event a line; `verify` looks for what was changed
"""

from __future__ import annotations

from whohas.audit.events import Event, Type, Who
from whohas.audit.outbox import write

__all__ = ["Event", "Type", "Who", "write"]
