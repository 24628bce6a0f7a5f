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
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from whohas import timeouts
from whohas.engine.statement import TableFiles
from whohas.engine.summary import EMPTY_SUMMARY, RowsSummary
from whohas.errors import NotFound, Unavailable, WhohasError
from whohas.execution.memory import MemoryWatch, find_cgroup_memory
from whohas.execution.processes import ChildPool, WorkResult, exit_reason, system_error_message, watch_child
from whohas.execution.protocol import OutputFile, Work, WorkPart
from whohas.execution.work import NO_EXTRACT, output_file, parts_of
from whohas.formats.base import ReportMetadata, WriteOptions
from whohas.formats.registry import find_format
from whohas.object_stores import StoreFailed
from whohas.plurals import pluralize
from whohas.runs import repository
from whohas.runs.models import Message, Run, RunId
from whohas.runs.output_options import earlier_write_options
from whohas.runs.plans import RowsDigest, RowsRecord, RunPlan
from whohas.runs.stored_plans import (
    errors_as_not_found,
    hold_snapshot,
    no_file_message,
    plan_from_recorded_sql,
    run_metadata,
)
from whohas.search.index import index_versions
from whohas.settings import Settings
from whohas.storage import EXTRACT, Artifact, ArtifactStore, FileTarget, StoredFile
from whohas.warehouse.store import Warehouse


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of executing the statements of a run again.

    Attributes:
        run: the run that was replayed.
        stored_digest: the digest that was stored with the run; None where none was.
        new_digest: the digest of the rows that its statements yield now.
        stored_engine: the engine that executed the run, with its version; empty where none was stored.
        new_engine: the engine that executed its statements now.
        analysers: the versions of the text analyser that made the search index, then and now; each None where the run
            reads no search index.
    """

    run: Run
    stored_digest: RowsDigest | None
    new_digest: RowsDigest
    stored_engine: str
    new_engine: str
    analysers: tuple[int | None, int | None] = (None, None)

    @property
    def is_same(self) -> bool | None:
        """Whether the rows are the same; None where they cannot be compared, for the reason in `why_not_comparable`."""
        if digests_differ(self.stored_digest, self.new_digest):
            return None if self._analyser_changed else False
        return None if self.stored_digest is None or self.stored_digest.engine != self.new_digest.engine else True

    @property
    def _analyser_changed(self) -> bool:
        return self.analysers[0] != self.analysers[1]

    @property
    def why_not_comparable(self) -> str:
        """Why the rows cannot be compared fully; empty where they can."""
        if self.stored_digest is None:
            return "No digest was kept with this run."
        if self.stored_digest.engine != self.new_digest.engine:
            return (
                f"The digest that was kept is of {self.stored_digest.engine}, and this is {self.new_digest.engine}: "
                "another version may hash rows otherwise. Only their numbers were compared."
            )
        if self._analyser_changed:
            then, now = self.analysers
            return (
                f"Version {then} of the analyser made the words of the search index then, and version {now} makes them "
                "now: a query may find other rows."
            )
        return ""


def digests_differ(then: RowsDigest | None, now: RowsDigest) -> bool:
    """Return whether two digests prove that the rows differ.

    Numbers of rows are always compared; hashes only where the same version of the same engine computed them. False
    where there is no digest to compare with.
    """
    if then is None:
        return False
    if [part.rows for part in then.parts] != [part.rows for part in now.parts]:
        return True
    return then.engine == now.engine and then.parts != now.parts


@dataclass(frozen=True, slots=True)
class _KeptExtract:
    """An extract of a run on the local disk.

    Attributes:
        rows: its number of rows.
    """

    path: Path
    rows: int


@dataclass(frozen=True)
class OnDemandRenderer:
    """Renders further formats of runs that are over, summarizes and replays runs.

    Each request uses a child process; at most `runs_at_once` are at work at the same time, further requests wait.
    """

    settings: Settings
    database: sa.Engine
    artefacts: ArtifactStore
    warehouse: Warehouse
    children: ChildPool = field(default_factory=ChildPool)
    _slots: threading.BoundedSemaphore = field(init=False)
    _locks: defaultdict[tuple[RunId, str], threading.Lock] = field(
        default_factory=lambda: defaultdict[tuple[RunId, str], threading.Lock](threading.Lock)
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_slots", threading.BoundedSemaphore(self.settings.runs_at_once))

    def get_or_render(self, run: Run, format: str) -> Artifact | None:
        """Return a run's file in a format, after rendering it if the run has none; None where the run has no files at
        all.

        Concurrent requests for the same file render it once. The file is added to the run.

        Raises:
            InvalidArguments: the format is unknown.
            NotFound: the run has no extracts, and its rows cannot be computed again.
            Unavailable: rendering failed; the message says why.
        """
        find_format(format)
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

    def _render(self, run: Run, format: str) -> Artifact:
        """Render a run in a format, compare its rows with those of the run, and add the file to the run."""
        token = secrets.token_hex(4)
        scratch = self.settings.spill_path / "later" / f"{run.id}-{token}-files"
        zipped = any(artefact.zipped for artefact in run.artefacts)
        name = f"{run.report_type.lower()}-{token}.{f'{format}.zip' if zipped else format}"
        target = self.artefacts.target(run.id, run.attempt, name, scratch)
        output = output_file(target, run, format, zipped, self.settings)
        try:
            with self.database.connect() as connection:
                record = repository.get_record(connection, run.id)
            with self._kept_extracts(run) as extracts:
                if extracts:
                    summaries = (
                        [part.statement.summary for part in record.plan.parts]
                        if record.plan
                        else [EMPTY_SUMMARY for _ in extracts]
                    )
                    parts = tuple(
                        WorkPart.of_extract(str(extract.path), extract.rows, summary)
                        for extract, summary in zip(extracts, summaries, strict=True)
                    )
                    write_options = (
                        record.plan.options if record.plan else earlier_write_options(run.arguments, self.settings)
                    )
                    done = self._carry_out(run, token, parts, (), None, write_options, (output,))
                else:
                    done = self._from_statements(run, record, token, output, format)
            file = next(file for file in done.files if file["format"] == format)
            if run.rows is not None and file["rows"] != run.rows:
                now = f"Its statement gives {pluralize(file['rows'], 'row')} now, and gave {run.rows:,} then."
                raise NotFound(no_file_message(run, format, now))
            if done.digest is not None and digests_differ(record.digest, done.digest):
                now = "Its statement gives other rows now than it gave then."
                raise NotFound(no_file_message(run, format, now))
            return self._add_to_run(run, self.artefacts.publish_reported(file, zipped=zipped), done.messages)
        except (WhohasError, OSError) as error:
            self.artefacts.discard(target)
            if isinstance(error, NotFound):
                raise
            text = (
                error.message if isinstance(error, WhohasError) else f"{system_error_message(error)} Try again later."
            )
            raise Unavailable(
                f"The {find_format(format).name.upper()} of this run could not be made. {text}"
            ) from error
        finally:
            for extract in Path(output.path).parent.glob(f"{Path(output.path).name}-extract-*"):
                extract.unlink(missing_ok=True)
            shutil.rmtree(scratch, ignore_errors=True)

    def _from_statements(self, run: Run, record: RowsRecord, token: str, output: OutputFile, format: str) -> WorkResult:
        """Render a run's file by executing its statements again in a child process."""
        plan = record.plan or plan_from_recorded_sql(run, record.statement, format, self.warehouse, self.settings)
        through = find_format(format).copy is None
        with errors_as_not_found(run, format), hold_snapshot(run, plan, self.warehouse) as snapshot:
            parts, tables = parts_of(
                plan,
                self.warehouse.root,
                lambda number: FileTarget(f"{output.path}-extract-{number}") if through else NO_EXTRACT,
            )
            return self._carry_out(run, token, parts, tables, run_metadata(run, snapshot), plan.options, (output,))

    def replay(self, run: Run) -> ReplayResult:
        """Execute the statements of a run that is over again on its snapshot, and compare the digests of the rows.

        Raises:
            NotFound: the run has no stored plan or no rows, or its snapshot is no longer kept.
            Unavailable: a statement failed; the message says why.
        """
        with self.database.connect() as connection:
            record = repository.get_record(connection, run.id)
        if not run.state.has_rows:
            raise NotFound(
                f"This run cannot be replayed, because it has no rows (its progress: {run.progress}). Replay a run "
                "that succeeded, or start the report again."
            )
        if record.plan is None:
            raise NotFound(
                "An earlier version of whohas carried out this run, and kept no plan that can be run again. Start the "
                "report again."
            )
        with self._slots:
            try:
                with hold_snapshot(run, record.plan, self.warehouse) as snapshot:
                    parts, tables = parts_of(record.plan, self.warehouse.root, lambda _: NO_EXTRACT)
                    done = self._carry_out(run, secrets.token_hex(4), parts, tables, None, record.plan.options, ())
            except NotFound as error:
                raise NotFound(f"This run cannot be replayed. {error.message}") from error
            except (WhohasError, OSError) as error:
                text = error.message if isinstance(error, WhohasError) else system_error_message(error)
                raise Unavailable(f"This run cannot be replayed, because a statement failed. {text}") from error
        assert done.digest is not None, "a work without outputs reports a digest"
        versions = index_versions(snapshot) if record.plan.views else None
        return ReplayResult(
            run,
            record.digest,
            done.digest,
            record.engine,
            done.engine,
            (record.plan.analyser, versions.analyser if versions else None),
        )

    def summarize(self, run: Run) -> tuple[RowsSummary, ...]:
        """Return the summary of each part of a run that is over, after computing it if the run has none.

        Runs whose rows were extracted have one already. For any other, such as a run with a CSV file alone, it is
        computed at the first call and stored: from an extract that was kept, or else by executing the statements again.

        Raises:
            NotFound: the run has no rows, an earlier version carried it out and stored no plan, or its rows cannot be
                computed again.
            Unavailable: a statement failed; the message says why.
        """
        with self._locks[run.id, "summary"]:
            with self.database.connect() as connection:
                record = repository.get_record(connection, run.id)
            if record.summary is not None:
                return record.summary
            if not run.state.has_rows:
                raise NotFound(
                    f"This run has no summary, because it has no rows (its progress: {run.progress}). Wait until it "
                    "succeeds; if it is over, start the report again."
                )
            if record.plan is None:
                raise NotFound("An earlier version of whohas carried out this run, and kept no plan to summarize it.")
            with self._slots:
                summary = self._summarize(run, record, record.plan)
            with self.database.begin() as connection:
                repository.set_summary(connection, run.id, summary)
            return summary

    def _summarize(self, run: Run, record: RowsRecord, plan: RunPlan) -> tuple[RowsSummary, ...]:
        token = secrets.token_hex(4)
        folder = self.settings.spill_path / "later" / f"{run.id}-{token}-extracts"
        folder.mkdir(parents=True)
        try:
            with self._kept_extracts(run) as extracts:
                if extracts:
                    parts = tuple(
                        WorkPart.of_extract(str(extract.path), extract.rows, part.statement.summary)
                        for extract, part in zip(extracts, plan.parts, strict=True)
                    )
                    done = self._carry_out(run, token, parts, (), None, plan.options, ())
                else:
                    done = self._summarize_again(run, token, plan, folder)
        except NotFound as error:
            raise NotFound(f"This run cannot be summarized. {error.message}") from error
        except (WhohasError, OSError) as error:
            text = error.message if isinstance(error, WhohasError) else str(error.strerror or error)
            raise Unavailable(f"This run cannot be summarized, because a statement failed. {text}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if done.digest is not None and digests_differ(record.digest, done.digest):
            raise NotFound("This run cannot be summarized. Its statement gives other rows now than it gave then.")
        assert done.summary is not None, "a work with extracts reports a summary"
        return done.summary

    def _summarize_again(self, run: Run, token: str, plan: RunPlan, folder: Path) -> WorkResult:
        """Execute the statements of a run again, with extracts in a folder."""
        with hold_snapshot(run, plan, self.warehouse) as snapshot:
            root, about = self.warehouse.root, run_metadata(run, snapshot)
            parts, tables = parts_of(plan, root, lambda number: FileTarget(str(folder / f"{number}.parquet")))
            return self._carry_out(run, token, parts, tables, about, plan.options, ())

    @contextmanager
    def _kept_extracts(self, run: Run) -> Generator[list[_KeptExtract]]:
        """Yield the extracts of a run, one for each part, as local files; none if any of them is missing."""
        with ExitStack() as copies:
            try:
                extracts = [
                    _KeptExtract(copies.enter_context(self.artefacts.local_copy(run.id, artefact)), artefact.rows)
                    for artefact in run.artefacts
                    if artefact.format == EXTRACT
                ]
            except FileNotFoundError:
                extracts = []
            yield extracts

    def _carry_out(
        self,
        run: Run,
        token: str,
        parts: tuple[WorkPart, ...],
        tables: tuple[TableFiles, ...],
        about: ReportMetadata | None,
        write_options: WriteOptions,
        outputs: tuple[OutputFile, ...],
    ) -> WorkResult:
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
            store=self.artefacts.address,
        )
        child = self.children.fork()
        began = time.monotonic()
        try:
            memory = MemoryWatch(find_cgroup_memory())
            for facts in watch_child(child, work, timeouts.RENDER_POLL_SECONDS):
                memory.sample()
                if isinstance(facts, WorkResult):
                    return facts
                if time.monotonic() - began > self.settings.run_seconds:
                    raise WhohasError(
                        f"It took longer than the {self.settings.run_seconds:,} seconds that a run may take "
                        "(WHOHAS_RUN_SECONDS). Ask for less, or raise it."
                    )
            raise exit_reason(child, memory)
        finally:
            self.children.end(child)
            shutil.rmtree(spill, ignore_errors=True)

    def _add_to_run(self, run: Run, new: Artifact, messages: tuple[Message, ...]) -> Artifact:
        """Add a file to the run's row, and return it; where another server was quicker, remove it and return theirs."""
        with self.database.begin() as connection:
            kept = repository.add_artifact(connection, run.id, new, messages)
        if kept != new:
            with suppress(StoreFailed):  # the sweep removes what no run owns
                self.artefacts.remove(run.id, StoredFile(new.name, new.bytes, 0.0))
        return kept
