"""What is kept, and for how long: files by age and by their size together, runs for longer, held runs for ever.

A sweep removes, in this order: files of runs that ended long ago, files beyond the room that all may take (the oldest
first), runs that ended longer ago still, and what nobody owns: unfinished parts, folders without a run, spilled data.
A run that is not over is never touched, nor is one that is held. `Removed` is the one account of what went; it is
logged, and handed to whoever else wants to know.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
import structlog

from whohas import audit, timeouts
from whohas.artefacts import Artefact, Artefacts
from whohas.audit.events import SYSTEM
from whohas.errors import NotFound
from whohas.runs import outbox, repository, trail
from whohas.runs.model import Level, Message
from whohas.runs.tables import hold
from whohas.settings import Settings

log = structlog.get_logger("whohas.retention")


class Kind(StrEnum):
    """What was removed."""

    FILES = "files"
    """The files of a run; its row stays, with their names and hashes."""
    RUN = "run"
    """A run, with whatever files it still had."""
    STRAY = "stray"
    """A file or a folder that nobody owns."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that a sweep removed, or would.

    Attributes:
        run_id: whose it was; empty where that is not known.
        names: of the files.
        bytes: that this freed.
        why: a sentence.
    """

    kind: Kind
    run_id: str
    names: tuple[str, ...]
    bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a run is never swept."""

    run_id: str
    holder: str
    reason: str
    held: datetime


def log_removed(removed: Sequence[Removed]) -> None:
    """One line of the log for each thing that went."""
    for one in removed:
        log.info("removed", kind=one.kind.value, run_id=one.run_id, files=one.names, bytes=one.bytes, why=one.why)


