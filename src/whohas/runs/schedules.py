"""Schedules: a report that is started again and again, kept in the database.

A due schedule is claimed by moving its next time, in the transaction that keeps the run. So among many servers each
time is used once, and a server that dies in between has used none. Of the times that passed while no server ran, one
is made up for.
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
from whohas.auth import Caller, check_access, owner_of
from whohas.database import Instant, metadata
from whohas.errors import Conflict, Forbidden, InvalidArguments, NotFound, QuotaExceeded, Unavailable, WhohasError
from whohas.runs import launches
from whohas.runs.cron import next_time
from whohas.runs.model import Run
from whohas.runs.repository import now
from whohas.runs.service import Runs

LONGEST_NAME = 100
_REPEATED = timedelta(seconds=timeouts.CLOCK_BACK_SECONDS)
_AT_ONCE = 100
"""Due schedules that are looked at in one go."""

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
    sa.Column("created", Instant, nullable=False),
    sa.Column("next_at", Instant, nullable=False, index=True),
    sa.Column("last_at", Instant),
    sa.Column("last_run", sa.String(32)),
    sa.Column("last_error", sa.Text, nullable=False),
)
"""One row a schedule."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A report that is started at the times of a cron expression.

    Attributes:
        arguments: as they are sent to each start; what they mean is looked up then.
        time_zone: in which `cron` is read, an IANA name.
        launcher: whom its runs name as theirs.
        owner: the `Caller.id` of who made it, and sees it and its runs beside administrators; None for whoever runs the
            server.
        paused: it starts nothing until it is resumed.
        next_at: when it is due, unless it is paused.
        last_at: when it last started a run, or tried to.
        last_run: the run that this gave; None where it failed.
        last_error: why it failed; empty where it did not.
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
    """The schedules of an installation.

    Each is its maker's and the administrators': what a `caller` may not see is not there for them. A caller that is
    null is whoever runs the server.
    """

    database: sa.Engine
    runs: Runs
    outsiders: bool = False
    """Whether holders of an outside issuer's tokens may own schedules. What they may do at a time is told by a token
    alone, so theirs start as they were made, and who sees the runs is asked when they call."""

    def add(
        self,
        name: str,
        report_type: str,
        arguments: Mapping[str, Any],
        cron: str,
        time_zone: str,
        launcher: str,
        caller: Caller | None = None,
        by: audit.Who = SYSTEM,
    ) -> Schedule:
        """Makes a schedule. Its report must be one that could be started now.

        Raises:
            InvalidArguments: a name, a report, arguments, an expression or a zone that is none.
            Forbidden: it is not on a source that the caller is held to.
            Conflict: there is one of that name.
        """
        created = now()
        self.runs.planned(report_type, arguments, launcher, caller)
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
            _event(audit.Type.SCHEDULE_CREATED, new, by),
        )
        return new

    def list(self, caller: Caller | None = None) -> list[Schedule]:
        """All schedules, by name."""
        with self.database.connect() as connection:
            return [_schedule(row) for row in connection.execute(_all(caller).order_by(schedule.c.name)).mappings()]

    def get(self, which: str, caller: Caller | None = None) -> Schedule:
        """The schedule of an id or a name.

        Raises:
            NotFound: there is none.
        """
        either = sa.or_(schedule.c.id == which, schedule.c.name == which)
        with self.database.connect() as connection:
            row = connection.execute(_all(caller).where(either)).mappings().first()
        if row is None:
            raise NotFound(f"There is no schedule {which[:LONGEST_NAME]!r}.")
        return _schedule(row)

    def change(
        self, which: str, changes: Mapping[str, Any], caller: Caller | None = None, by: audit.Who = SYSTEM
    ) -> Schedule:
        """Changes `name`, `arguments`, `cron`, `time_zone` or `paused`; what is due next follows.

        Raises:
            NotFound: there is no such schedule.
            InvalidArguments: a value that cannot be.
            Conflict: another one has that name.
        """
        old = self.get(which, caller)
        new = replace(old, **changes)
        if new.arguments != old.arguments:
            self.runs.planned(new.report_type, new.arguments, new.launcher, caller)
        values = dict(changes)
        if "name" in values:
            values["name"] = _name(new.name)
        if (new.cron, new.time_zone) != (old.cron, old.time_zone) or (old.paused and not new.paused):
            # times that passed during a pause were not missed: nobody wanted them
            values["next_at"] = next_time(new.cron, new.time_zone, now())
        if values:
            self._write(
                sa.update(schedule).where(schedule.c.id == old.id).values(values),
                new.name,
                _event(audit.Type.SCHEDULE_CHANGED, new, by),
            )
        return self.get(old.id)

    def remove(self, which: str, caller: Caller | None = None, by: audit.Who = SYSTEM) -> Schedule:
        """Removes a schedule; its runs stay.

        Raises:
            NotFound: there is no such schedule.
        """
        old = self.get(which, caller)
        with self.database.begin() as connection:
            if connection.execute(sa.delete(schedule).where(schedule.c.id == old.id)).rowcount:
                audit.write(connection, _event(audit.Type.SCHEDULE_REMOVED, old, by))
        return old

    def run(
        self,
        which: str,
        caller: Caller | None = None,
        attributes: Mapping[str, Any] | None = None,
        by: audit.Who = SYSTEM,
    ) -> Run:
        """Starts a schedule's report now, whatever its times say and whether it is paused or not.
        The run is the caller's and the owner's.

        Raises:
            NotFound: there is no such schedule.
            WhohasError: the report cannot be started.
        """
        one = self.get(which, caller)
        told = {**(attributes or {}), "schedule": one.name}
        run = self.runs.start(one.report_type, dict(one.arguments), one.launcher, caller, told, by)
        if one.owner is not None:
            with self.database.begin() as connection:
                launches.note(connection, one.owner, run)
        self._note(one.id, last_at=now(), last_run=run.id, last_error="")
        return run

    def any_due(self) -> bool:
        """Return whether a schedule is due."""
        query = _all().where(schedule.c.next_at <= now(), schedule.c.paused.is_(False)).limit(1)
        with self.database.connect() as connection:
            return connection.execute(query).first() is not None

    def tick(self) -> int:
        """Starts what is due; how many times that was tried. Safe from many processes at once."""
        at = now()
        query = _all().where(schedule.c.next_at <= at, schedule.c.paused.is_(False))
        with self.database.connect() as connection:
            rows = connection.execute(query.order_by(schedule.c.next_at).limit(_AT_ONCE)).mappings().all()
        return sum(self._fire(_schedule(row), at) for row in rows)

    def put_right(self) -> int:
        """Have schedules that a clock wrongly set ahead has put off due when they should be; how many those were.

        Whatever the clock shows now, the next time of a schedule is the first after now, unless the clock was set back
        since that was computed. Where it was set back by an hour at most, as by hand, times that it shows once more do
        not count once more.
        """
        at = now()
        waiting = _all().where(schedule.c.next_at > at, schedule.c.paused.is_(False))
        with self.database.connect() as connection:
            all_waiting = [_schedule(row) for row in connection.execute(waiting).mappings()]
        moved = 0
        for one in all_waiting:
            try:
                following = next_time(one.cron, one.time_zone, at)
            except InvalidArguments:  # told when it is due
                continue
            used = one.last_at is not None and timedelta(0) < one.last_at - at <= _REPEATED
            if following >= one.next_at or used:
                continue
            change = sa.update(schedule).where(schedule.c.id == one.id, schedule.c.next_at == one.next_at)
            with self.database.begin() as connection:
                moved += connection.execute(change.values(next_at=following)).rowcount
            log.warning(
                "the clock was set back: schedule put right",
                schedule=one.name,
                was_due=one.next_at.isoformat(),
                due=following.isoformat(),
            )
        return moved

    def _fire(self, one: Schedule, at: datetime) -> bool:
        with structlog.contextvars.bound_contextvars(schedule=one.name):
            try:
                following = next_time(one.cron, one.time_zone, at)
            except InvalidArguments as error:  # a zone that this machine no longer knows
                self._note(one.id, paused=True, last_error=error.message)
                log.error("schedule paused", reason=error.message)
                return False
            try:
                planned = self.runs.planned(
                    one.report_type, dict(one.arguments), one.launcher, self._owner(one), {"schedule": one.name}
                )
                plan = planned.to_keep()
                by = audit.Who("schedule", one.name, one.id)
                with self.database.begin() as connection:
                    if not _claimed(connection, one, following, at, ""):
                        return False
                    kept = self.runs.keep(connection, planned.run, plan, one.owner, by)
                    if kept is None:  # the run that held its key ended at this moment: the next tick starts afresh
                        connection.rollback()
                        return False
                    connection.execute(
                        sa.update(schedule).where(schedule.c.id == one.id).values(last_run=kept.id, last_error="")
                    )
            except (QuotaExceeded, Unavailable) as error:  # it stays due
                if one.last_error != error.message:
                    log.warning("schedule waits", reason=error.message)
                    self._note(one.id, last_error=error.message)
                return False
            except WhohasError as error:
                with self.database.begin() as connection:
                    claimed = _claimed(connection, one, following, at, error.message)
                if claimed:
                    log.warning("schedule failed", reason=error.message)
                return claimed
            log.info(
                "schedule started a run", run_id=kept.id, late_seconds=round((at - one.next_at).total_seconds(), 1)
            )
            return True

    def _owner(self, one: Schedule) -> Caller | None:
        """The owner of a schedule that is due, whose rights are asked for now; None where they cannot be told.

        Raises:
            Forbidden: they may not start a report any more.
        """
        if one.owner is None:  # whoever runs the server
            return None
        with self.database.connect() as connection:
            owner = owner_of(connection, one.owner)
        if owner is not None:
            check_access(owner, "startReport")
        elif not self.outsiders:
            raise Forbidden(f"{one.launcher!r}, whose schedule it is, is not known here. Remove it, or make another.")
        return owner

    def _note(self, id: str, **values: Any) -> None:
        with self.database.begin() as connection:
            connection.execute(sa.update(schedule).where(schedule.c.id == id).values(values))

    def _write(self, statement: sa.Insert | sa.Update, name: str, event: audit.Event) -> None:
        try:
            with self.database.begin() as connection:
                if connection.execute(statement).rowcount != 0:  # of an insert some drivers do not tell it
                    audit.write(connection, event)
        except IntegrityError:
            raise Conflict(f"There is a schedule {name!r} already. Choose another name, or remove that one.") from None


