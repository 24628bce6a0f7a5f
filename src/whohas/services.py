"""The objects of an installation (database, warehouse, runs, webhooks, audit log, …), created and wired together.

The HTTP server, workers and commands call `open_services` once when they start and pass the result on.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.audit.denials import DenialLog
from whohas.audit.relay import Relay
from whohas.auth import AuthServices, open_access
from whohas.background import PeriodicTask
from whohas.db.engine import create_engine
from whohas.db.migrations import upgrade_schema
from whohas.errors import InvalidArguments, Unavailable, WhohasError
from whohas.execution.legacy_jobs import remove_job_tables
from whohas.execution.on_demand import OnDemandRenderer
from whohas.execution.processes import ChildPool
from whohas.execution.queue import Wakeup
from whohas.execution.supervisor import Supervisor
from whohas.execution.sweeper import Sweeper
from whohas.execution.worker import TASK_AFTER_RUNS, run_worker
from whohas.faults import describe_unusable
from whohas.formats.registry import find_format
from whohas.hints import did_you_mean
from whohas.reports.registry import all_reports
from whohas.retention.service import Retention
from whohas.runs.service import Runs
from whohas.schedules.service import Schedules
from whohas.settings import Settings
from whohas.storage import ArtifactStore, open_artifact_store
from whohas.tracing import Tracing, open_tracing
from whohas.warehouse.audit_events import tell_loads
from whohas.warehouse.opening import open_warehouse
from whohas.warehouse.store import Warehouse
from whohas.webhooks.service import Webhooks

_SWEEP_JITTER = 0.1
_CONNECTIONS = 4
"""Connections to the database that are open before the first call; the pool keeps them."""

log = structlog.get_logger("whohas.services")


@dataclass(frozen=True)
class Services:
    """The parts of an opened installation, as `open_services` creates them."""

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: ArtifactStore
    runs: Runs
    on_demand: OnDemandRenderer
    access: AuthServices
    schedules: Schedules
    webhooks: Webhooks
    retention: Retention
    tracing: Tracing
    denial_log: DenialLog
    relay: Relay

    def warm_up(self) -> None:
        """Prepare what the first requests would otherwise wait for, half a second or more.

        Opens connections to the database, imports the modules that read tables, and reads the catalog of the newest
        snapshot. Failures are logged and ignored: the requests will report them.
        """
        try:
            with ExitStack() as open_together:
                for _ in range(_CONNECTIONS):
                    open_together.enter_context(self.database.connect())
                self.runs.plan("IDENTITIES", {}, "nobody")
        except WhohasError as error:
            log.info("not warm", reason=error.message)
        except Exception as error:
            log.warning("not warm", exc_info=error)

    @contextmanager
    def run_worker(self) -> Generator[None]:
        """Make this process a worker until the context ends.

        A worker executes runs, starts scheduled runs, delivers webhook messages, and sweeps what retention no longer
        keeps.
        """
        sweeper = Sweeper(
            self.retention
        )  # created first: it checks the age of the newest run before this worker adds runs
        tasks = (
            PeriodicTask(
                "schedules",
                self.schedules.start_due,
                timeouts.TICK_SECONDS,
                in_own_thread=True,
                is_needed=self.schedules.any_due,
            ),
            PeriodicTask(
                "schedules put right",
                self.schedules.correct_next_times,
                timeouts.CLOCK_CHECK_SECONDS,
                in_own_thread=True,
            ),
            PeriodicTask(
                TASK_AFTER_RUNS,
                self.webhooks.deliver,
                timeouts.TICK_SECONDS,
                in_own_thread=True,
                is_needed=self.webhooks.any_due,
            ),
            # a sweep scans folders that all workers share: jitter keeps workers from scanning them at the same time
            PeriodicTask("sweep", sweeper.sweep, self.settings.sweep_seconds, in_own_thread=True, jitter=_SWEEP_JITTER),
        )
        with self.runs.working(tasks):
            yield


def _check_names(settings: Settings) -> None:
    """Reject settings that name unknown reports or formats; otherwise they would surface only when a run starts."""
    known = all_reports()
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
            find_format(name)
        except InvalidArguments as error:
            raise InvalidArguments(f"WHOHAS_DEFAULT_FORMATS: {error.message}") from None


@contextmanager
def open_services(settings: Settings, *, serving: bool = False) -> Generator[Services]:
    """Open an installation; create its home folder, database schema and signing keys if they are missing.

    Args:
        serving: whether this is a long-running process (a server or worker). It checks the permissions of all files in
            the home folder in the background; others check the topmost folders, and the rest only if those are wrong.

    Raises:
        InvalidArguments: a setting names an unknown report or format, or a package that is not installed is needed.
        Unavailable: the home folder or the database cannot be created or opened, or the store of files cannot be used.
    """
    _check_names(settings)
    try:
        settings.make_home(serving=serving)
        database = create_engine(settings.sqlalchemy_url)
        upgrade_schema(database)
        if database.dialect.name == "postgresql":
            remove_job_tables(database, quiet=True)  # now, while this process has only one session
        access = open_access(settings, database)
    except (OSError, SQLAlchemyError) as error:
        raise Unavailable(describe_unusable(error, settings.sqlalchemy_url, str(settings.home))) from error
    warehouse = open_warehouse(settings, serving=serving)
    artefacts = open_artifact_store(settings)
    if serving:
        artefacts.check()
    tracing = open_tracing(settings.otlp_endpoint, settings.org)
    children = ChildPool()
    supervisor = Supervisor(settings, database, warehouse, artefacts, children, tracing)
    wakeup = Wakeup()

    def work(tasks: Sequence[PeriodicTask] = (), /) -> AbstractContextManager[None]:
        return run_worker(settings, database, supervisor, wakeup, tasks)

    on_demand = OnDemandRenderer(settings, database, artefacts, warehouse, children)
    denials = DenialLog(database)
    relay = Relay(
        settings,
        database,
        (
            PeriodicTask("denials", denials.flush, timeouts.DENIALS_FLUSH_SECONDS),
            PeriodicTask(
                "loads",
                lambda: tell_loads(warehouse, database),
                timeouts.AUDIT_LOADS_SECONDS,
                is_needed=lambda: relay.is_leader,
            ),
        ),
        partial(denials.flush, all=True),
    )
    runs = Runs(settings, database, warehouse, artefacts, on_demand, supervisor.expect_run, wakeup.set, work)
    try:
        yield Services(
            settings=settings,
            database=database,
            warehouse=warehouse,
            artefacts=artefacts,
            runs=runs,
            on_demand=on_demand,
            access=access,
            schedules=Schedules(database, runs, allow_external_owners=settings.oidc_issuer is not None),
            webhooks=Webhooks(settings, database, access.secrets_key),
            retention=Retention(settings, database, artefacts),
            tracing=tracing,
            denial_log=denials,
            relay=relay,
        )
    finally:
        children.close()
        tracing.close()
        denials.flush(all=True)
        database.dispose()