@dataclass(frozen=True)
class Retention:
    """Sweeps an installation, and holds runs.

    Attributes:
        tell: is told what a sweep removed, once it is gone.
    """

    settings: Settings
    database: sa.Engine
    artefacts: Artefacts
    tell: Callable[[Sequence[Removed]], None] = field(default=log_removed)

    def hold(self, run_id: str, holder: str, reason: str = "", by: audit.Who = SYSTEM) -> Hold:
        """Keeps a run and its files until it is released. One that is held stays as it is.

        Raises:
            NotFound: there is no such run, or its files have been removed.
        """
        with self.database.begin() as connection:
            kept = repository.kept(connection, run_id, lock=True)
            if kept is None:
                raise NotFound(f"There is no run with the id {run_id[:64]!r}.")
            if any(message.key == "files.removed" for message in kept.messages):
                raise NotFound("The files of this run have been removed; there is nothing left to hold.")
            held = _held(connection, run_id)
            if held is None:
                held = Hold(run_id, holder, reason.strip(), repository.now())
                values = {column.name: getattr(held, column.name) for column in hold.columns}
                connection.execute(sa.insert(hold).values(values))
                facts = {"run": run_id, "reason": held.reason or None}
                audit.write(connection, audit.Event(audit.Type.RUN_HELD, run_id, by, facts=facts))
        log.info("held", run_id=run_id, holder=held.holder, reason=held.reason)
        return held

    def release(self, run_id: str, by: audit.Who = SYSTEM) -> None:
        """Lets a held run be swept again.

        Raises:
            NotFound: it is not held.
        """
        with self.database.begin() as connection:
            if connection.execute(sa.delete(hold).where(hold.c.run_id == run_id)).rowcount == 0:
                raise NotFound(f"The run {run_id[:64]!r} is not held.")
            audit.write(connection, audit.Event(audit.Type.RUN_RELEASED, run_id, by, facts={"run": run_id}))
        log.info("released", run_id=run_id)

    def held(self) -> list[Hold]:
        """The runs that are held, the newest first."""
        with self.database.connect() as connection:
            rows = connection.execute(sa.select(hold).order_by(hold.c.held.desc())).mappings()
            return [Hold(**row) for row in rows]

    def sweep(self, *, dry: bool = False, by: audit.Who = SYSTEM, by_age: bool = True) -> list[Removed]:
        """Removes what is not to be kept, and returns what that was. Safe from many processes at once.

        Args:
            dry: remove nothing, only say what would go.
            by: who the audit trail says swept.
            by_age: whether anything goes for its age; else only files beyond the room that all may take.
        """
        gone: list[Removed] = []
        for run_id, why in (*(self._old_files() if by_age else ()), *self._beyond_room()):
            gone += self._remove_files(run_id, why, dry, by)
        emptied = {one.run_id for one in gone}
        for run_id, why in self._old_runs() if by_age else ():
            gone += self._remove_run(run_id, why, dry, by, emptied=run_id in emptied)
        if by_age:
            gone += self._told_strays(dry, by)
        if not dry:
            if by_age:
                self._forget_messages()
            if gone:
                self.tell(gone)
        return gone

    def _old_files(self) -> Iterator[tuple[str, str]]:
        days = self.settings.keep_files_days
        if days:
            with self.database.connect() as connection:
                old = repository.kept_before(connection, repository.now() - timedelta(days=days))
            why = f"Files are kept for {days} days (WHOHAS_KEEP_FILES_DAYS)."
            yield from ((one.id, why) for one in old if one.files)

    def _beyond_room(self) -> Iterator[tuple[str, str]]:
        room = self.settings.keep_files_bytes
        if not room:
            return
        since = None
        if self.settings.keep_files_days:  # older files are gone already, or would be
            since = repository.now() - timedelta(days=self.settings.keep_files_days)
        with self.database.connect() as connection:
            runs = repository.kept_by_all(connection, since=since)
        taken = sum(_size(one.files) for one in runs)
        why = f"All files together are kept to {room:,} bytes (WHOHAS_KEEP_FILES_BYTES); the oldest go first."
        for one in runs:
            if taken <= room:
                return
            if one.free and (size := _size(one.files)):
                taken -= size
                yield one.id, why

    def _old_runs(self) -> Iterator[tuple[str, str]]:
        days = self.settings.keep_runs_days
        if days:
            with self.database.connect() as connection:
                old = repository.kept_before(connection, repository.now() - timedelta(days=days))
            yield from ((one.id, f"Runs are kept for {days} days (WHOHAS_KEEP_RUNS_DAYS).") for one in old)

    def _remove_files(self, run_id: str, why: str, dry: bool, by: audit.Who) -> list[Removed]:
        """The row first, then the files: what is left of them after a crash is a stray."""
        with self.database.begin() as connection:
            kept = repository.kept(connection, run_id, lock=True)
            if kept is None or not kept.files or not kept.free:
                return []
            if not dry:
                audit.write(connection, trail.swept(run_id, Kind.FILES, kept.files, why, by))
                told = "; ".join(f"{file.name}, {file.bytes:,} bytes, SHA-256 {file.sha256}" for file in kept.files)
                text = f"The files of this run were removed on {repository.now():%Y-%m-%d}. {why} They were: {told}."
                repository.forget_files(connection, kept, Message(Level.INFO, "files.removed", text))
        return self._removed(Kind.FILES, run_id, kept.files, why, dry)

    def _remove_run(self, run_id: str, why: str, dry: bool, by: audit.Who, *, emptied: bool) -> list[Removed]:
        with self.database.begin() as connection:
            kept = repository.kept(connection, run_id, lock=True)
            if kept is None or not kept.free:
                return []
            files = () if emptied else kept.files
            if not dry:
                repository.remove(connection, run_id)
                audit.write(connection, trail.swept(run_id, Kind.RUN, files, why, by))
        return self._removed(Kind.RUN, run_id, files, why, dry)

    def _removed(self, kind: Kind, run_id: str, files: Sequence[Artefact], why: str, dry: bool) -> list[Removed]:
        if not dry:
            shutil.rmtree(self.artefacts.root / run_id, ignore_errors=True)
        return [Removed(kind, run_id, tuple(file.name for file in files), _size(files), why)]

    def _told_strays(self, dry: bool, by: audit.Who) -> list[Removed]:
        """No row goes with a stray: its event comes first, and who is killed then removes it the next time."""
        strays = self._strays(dry=True)
        if strays and not dry:
            names = [name for one in strays for name in one.names]
            with self.database.begin() as connection:
                audit.write(connection, trail.swept_strays(names, sum(one.bytes for one in strays), by))
            return self._strays(dry=False)
        return strays

    def _strays(self, dry: bool) -> list[Removed]:
        settled = time.time() - timeouts.UNFINISHED_SECONDS
        gone: list[Removed] = []
        for folder in _folders(self.artefacts.root):
            owner = self._owner(folder.name)
            if owner is not None and not owner.over:
                continue
            owned = {file.name for file in owner.files} if owner else set[str]()
            for path in sorted(folder.iterdir()):
                if path.name not in owned:
                    why = "No run owns it." if owner is None else "Its run is over and does not own it."
                    gone += _stray(path, folder.name, settled, why, dry)
            if not dry and _changed(folder) < settled:
                with suppress(OSError):
                    folder.rmdir()
        # of each worker, and of files that are made later
        for folder in (one for whose in _folders(self.settings.spill_path) for one in _folders(whose)):
            owner = self._owner(folder.name[:32])
            if owner is None or owner.over:
                gone += _stray(folder, folder.name[:32], settled, "It was spilled by an attempt that is over.", dry)
        return gone

    def _owner(self, run_id: str) -> repository.Kept | None:
        with self.database.connect() as connection:
            return repository.kept(connection, run_id)

    def _forget_messages(self) -> None:
        """What hooks were told, and gave up on, is forgotten with the files that it was about."""
        days = self.settings.keep_files_days
        if days:
            with self.database.begin() as connection:
                outbox.forget_done(connection, repository.now() - timedelta(days=days))


def _size(files: Sequence[Artefact]) -> int:
    return sum(file.bytes for file in files)


def _held(connection: sa.Connection, run_id: str) -> Hold | None:
    row = connection.execute(sa.select(hold).where(hold.c.run_id == run_id)).mappings().first()
    return None if row is None else Hold(**row)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _changed(path: Path) -> float:
    """When anything in it last changed; now where it goes away meanwhile."""
    try:
        return max([path.lstat().st_mtime, *(inner.lstat().st_mtime for inner in path.rglob("*"))])
    except OSError:
        return time.time()


def _stray(path: Path, run_id: str, settled: float, why: str, dry: bool) -> list[Removed]:
    if _changed(path) >= settled:
        return []
    try:
        size = sum(one.lstat().st_size for one in [path, *path.rglob("*")] if not one.is_dir())
        if not dry:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError:  # another server was quicker, or the disk refuses: the next sweep sees
        return []
    return [Removed(Kind.STRAY, run_id, (path.name,), size, why)]