def _event(type: audit.Type, one: Schedule, by: audit.Who) -> audit.Event:
    facts = {
        "name": one.name,
        "report": one.report_type,
        "cron": one.cron,
        "timeZone": one.time_zone,
        "launcher": one.launcher,
        "paused": one.paused,
    }
    return audit.Event(type, one.id, by, facts=facts)


def _claimed(connection: sa.Connection, one: Schedule, following: datetime, at: datetime, error: str) -> bool:
    """Takes the time at which a schedule is due; False where another server has, or it was changed meanwhile."""
    due = sa.update(schedule).where(
        schedule.c.id == one.id,
        schedule.c.next_at == one.next_at,
        schedule.c.cron == one.cron,
        schedule.c.paused.is_(False),
    )
    return connection.execute(due.values(next_at=following, last_at=at, last_error=error, last_run=None)).rowcount == 1


def _all(caller: Caller | None = None) -> sa.Select[Any]:
    query = sa.select(schedule)
    return query if caller is None or caller.sees_all else query.where(schedule.c.owner == caller.id)


def _schedule(row: sa.RowMapping) -> Schedule:
    return Schedule(**row)


def _name(name: str) -> str:
    stripped = name.strip()
    if not stripped or len(stripped) > LONGEST_NAME or not stripped.isprintable():
        raise InvalidArguments(f"A schedule needs a name of 1 to {LONGEST_NAME} characters that can be printed.")
    return stripped
