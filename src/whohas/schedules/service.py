"""Schedules: reports that are started repeatedly, at the times of a cron expression. They are stored in the database.

A due schedule is claimed by advancing its next time, in the same transaction that inserts the run. So each time starts
one run even where many servers check, and a server that dies in between has changed nothing. If several times passed
while no server was running, one run is started for all of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from whohas import audit, timeouts
from whohas.audit.events import SYSTEM
from whohas.auth import Caller, check_access, find_owner
from whohas.db.engine import UTCDateTime, metadata
from whohas.errors import Conflict, Forbidden, InvalidArguments, NotFound, QuotaExceeded, Unavailable, WhohasError
from whohas.runs import visibility
from whohas.runs.models import Run
from whohas.runs.repository import now
from whohas.runs.service import Runs
from whohas.schedules.cron import next_time

MAX_NAME_CHARACTERS = 100
"""The largest number of characters of a schedule's name."""
_REPEATED = timedelta(seconds=timeouts.CLOCK_BACK_SECONDS)
"""Times that a clock shows again after it was set back by no more than this start no second run."""
_BATCH = 100
"""The largest number of due schedules that one `start_due` handles."""

log = structlog.get_logger("whohas.schedules")

schedule = sa.Table(
    "schedule",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("report_type", sa.Text, nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("launcher", sa.Text, nullable=False),
    sa.Column("owner", sa.String(32)),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("next_at", UTCDateTime, nullable=False, index=True),
    sa.Column("last_at", UTCDateTime),
    sa.Column("last_run", sa.String(32)),
    sa.Column("last_error", sa.Text, nullable=False),
)
"""One row for each schedule; see `Schedule`."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A report that is started at the times of a cron expression.

    Attributes:
        id: 32 lower-case hex digits.
        name: its unique name.
        report_type: the report that it starts.
        arguments: the report's arguments, as a request would send them; they are parsed again for each run.
        cron: the cron expression, five fields; see `cron.next_time`.
        time_zone: the time zone of the cron expression, an IANA name.
        launcher: the name that its runs have as their launcher.
        owner: the `Caller.id` of its creator, who sees it and its runs as administrators do; None for the operator of
            the server.
        paused: whether it starts no runs until it is resumed.
        next_at: when it is due next, unless it is paused.
        last_at: when it last started a run or failed to.
        last_run: the id of the run that it last started; None where that failed.
        last_error: why it failed to start a run, or why it waits; empty where it did not.
    """

    id: str
    name: str
    report_type: str
    arguments: Mapping[str, Any]
    cron: str
    time_zone: str
    launcher: str
    owner: str | None
    paused: bool
    created: datetime
    next_at: datetime
    last_at: datetime | None = None
    last_run: str | None = None
    last_error: str = ""


@dataclass(frozen=True)
class Schedules:
    """The schedules of an installation: administration, and starting what is due.

    A schedule is visible to its owner and to administrators; for other callers it does not exist. A `caller` of None
    stands for the operator of the server, who sees all.
    """

    database: sa.Engine
    runs: Runs
    allow_external_owners: bool = False
    """Whether users of an external token issuer may own schedules. Their rights are known only from a token, so when a
    schedule of theirs is due, no rights are checked; who may see its runs is checked when they call the API."""

    def add(
        self,
        name: str,
        report_type: str,
        arguments: Mapping[str, Any],
        cron: str,
        time_zone: str,
        launcher: str,
        caller: Caller | None = None,
        by: audit.Actor = SYSTEM,
    ) -> Schedule:
        """Create a schedule, after checking that its report could be started now.

        Args:
            launcher: the name that its runs have as their launcher.
            caller: its owner.
            by: the actor for the audit log.

        Raises:
            InvalidArguments: the name, the report, its arguments, the cron expression or the time zone is invalid.
            Forbidden: the caller is restricted to sources, and the report covers others.
            Conflict: a schedule of that name exists.
        """
        created = now()
        self.runs.plan(report_type, arguments, launcher, caller)
        new = Schedule(
            id=uuid.uuid4().hex,
            name=_name(name),
            report_type=report_type,
            arguments=arguments,
            cron=" ".join(cron.split()),
            time_zone=time_zone,
            launcher=launcher,
            owner=caller.id if caller else None,
            paused=False,
            created=created,
            next_at=next_time(cron, time_zone, created),
        )
        values = {column.name: getattr(new, column.name) for column in schedule.columns}
        self._write(
            sa.insert(schedule).values({**values, "arguments": dict(arguments)}),
            new.name,
            _event(audit.EventType.SCHEDULE_CREATED, new, by),
        )
        return new

    def list(self, caller: Caller | None = None) -> list[Schedule]:
        """Return the schedules that the caller may see, by name."""
        with self.database.connect() as connection:
            return [_schedule(row) for row in connection.execute(_all(caller).order_by(schedule.c.name)).mappings()]

    def get(self, which: str, caller: Caller | None = None) -> Schedule:
        """Return the schedule with an id or a name.

        Raises:
            NotFound: the caller may see no such schedule.
        """
        either = sa.or_(schedule.c.id == which, schedule.c.name == which)
        with self.database.connect() as connection:
            row = connection.execute(_all(caller).where(either)).mappings().first()
        if row is None:
            raise NotFound(
                f"There is no schedule {which[:MAX_NAME_CHARACTERS]!r} that you may see. "
                "`whohas schedule list` shows them."
            )
        return _schedule(row)

    def change(
        self, which: str, changes: Mapping[str, Any], caller: Caller | None = None, by: audit.Actor = SYSTEM
    ) -> Schedule:
        """Change a schedule, and return it. If `cron` or `time_zone` changes, or if it is resumed, its next time is
        computed again from now.

        Args:
            which: its id or name.
            changes: new values of `name`, `arguments`, `cron`, `time_zone` or `paused`.
            by: the actor for the audit log.

        Raises:
            NotFound: there is no such schedule that the caller may see.
            InvalidArguments: a value is invalid.
            Forbidden: the caller is restricted to sources, and the new arguments cover others.
            Conflict: another schedule has that name.
        """
        old = self.get(which, caller)
        new = replace(old, **changes)
        if new.arguments != old.arguments:
            self.runs.plan(new.report_type, new.arguments, new.launcher, caller)
        values = dict(changes)
        if "name" in values:
            values["name"] = _name(new.name)
        if (new.cron, new.time_zone) != (old.cron, old.time_zone) or (old.paused and not new.paused):
            # times that passed during a pause start no run
            values["next_at"] = next_time(new.cron, new.time_zone, now())
        if values:
            self._write(
                sa.update(schedule).where(schedule.c.id == old.id).values(values),
                new.name,
                _event(audit.EventType.SCHEDULE_CHANGED, new, by),
            )
        return self.get(old.id)

    def remove(self, which: str, caller: Caller | None = None, by: audit.Actor = SYSTEM) -> Schedule:
        """Remove a schedule, and return it. Runs that it has started stay.

        Args:
            which: its id or name.
            by: the actor for the audit log.

        Raises:
            NotFound: there is no such schedule that the caller may see.
        """
        old = self.get(which, caller)
        with self.database.begin() as connection:
            if connection.execute(sa.delete(schedule).where(schedule.c.id == old.id)).rowcount:
                audit.write_event(connection, _event(audit.EventType.SCHEDULE_REMOVED, old, by))
        return old

    def start_now(
        self,
        which: str,
        caller: Caller | None = None,
        attributes: Mapping[str, Any] | None = None,
        by: audit.Actor = SYSTEM,
    ) -> Run:
        """Start a schedule's report now, even if it is not due or is paused. Its next time does not change.

        The run is visible to the caller and to the schedule's owner.

        Args:
            which: the schedule's id or name.
            attributes: further attributes of the run, such as a tracking id.
            by: the actor for the audit log.

        Raises:
            NotFound: there is no such schedule that the caller may see.
            WhohasError: the report cannot be started.
        """
        found = self.get(which, caller)
        run_attributes = {**(attributes or {}), "schedule": found.name}
        run = self.runs.start(found.report_type, dict(found.arguments), found.launcher, caller, run_attributes, by)
        if found.owner is not None:
            with self.database.begin() as connection:
                visibility.record_launch(connection, found.owner, run)
        self._update(found.id, last_at=now(), last_run=run.id, last_error="")
        return run

    def any_due(self) -> bool:
        """Return whether any schedule is due. Paused schedules do not count."""
        query = _all().where(schedule.c.next_at <= now(), schedule.c.paused.is_(False)).limit(1)
        with self.database.connect() as connection:
            return connection.execute(query).first() is not None

    def start_due(self) -> int:
        """Start the reports of due schedules, at most 100, and return how many were started or failed for good.

        Many processes may call this at the same time: each due time is used once. A schedule whose run is refused for
        the moment (a quota, or unavailable data) stays due and is not counted.
        """
        at = now()
        query = _all().where(schedule.c.next_at <= at, schedule.c.paused.is_(False))
        with self.database.connect() as connection:
            rows = connection.execute(query.order_by(schedule.c.next_at).limit(_BATCH)).mappings().all()
        return sum(self._start_due(_schedule(row), at) for row in rows)

    def correct_next_times(self) -> int:
        """Correct schedules whose next time was computed while the system clock was wrongly ahead; return their number.

        The next time of a schedule is normally the first of its times after now. If it is later, the clock has been set
        back since it was computed, and it is set to the first time after now.

        Exception: where the clock was set back by at most an hour (`_REPEATED`) since the schedule last started a run,
        nothing is changed, so that a time that the clock shows twice starts one run. Example: an hourly schedule ran at
        10:00, so 11:00 is next, and then the clock is set back from 10:01 to 9:55: it does not run at 10:00 again.
        """
        at = now()
        waiting = _all().where(schedule.c.next_at > at, schedule.c.paused.is_(False))
        with self.database.connect() as connection:
            all_waiting = [_schedule(row) for row in connection.execute(waiting).mappings()]
        corrected = 0
        for item in all_waiting:
            try:
                following = next_time(item.cron, item.time_zone, at)
            except InvalidArguments:  # reported by `_start_due` when it is due
                continue
            is_repeat = item.last_at is not None and timedelta(0) < item.last_at - at <= _REPEATED
            if following >= item.next_at or is_repeat:
                continue
            change = sa.update(schedule).where(schedule.c.id == item.id, schedule.c.next_at == item.next_at)
            with self.database.begin() as connection:
                corrected += connection.execute(change.values(next_at=following)).rowcount
            log.warning(
                "the clock was set back: schedule put right",
                schedule=item.name,
                was_due=item.next_at.isoformat(),
                due=following.isoformat(),
            )
        return corrected

    def _start_due(self, due: Schedule, at: datetime) -> bool:
        """Start the report of a due schedule, and advance its next time in the same transaction.

        Returns:
            Whether its time was used by this call: a run was started, or it failed for good. False where another server
            was quicker, where it stays due because the refusal is temporary, and where it had to be paused.
        """
        with structlog.contextvars.bound_contextvars(schedule=due.name):
            try:
                following = next_time(due.cron, due.time_zone, at)
            except InvalidArguments as error:  # such as a time zone that this machine no longer knows
                self._update(due.id, paused=True, last_error=error.message)
                log.error("schedule paused", reason=error.message)
                return False
            try:
                planned = self.runs.plan(
                    due.report_type, dict(due.arguments), due.launcher, self._owner(due), {"schedule": due.name}
                )
                plan = planned.to_run_plan()
                by = audit.Actor("schedule", due.name, due.id)
                with self.database.begin() as connection:
                    if not _claimed(connection, due, following, at, ""):
                        return False
                    kept = self.runs.insert(connection, planned.run, plan, due.owner, by)
                    if kept is None:  # the active run with its key ended at this moment: the next tick tries again
                        connection.rollback()
                        return False
                    connection.execute(
                        sa.update(schedule).where(schedule.c.id == due.id).values(last_run=kept.id, last_error="")
                    )
            except (QuotaExceeded, Unavailable) as error:  # it stays due
                if due.last_error != error.message:
                    log.warning("schedule waits", reason=error.message)
                    self._update(due.id, last_error=error.message)
                return False
            except WhohasError as error:
                with self.database.begin() as connection:
                    claimed = _claimed(connection, due, following, at, error.message)
                if claimed:
                    log.warning("schedule failed", reason=error.message)
                return claimed
            log.info(
                "schedule started a run", run_id=kept.id, late_seconds=round((at - due.next_at).total_seconds(), 1)
            )
            return True

    def _owner(self, due: Schedule) -> Caller | None:
        """Return the owner of a due schedule, after checking their present rights. None for the operator of the server,
        and for a user of an external issuer, whose rights are unknown.

        Raises:
            Forbidden: the owner may not start reports any more, or is unknown.
        """
        if due.owner is None:
            return None
        with self.database.connect() as connection:
            owner = find_owner(connection, due.owner)
        if owner is not None:
            check_access(owner, "startReport")
        elif not self.allow_external_owners:
            raise Forbidden(f"{due.launcher!r}, whose schedule it is, is not known here. Remove it, or make another.")
        return owner

    def _update(self, id: str, **values: Any) -> None:
        with self.database.begin() as connection:
            connection.execute(sa.update(schedule).where(schedule.c.id == id).values(values))

    def _write(self, statement: sa.Insert | sa.Update, name: str, event: audit.Event) -> None:
        """Execute a statement and write its audit event in one transaction; no event where no row was changed.

        Raises:
            Conflict: another schedule has this name.
        """
        try:
            with self.database.begin() as connection:
                if connection.execute(statement).rowcount != 0:  # after an insert some drivers return -1
                    audit.write_event(connection, event)
        except IntegrityError:
            raise Conflict(f"There is a schedule {name!r} already. Choose another name, or remove that one.") from None


def _event(type: audit.EventType, subject: Schedule, by: audit.Actor) -> audit.Event:
    facts = {
        "name": subject.name,
        "report": subject.report_type,
        "cron": subject.cron,
        "timeZone": subject.time_zone,
        "launcher": subject.launcher,
        "paused": subject.paused,
    }
    return audit.Event(type, subject.id, by, details=facts)


def _claimed(connection: sa.Connection, due: Schedule, following: datetime, at: datetime, error: str) -> bool:
    """Advance the next time of a due schedule to `following`. Return False, and roll back, where another server has
    done so, or where the schedule was changed or paused since it was read."""
    unchanged = sa.update(schedule).where(
        schedule.c.id == due.id,
        schedule.c.next_at == due.next_at,
        schedule.c.cron == due.cron,
        schedule.c.paused.is_(False),
    )
    values = {"next_at": following, "last_at": at, "last_error": error, "last_run": None}
    now_stored = connection.execute(unchanged.values(values).returning(*schedule.columns)).mappings().first()
    # compared here, because PostgreSQL has no equality of JSON
    if now_stored is None or _schedule(now_stored) != replace(due, **values):
        connection.rollback()
        return False
    return True


def _all(caller: Caller | None = None) -> sa.Select[Any]:
    query = sa.select(schedule)
    return query if caller is None or caller.sees_all else query.where(schedule.c.owner == caller.id)


def _schedule(row: sa.RowMapping) -> Schedule:
    return Schedule(**row)


def _name(name: str) -> str:
    stripped = name.strip()
    if not stripped or len(stripped) > MAX_NAME_CHARACTERS or not stripped.isprintable():
        raise InvalidArguments(f"A schedule needs a name of 1 to {MAX_NAME_CHARACTERS} characters that can be printed.")
    return stripped
