"""A format that was not made when the run was, made on the first request: of the rows that the run kept, or else by
running its statement once more over the snapshot that it read.

What is made so has the rows of the run or is not made: the statement must be the run's own, and give as many rows.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from whohas.artefacts import Artefact, Artefacts
from whohas.errors import NotFound, Unavailable, WhohasError
from whohas.plurals import counted
from whohas.render.registry import find
from whohas.runs import table
from whohas.runs.children import Children, Done, died, follow
from whohas.runs.files import options
from whohas.runs.model import Message, Run, RunId
from whohas.runs.planning import none_now, planned_again
from whohas.runs.work import EXTRACT, Output, Part, Work
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse

_LOOK_SECONDS = 1.0


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
                run = table.get(connection, run.id) or run
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
        spill = self.settings.spill_path / "later" / f"{run.id}-{token}"
        child = self.children.take()
        try:
            if extracts:
                parts = tuple(Part.of_extract(str(self.artefacts.path(run.id, one)), one.rows) for one in extracts)
                tables, about = (), None
            else:
                again = planned_again(run, format, self.warehouse, self.settings.org)
                through = find(format).copy is None
                parts = again.parts(lambda number: f"{output.path}-extract-{number}" if through else "")
                tables, about = again.tables, again.about
            work = Work(
                parts=parts,
                tables=tables,
                outputs=(output,),
                about=about,
                options=options(run.arguments, self.settings),
                memory=self.settings.run_memory,
                threads=self.settings.run_threads,
                spill=str(spill),
            )
            done = [facts for facts in follow(child, work, _LOOK_SECONDS) if isinstance(facts, Done)]
            if not done:
                raise WhohasError(died(child))
            made = next(file for file in done[0].files if file["format"] == format)
            if run.rows is not None and made["rows"] != run.rows:
                now = f"Its statement gives {counted(made['rows'], 'row')} now, and gave {run.rows:,} then."
                raise NotFound(f"{none_now(run, format)} {now}")
            return self._kept(run, self.artefacts.published(made, zipped=zipped), done[0].messages)
        except (WhohasError, OSError) as error:
            Path(output.path).unlink(missing_ok=True)
            if isinstance(error, NotFound):
                raise
            text = error.message if isinstance(error, WhohasError) else str(error.strerror or error)
            raise Unavailable(f"The {find(format).name.upper()} of this run could not be made. {text}") from error
        finally:
            self.children.end(child)
            for extract in Path(output.path).parent.glob(f"{Path(output.path).name}-extract-*"):
                extract.unlink(missing_ok=True)
            shutil.rmtree(spill, ignore_errors=True)

    def _kept(self, run: Run, made: Artefact, messages: tuple[Message, ...]) -> Artefact:
        with self.database.begin() as connection:
            kept = table.add_artefact(connection, run.id, made, messages)
        if kept != made:  # another server was quicker
            self.artefacts.path(run.id, made).unlink(missing_ok=True)
        return kept
