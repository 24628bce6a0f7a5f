"""What a worker does beside carrying out runs: it takes over those of workers that died, and puts right what was lost.

All of it may be done by every worker at once, and again and again: each step looks first, and changes only what is
still as it saw it.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.artefacts import Artefacts
from whohas.runs import table
from whohas.runs.model import State
from whohas.runs.presence import Presence
from whohas.settings import Settings

_LOOK_SECONDS = timeouts.RECOVERY_LOOK_SECONDS
_TIDY_SECONDS = timeouts.RECOVERY_TIDY_SECONDS
_STRAY = timedelta(seconds=timeouts.RECOVERY_STRAY_SECONDS)

log = structlog.get_logger("whohas.recovery")


@dataclass(frozen=True)
class Recovery:
    """Attributes:
    under_way: the ids of the runs that this process is busy with.
    """

    settings: Settings
    database: sa.Engine
    artefacts: Artefacts
    presence: Presence
    under_way: Callable[[], list[str]]

    @contextmanager
    def going_on(self) -> Generator[None]:
        """Once now, then in a thread until the context ends.

        Raises:
            SQLAlchemyError: the database does not answer now; later that is logged.
        """
        self._take_over()
        stop = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(stop,), name="recovery", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _go_on(self, stop: threading.Event) -> None:
        tidied = time.monotonic()
        while not stop.wait(_LOOK_SECONDS):
            try:
                self._take_over()
                if time.monotonic() - tidied > _TIDY_SECONDS:
                    tidied = time.monotonic()
                    self._tidy()
            except SQLAlchemyError as error:
                log.warning("the database does not answer", reason=str(error).splitlines()[0])
            except Exception:
                log.exception("internal fault")

    def _take_over(self) -> None:
        """Runs of dead workers go back to the queue, or are over where they were being cancelled."""
        with self.database.begin() as connection:
            if self.presence.settled:
                self.presence.end_hung(connection)
            held = table.held(connection)
        for executor in {one.executor for one in held}:
            theirs = [one for one in held if one.executor == executor]
            if executor == self.presence.executor:
                # nobody is busy with them here: what became of them could not be written down, or a thread broke
                under_way = self.under_way()
                forgotten = [one for one in theirs if one.id not in under_way]
                if forgotten:
                    with self.database.begin() as connection:
                        self._release(connection, forgotten)
            elif self.presence.settled:
                with self.database.begin() as connection:
                    if self.presence.is_dead(connection, executor):
                        self._release(connection, theirs)
                        if executor is not None:
                            shutil.rmtree(self.settings.spill_path / executor, ignore_errors=True)

    def _release(self, connection: sa.Connection, lost: list[table.Held]) -> None:
        for one in lost:
            match table.release(connection, one):
                case State.QUEUED:
                    log.warning("run taken over", run_id=one.id, attempt=one.attempt)
                case State.CANCELLED:
                    log.info("run cancelled, its worker having died", run_id=one.id)
                    self.artefacts.sweep(one.id, one.attempt)
                case _:
                    pass

    def _tidy(self) -> None:
        """Removes what lost attempts wrote after their run was over."""
        with self.database.connect() as connection:
            over = table.over_since(connection, table.now() - _STRAY)
        for run in over:
            self.artefacts.sweep(
                run.id, run.attempt - 1 if run.state in (State.SUCCEEDED, State.WARNED) else run.attempt
            )
