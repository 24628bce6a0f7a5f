"""The audit log: its events, the newest first, and the verification of its chain. For operators of the server."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from starlette.responses import Response

from whohas.audit import EventType
from whohas.audit.events import format_timestamp
from whohas.audit.log_file import EventFilter, read_page
from whohas.audit.verify import VerificationResult, verify
from whohas.audit.writer import expected_end
from whohas.console.view import Link, Pages, View
from whohas.errors import Conflict, TooLarge, Unavailable
from whohas.settings import MiB

PAGES = Pages(Link("Audit log", "/console/audit", order=100, group="Administration"))

MAX_VERIFIED = 256 * MiB
"""The longest log that the page verifies, in bytes; the command line verifies longer ones."""
_EVENTS = 50
_FAULTS = 100
_LONGEST = 200


@PAGES.get("/audit", needs="readAuditLog")
def show_events(view: View) -> Response:
    """Show the newest events that match the filter."""
    return _page(view)


@PAGES.post("/audit/verify", needs="readAuditLog")
def verify_log(view: View) -> Response:
    """Verify the chain of the log, and show the result."""
    settings = view.services.settings
    path = settings.audit_log_path
    if not _verification().acquire(blocking=False):
        raise Conflict("The log is being verified already. Try again in a minute.")
    try:
        view.services.relay.flush()
        size = path.stat().st_size if path.exists() else 0
        if size > MAX_VERIFIED:
            raise TooLarge(
                f"The log has {size // MiB:,} MB; this page verifies {MAX_VERIFIED // MiB:,}. On the machine of the "
                "server, `whohas audit verify` verifies it."
            )
        with view.services.database.connect() as connection:
            head, end = expected_end(settings, connection)
        result = verify([path] if path.exists() else [], head, end)
    except OSError as error:
        raise Unavailable(f"The log cannot be read: {error.strerror}.") from error
    finally:
        _verification().release()
    return _page(view, result)


@cache
def _verification() -> threading.Lock:
    return threading.Lock()


def _page(view: View, result: VerificationResult | None = None) -> Response:
    fields = {name: view.query.get(name, "").strip()[:_LONGEST] for name in ("type", "who", "run", "since", "until")}
    errors = {"since": "", "until": ""}
    since = _day(fields["since"], "since", errors)
    until = _day(fields["until"], "until", errors, timedelta(days=1))
    before = view.query.get("before", "")
    page = None
    if not any(errors.values()):
        wanted = EventFilter(fields["type"] or None, fields["run"] or None, fields["who"] or None, since, until)
        position = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
        page = read_page(view.services.settings.audit_log_path, wanted, _EVENTS, position)
    return view.page(
        "audit.html",
        400 if any(errors.values()) else 200,
        events=[_shown(event) for event in page.events] if page else [],
        older=page.older if page else None,
        is_first=not before,
        types=sorted(type.value.removeprefix("whohas.") for type in EventType),
        fields=fields,
        errors=errors,
        result=result,
        faults=result.faults[:_FAULTS] if result else (),
    )


def _day(text: str, name: str, errors: dict[str, str], later: timedelta = timedelta()) -> str | None:
    """Return the beginning of a day in the form of the log, or note the error of the field."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return format_timestamp(day + later)
    except (ValueError, OverflowError):
        errors[name] = f"{text[:40]!r} is no day. Write 2026-11-27."
        return None


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of an event for the table; whatever the log has, each is a text."""
    data: Any = event.get("data")
    facts: dict[str, Any] = dict(data) if isinstance(data, dict) else {}
    actor: Any = facts.get("actor")
    who: dict[str, Any] = dict(actor) if isinstance(actor, dict) else {}
    try:
        time = datetime.fromisoformat(str(event.get("time")))
    except ValueError:
        time = None
    run = facts.get("run") or (event.get("subject") if str(event.get("type")).startswith("whohas.run.") else None)
    return {
        "time": time,
        "type": str(event.get("type", "")).removeprefix("whohas."),
        "outcome": str(facts.get("outcome", "")),
        "who": str(who.get("name") or who.get("kind") or "unknown"),
        "kind": str(who.get("kind", "")),
        "address": str(facts.get("from", "")),
        "run": str(run or ""),
        "json": json.dumps(event, ensure_ascii=False, indent=1),
    }
