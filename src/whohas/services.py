"""Everything an installation is made of, built once at the two doors: the HTTP server and the command line."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.artefacts import Artefacts
from whohas.audit.denials import Denials
from whohas.audit.relay import Relay
from whohas.auth import Access, open_access
from whohas.background import PeriodicTask
from whohas.database import connect
from whohas.errors import InvalidArguments, Unavailable, WhohasError
from whohas.faults import unusable
from whohas.hints import did_you_mean
from whohas.migrations import upgrade
from whohas.render.registry import find
from whohas.reports.registry import reports
from whohas.runs.children import Children
from whohas.runs.hooks import Hooks
from whohas.runs.later import Later
from whohas.runs.leftovers import remove_job_tables
from whohas.runs.queue import Wakeup
from whohas.runs.retention import Retention
from whohas.runs.schedules import Schedules
from whohas.runs.service import Runs
from whohas.runs.supervise import Supervisor
from whohas.runs.sweeper import Sweeper
from whohas.runs.worker import AFTER_RUNS, working
from whohas.settings import Settings
from whohas.tracing import Tracing, open_tracing
from whohas.warehouse.audited import tell_loads
from whohas.warehouse.store import Warehouse

_SWEEP_JITTER = 0.1
_CONNECTIONS = 4
"""Connections to the database that are open before the first call; the pool keeps them."""

log = structlog.get_logger("whohas.services")


@dataclass(frozen=True)
class Services:
    """The parts of an installation; whatever needs one is given it."""

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: Artefacts
    runs: Runs
    access: Access
    schedules: Schedules
    hooks: Hooks
    retention: Retention
    tracing: Tracing
    denials: Denials
    relay: Relay

    def warm(self) -> None:
        """Does now what the first calls would else wait for, half a second and more: imports of what reads tables, the
        catalogue of the newest snapshot, connections to the database. What is missing or broken is for the calls to
        tell."""
        try:
            with ExitStack() as open_together:
                for _ in range(_CONNECTIONS):
                    open_together.enter_context(self.database.connect())
                self.runs.planned("IDENTITIES", {}, "nobody")
        except WhohasError as error:
            log.info("not warm", reason=error.message)
        except Exception as error:
            log.warning("not warm", exc_info=error)

    @contextmanager
    def worker(self) -> Generator[None]:
        """Make this process a worker for as long as the context lasts: it carries out runs, starts what is scheduled,
        sends what webhooks wait for, and removes what is kept no longer."""
        sweeper = Sweeper(self.retention)  # looks at what there is before this process adds to it
        tasks = (
            PeriodicTask(
                "schedules", self.schedules.tick, timeouts.TICK_SECONDS, apart=True, needed=self.schedules.any_due
            ),
            PeriodicTask("schedules put right", self.schedules.put_right, timeouts.CLOCK_LOOK_SECONDS, apart=True),
            PeriodicTask(AFTER_RUNS, self.hooks.deliver, timeouts.TICK_SECONDS, apart=True, needed=self.hooks.any_due),
            # a sweep looks through the folders that all workers share
            PeriodicTask("sweep", sweeper.sweep, self.settings.sweep_seconds, apart=True, jitter=_SWEEP_JITTER),
        )
        with self.runs.work(tasks):
            yield


def _check_names(settings: Settings) -> None:
    """Refuse names of reports and formats that there are none of, which no run would notice before it is too late."""
    known = reports()
    for name in settings.concurrent_reports:
        if name not in known:
            raise InvalidArguments(
                f"WHOHAS_CONCURRENT_REPORTS names {name!r}, which is no report.{did_you_mean(name, known)} There are: "
                f"{', '.join(known)}."
            )
    if not settings.default_formats:
        raise InvalidArguments("WHOHAS_DEFAULT_FORMATS names no format; a run makes at least one, such as csv.")
    for name in settings.default_formats:
        try:
            find(name)
        except InvalidArguments as error:
            raise InvalidArguments(f"WHOHAS_DEFAULT_FORMATS: {error.message}") from None


@contextmanager
def open_services(settings: Settings, *, serving: bool = False) -> Generator[Services]:
    """Opens an installation, making its folder, its database and its keys if they are missing.

    Args:
        serving: whether this process goes on for long (`Settings.make_home`).

    Raises:
        InvalidArguments: a setting names what there is none of.
        Unavailable: the folder or the database cannot be made or opened.
    """
    _check_names(settings)
    try:
        settings.make_home(serving=serving)
        database = connect(settings.sqlalchemy_url)
        upgrade(database)
        if database.dialect.name == "postgresql":
            remove_job_tables(database, quiet=True)  # now, while this process has but one session
        access = open_access(settings, database)
    except (OSError, SQLAlchemyError) as error:
        raise Unavailable(unusable(error, settings.sqlalchemy_url, str(settings.home))) from error
    warehouse = Warehouse(settings.warehouse_path, shared=settings.warehouse_shared)
    artefacts = Artefacts(settings.artefacts_path)
    tracing = open_tracing(settings.otlp_endpoint, settings.org)
    children = Children()
    supervisor = Supervisor(settings, database, warehouse, artefacts, children, tracing)
    wakeup = Wakeup()

    def work(tasks: Sequence[PeriodicTask] = (), /) -> AbstractContextManager[None]:
        return working(settings, database, supervisor, wakeup, tasks)

    later = Later(settings, database, artefacts, warehouse, children)
    denials = Denials(database)
    relay = Relay(
        settings,
        database,
        (
            PeriodicTask("denials", denials.flush, timeouts.DENIALS_FLUSH_SECONDS),
            PeriodicTask(
                "loads",
                lambda: tell_loads(warehouse, database),
                timeouts.AUDIT_LOADS_SECONDS,
                needed=lambda: relay.leads,
            ),
        ),
        partial(denials.flush, all=True),
    )
    runs = Runs(settings, database, warehouse, artefacts, later, wakeup.set, work)
    try:
        yield Services(
            settings=settings,
            database=database,
            warehouse=warehouse,
            artefacts=artefacts,
            runs=runs,
            access=access,
            schedules=Schedules(database, runs, outsiders=settings.oidc_issuer is not None),
            hooks=Hooks(settings, database, access.secrets),
            retention=Retention(settings, database, artefacts),
            tracing=tracing,
            denials=denials,
            relay=relay,
        )
    finally:
        children.close()
        tracing.close()
        denials.flush(all=True)
        database.dispose()
