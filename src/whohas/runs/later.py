"""A format that was not made when the run was, made on the first request: of the rows that the run kept, or else by
running its statement once more over the snapshot that it read.

What is made so has the rows of the run or is not made: the statement must be the run's own, and give as many rows.
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
from whohas.artefacts import Artefact, Artefacts
from whohas.engine.statement import TableFiles
from whohas.errors import NotFound, Unavailable, WhohasError
from whohas.plurals import counted
from whohas.render.definition import About, Options
from whohas.render.registry import find
from whohas.runs import repository
from whohas.runs.children import Children, Done, died, follow
from whohas.runs.files import options
from whohas.runs.memory import MemoryWatch, group_memory
from whohas.runs.model import Message, Run, RunId
from whohas.runs.planning import about_of, held_snapshot, none_now, planned_as_recorded, refused_as_not_found
from whohas.runs.plans import Digest, Record
from whohas.runs.work import EXTRACT, Output, Part, Work
from whohas.search.index import index_versions
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of running a run's statements once more.

    Attributes:
        then: the digest that was kept with the run; None where none was.
        now: that of the rows that its statements give now.
        analysers: the versions of the analyser whose words the search index had then and has now; None where the run
            reads none.
    """

    run: Run
    then: Digest | None
    now: Digest
    analysers: tuple[int | None, int | None] = (None, None)

    @property
    def same(self) -> bool | None:
        """Whether the rows are the same; None where that cannot be told, see `why`."""
        if differs(self.then, self.now):
            return None if self._other_words else False
        return None if self.then is None or self.then.engine != self.now.engine else True

    @property
    def _other_words(self) -> bool:
        return self.analysers[0] != self.analysers[1]

    @property
    def why(self) -> str:
        """Why equal rows cannot be told from others; empty where they can."""
        if self.then is None:
            return "No digest was kept with this run."
        if self.then.engine != self.now.engine:
            return (
                f"The digest that was kept is of {self.then.engine}, and this is {self.now.engine}: another version "
                "may hash rows otherwise. Only their numbers were compared."
            )
        if self._other_words:
            then, now = self.analysers
            return (
                f"Version {then} of the analyser made the words of the search index then, and version {now} makes them "
                "now: a query may find other rows."
            )
        return ""


def differs(then: Digest | None, now: Digest) -> bool:
    """Whether two digests show that the rows are not the same; not where they cannot be compared.

    The numbers of rows can be, whichever engines counted them.
    """
    if then is None:
        return False
    if [part.rows for part in then.parts] != [part.rows for part in now.parts]:
        return True
    return then.engine == now.engine and then.parts != now.parts


