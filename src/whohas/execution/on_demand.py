"""Renders a run in a further format on the first download, after the run is over; and replays runs.

The rows come from the run's extracts (Parquet files) where they were kept, or else from executing its stored statements
again over the snapshot that it read. A file whose rows would differ from those of the run, by their number or their
digest, is refused.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from whohas import timeouts
from whohas.engine.statement import TableFiles
from whohas.errors import NotFound, Unavailable, WhohasError
from whohas.execution.memory import MemoryWatch, group_memory
from whohas.execution.processes import Children, Done, died, follow
from whohas.execution.protocol import Output, Part, Work
from whohas.execution.work import parts_of
from whohas.formats.base import About, Options
from whohas.formats.registry import find
from whohas.plurals import counted
from whohas.runs import repository
from whohas.runs.models import Message, Run, RunId
from whohas.runs.output_options import options
from whohas.runs.planning import about_of, held_snapshot, none_now, planned_as_recorded, refused_as_not_found
from whohas.runs.plans import Digest, Record
from whohas.search.index import index_versions
from whohas.settings import Settings
from whohas.storage import EXTRACT, Artefact, Artefacts
from whohas.warehouse.store import Warehouse


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of executing the statements of a run again.

    Attributes:
        run: the run that was replayed.
        then: the digest that was stored with the run; None where none was.
        now: the digest of the rows that its statements yield now.
        analysers: the versions of the text analyser that made the search index, then and now; each None where the run
            reads no search index.
    """

    run: Run
    then: Digest | None
    now: Digest
    analysers: tuple[int | None, int | None] = (None, None)

    @property
    def same(self) -> bool | None:
        """Whether the rows are the same; None where they cannot be compared, for the reason in `why`."""
        if differs(self.then, self.now):
            return None if self._analyser_changed else False
        return None if self.then is None or self.then.engine != self.now.engine else True

    @property
    def _analyser_changed(self) -> bool:
        return self.analysers[0] != self.analysers[1]

    @property
    def why(self) -> str:
        """Why the rows cannot be compared fully; empty where they can."""
        if self.then is None:
            return "No digest was kept with this run."
        if self.then.engine != self.now.engine:
            return (
                f"The digest that was kept is of {self.then.engine}, and this is {self.now.engine}: another version "
                "may hash rows otherwise. Only their numbers were compared."
            )
        if self._analyser_changed:
            then, now = self.analysers
            return (
                f"Version {then} of the analyser made the words of the search index then, and version {now} makes them "
                "now: a query may find other rows."
            )
        return ""


def differs(then: Digest | None, now: Digest) -> bool:
    """Return whether two digests prove that the rows differ.

    Numbers of rows are always compared; hashes only where the same version of the same engine computed them. False
    where there is no digest to compare with.
    """
    if then is None:
        return False
    if [part.rows for part in then.parts] != [part.rows for part in now.parts]:
        return True
    return then.engine == now.engine and then.parts != now.parts


