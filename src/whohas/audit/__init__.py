"""The audit log: an append-only, hash-chained record of who did what, when and from where.

::

    write_event (outbox.py)  inserts an event into the outbox, in the transaction of the action that it records
    Relay (relay.py)         numbers and hashes events, appends them to the log file, sends them to Kafka
    log_file.py              the log file `audit.ndjson` in the home folder, one event a line
    verify.py                finds lines of the log file that were changed, removed, added or moved
"""

from __future__ import annotations

from whohas.audit.events import Actor, Event, EventType
from whohas.audit.outbox import write_event

__all__ = ["Actor", "Event", "EventType", "write_event"]