@dataclass(frozen=True)
class Later:
    """Makes files; as many at once as runs are carried out at once, each in a child of its own."""

    settings: Settings
    database: sa.Engine
    artefacts: Artefacts
    warehouse: Warehouse
    children: Children = field(default_factory=Children)
    _room: threading.BoundedSemaphore = field(init=False)
    _locks: defaultdict[tuple[RunId, str], threading.Lock] = field(
        default_factory=lambda: defaultdict[tuple[RunId, str], threading.Lock](threading.Lock)
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_room", threading.BoundedSemaphore(self.settings.runs_at_once))

    def make(self, run: Run, format: str) -> Artefact | None:
        """A run's file in a format, made if need be; None where the run has no file at all.

        Raises:
            InvalidArguments: there is no such format.
            NotFound: the run kept no rows, and they cannot be had again.
            Unavailable: it could not be made; the message says why.
        """
        find(format)
        if not run.artefacts:
            return None
        with self._locks[run.id, format]:
            with self.database.connect() as connection:
                run = repository.get(connection, run.id) or run
            for artefact in run.artefacts:  # another request may have had it made meanwhile
                if artefact.format == format:
                    return artefact
            with self._room:
                return self._made(run, format)

    def _made(self, run: Run, format: str) -> Artefact:
        token = secrets.token_hex(4)
        extracts = [one for one in run.artefacts if one.format == EXTRACT]
        extracts = extracts if all(self.artefacts.path(run.id, one).is_file() for one in extracts) else []
        zipped = any(one.zipped for one in run.artefacts)
        name = f"{run.report_type.lower()}-{token}.{f'{format}.zip' if zipped else format}"
        output = Output(format, str(self.artefacts.part(run.id, run.attempt, name)), zipped)
        try:
            with self.database.connect() as connection:
                record = repository.record(connection, run.id)
            if extracts:
                parts = tuple(Part.of_extract(str(self.artefacts.path(run.id, one)), one.rows) for one in extracts)
                how = record.plan.options if record.plan else options(run.arguments, self.settings)
                done = self._done(run, token, parts, (), None, how, (output,))
            else:
                done = self._from_statements(run, record, token, output, format)
            made = next(file for file in done.files if file["format"] == format)
            if run.rows is not None and made["rows"] != run.rows:
                now = f"Its statement gives {counted(made['rows'], 'row')} now, and gave {run.rows:,} then."
                raise NotFound(f"{none_now(run, format)} {now}")
            if done.digest is not None and differs(record.digest, done.digest):
                raise NotFound(f"{none_now(run, format)} Its statement gives other rows now than it gave then.")
            return self._kept(run, self.artefacts.published(made, zipped=zipped), done.messages)
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
        """Have a run's file made by running its statements once more."""
        plan = record.plan or planned_as_recorded(run, record.statement, format, self.warehouse, self.settings)
        through = find(format).copy is None
        with refused_as_not_found(run, format), held_snapshot(run, plan, self.warehouse) as snapshot:
            parts, tables = plan.parts_for(
                self.warehouse.root, lambda number: f"{output.path}-extract-{number}" if through else ""
            )
            return self._done(run, token, parts, tables, about_of(run, snapshot), plan.options, (output,))

    def replay(self, run: Run) -> Replay:
        """Run the statements of a run that is over once more over its snapshot, and compare the rows.

        Raises:
            NotFound: the run has no plan or no rows, or its snapshot is gone.
            Unavailable: the statements could not be run; the message says why.
        """
        with self.database.connect() as connection:
            record = repository.record(connection, run.id)
        if run.rows is None:
            raise NotFound(f"This run has no rows to compare with: {run.progress.lower()}.")
        if record.plan is None:
            raise NotFound("An earlier version of whohas carried out this run, and kept no plan that can be run again.")
        with self._room:
            try:
                with held_snapshot(run, record.plan, self.warehouse) as snapshot:
                    parts, tables = record.plan.parts_for(self.warehouse.root, lambda _: "")
                    done = self._done(run, secrets.token_hex(4), parts, tables, None, record.plan.options, ())
            except NotFound as error:
                raise NotFound(f"This run cannot be replayed. {error.message}") from error
            except (WhohasError, OSError) as error:
                text = error.message if isinstance(error, WhohasError) else str(error.strerror or error)
                raise Unavailable(f"The statements of this run could not be run again. {text}") from error
        assert done.digest is not None, "a work without outputs comes to its digest"
        versions = index_versions(snapshot) if record.plan.views else None
        return Replay(run, record.digest, done.digest, (record.plan.analyser, versions.analyser if versions else None))

    def _done(
        self,
        run: Run,
        token: str,
        parts: tuple[Part, ...],
        tables: tuple[TableFiles, ...],
        about: About | None,
        how: Options,
        outputs: tuple[Output, ...],
    ) -> Done:
        """Have a child do a work, and wait for its end.

        Raises:
            WhohasError: it failed; the message says why.
            OSError: there is no child to be had.
        """
        spill = self.settings.spill_path / "later" / f"{run.id}-{token}"
        work = Work(
            parts=parts,
            tables=tables,
            outputs=outputs,
            about=about,
            options=how,
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

    def _kept(self, run: Run, made: Artefact, messages: tuple[Message, ...]) -> Artefact:
        with self.database.begin() as connection:
            kept = repository.add_artefact(connection, run.id, made, messages)
        if kept != made:  # another server was quicker
            self.artefacts.path(run.id, made).unlink(missing_ok=True)
        return kept