@dataclass(frozen=True)
class Later:
    """Renders further formats of runs that are over, and replays runs.

    Each request uses a child process; at most `runs_at_once` are at work at the same time, further requests wait.
    """

    settings: Settings
    database: sa.Engine
    artefacts: Artefacts
    warehouse: Warehouse
    children: Children = field(default_factory=Children)
    _slots: threading.BoundedSemaphore = field(init=False)
    _locks: defaultdict[tuple[RunId, str], threading.Lock] = field(
        default_factory=lambda: defaultdict[tuple[RunId, str], threading.Lock](threading.Lock)
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_slots", threading.BoundedSemaphore(self.settings.runs_at_once))

    def make(self, run: Run, format: str) -> Artefact | None:
        """Return a run's file in a format, after rendering it if the run has none; None where the run has no files at
        all.

        Concurrent requests for the same file render it once. The file is added to the run.

        Raises:
            InvalidArguments: the format is unknown.
            NotFound: the run has no extracts, and its rows cannot be computed again.
            Unavailable: rendering failed; the message says why.
        """
        find(format)
        if not run.artefacts:
            return None
        with self._locks[run.id, format]:
            with self.database.connect() as connection:
                run = repository.get(connection, run.id) or run
            for artefact in run.artefacts:  # another request may have rendered it before this one got the lock
                if artefact.format == format:
                    return artefact
            with self._slots:
                return self._render(run, format)

    def _render(self, run: Run, format: str) -> Artefact:
        """Render a run in a format, compare its rows with those of the run, and add the file to the run."""
        token = secrets.token_hex(4)
        extracts = [artefact for artefact in run.artefacts if artefact.format == EXTRACT]
        extracts = extracts if all(self.artefacts.path(run.id, extract).is_file() for extract in extracts) else []
        zipped = any(artefact.zipped for artefact in run.artefacts)
        name = f"{run.report_type.lower()}-{token}.{f'{format}.zip' if zipped else format}"
        output = Output(format, str(self.artefacts.part(run.id, run.attempt, name)), zipped)
        try:
            with self.database.connect() as connection:
                record = repository.record(connection, run.id)
            if extracts:
                parts = tuple(
                    Part.of_extract(str(self.artefacts.path(run.id, extract)), extract.rows) for extract in extracts
                )
                write_options = record.plan.options if record.plan else options(run.arguments, self.settings)
                done = self._carry_out(run, token, parts, (), None, write_options, (output,))
            else:
                done = self._from_statements(run, record, token, output, format)
            file = next(file for file in done.files if file["format"] == format)
            if run.rows is not None and file["rows"] != run.rows:
                now = f"Its statement gives {counted(file['rows'], 'row')} now, and gave {run.rows:,} then."
                raise NotFound(f"{none_now(run, format)} {now}")
            if done.digest is not None and differs(record.digest, done.digest):
                raise NotFound(f"{none_now(run, format)} Its statement gives other rows now than it gave then.")
            return self._add_to_run(run, self.artefacts.published(file, zipped=zipped), done.messages)
        except (WhohasError, OSError) as error:
            Path(output.path).unlink(missing_ok=True)
            if isinstance(error, NotFound):
                raise
            text = error.message if isinstance(error, WhohasError) else str(error.strerror or error)
            raise Unavailable(f"The {find(format).name.upper()} of this run could not be made. {text}") from error
        finally:
            for extract in Path(output.path).parent.glob(f"{Path(output.path).name}-extract-*"):
                extract.unlink(missing_ok=True)

    def _from_statements(self, run: Run, record: Record, token: str, output: Output, format: str) -> Done:
        """Render a run's file by executing its statements again in a child process."""
        plan = record.plan or planned_as_recorded(run, record.statement, format, self.warehouse, self.settings)
        through = find(format).copy is None
        with refused_as_not_found(run, format), held_snapshot(run, plan, self.warehouse) as snapshot:
            parts, tables = parts_of(
                plan, self.warehouse.root, lambda number: f"{output.path}-extract-{number}" if through else ""
            )
            return self._carry_out(run, token, parts, tables, about_of(run, snapshot), plan.options, (output,))

    def replay(self, run: Run) -> Replay:
        """Execute the statements of a run that is over again on its snapshot, and compare the digests of the rows.

        Raises:
            NotFound: the run has no stored plan or no rows, or its snapshot is no longer kept.
            Unavailable: a statement failed; the message says why.
        """
        with self.database.connect() as connection:
            record = repository.record(connection, run.id)
        if run.rows is None:
            raise NotFound(f"This run has no rows to compare with: {run.progress.lower()}.")
        if record.plan is None:
            raise NotFound("An earlier version of whohas carried out this run, and kept no plan that can be run again.")
        with self._slots:
            try:
                with held_snapshot(run, record.plan, self.warehouse) as snapshot:
                    parts, tables = parts_of(record.plan, self.warehouse.root, lambda _: "")
                    done = self._carry_out(run, secrets.token_hex(4), parts, tables, None, record.plan.options, ())
            except NotFound as error:
                raise NotFound(f"This run cannot be replayed. {error.message}") from error
            except (WhohasError, OSError) as error:
                text = error.message if isinstance(error, WhohasError) else str(error.strerror or error)
                raise Unavailable(f"The statements of this run could not be run again. {text}") from error
        assert done.digest is not None, "a work without outputs reports a digest"
        versions = index_versions(snapshot) if record.plan.views else None
        return Replay(run, record.digest, done.digest, (record.plan.analyser, versions.analyser if versions else None))

    def _carry_out(
        self,
        run: Run,
        token: str,
        parts: tuple[Part, ...],
        tables: tuple[TableFiles, ...],
        about: About | None,
        write_options: Options,
        outputs: tuple[Output, ...],
    ) -> Done:
        """Carry out a work in a child process, and return its result.

        Args:
            token: random text that distinguishes this work's spill folder from others of the run.

        Raises:
            WhohasError: the work failed or took longer than `run_seconds`; the message says why.
            OSError: the operating system refused the process.
        """
        spill = self.settings.spill_path / "later" / f"{run.id}-{token}"
        work = Work(
            parts=parts,
            tables=tables,
            outputs=outputs,
            about=about,
            options=write_options,
            memory=self.settings.run_memory,
            threads=self.settings.run_threads,
            spill=str(spill),
        )
        child = self.children.take()
        began = time.monotonic()
        try:
            memory = MemoryWatch(group_memory())
            for facts in follow(child, work, timeouts.RENDER_LOOK_SECONDS):
                memory.look()
                if isinstance(facts, Done):
                    return facts
                if time.monotonic() - began > self.settings.run_seconds:
                    raise WhohasError(
                        f"It took longer than the {self.settings.run_seconds:,} seconds that a run may take "
                        "(WHOHAS_RUN_SECONDS)."
                    )
            raise died(child, memory)
        finally:
            self.children.end(child)
            shutil.rmtree(spill, ignore_errors=True)

    def _add_to_run(self, run: Run, new: Artefact, messages: tuple[Message, ...]) -> Artefact:
        """Add a file to the run's row, and return it; where another server was quicker, remove it and return theirs."""
        with self.database.begin() as connection:
            kept = repository.add_artefact(connection, run.id, new, messages)
        if kept != new:
            self.artefacts.path(run.id, new).unlink(missing_ok=True)
        return kept
