"""Retention: sweeps remove old files and runs; a legal hold protects a run from that.

A sweep removes, in this order:

1. files of runs that ended more than `keep_files_days` ago;
2. files of the oldest runs, until all files together take at most `keep_files_bytes`;
3. runs that ended more than `keep_runs_days` ago;
4. orphaned files, which no run owns: unfinished files, folders without a run, spilled data.

Runs that are not over and runs under a legal hold are never touched. `Removed` describes each thing that was removed;
it is logged.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
import structlog

from whohas import audit, timeouts
from whohas.audit.events import SYSTEM
from whohas.errors import NotFound
from whohas.runs import audit_events, repository, webhook_messages
from whohas.runs.models import Message, MessageLevel
from whohas.runs.tables import hold
from whohas.settings import Settings
from whohas.storage import Artifact, ArtifactStore, StoredFile
from whohas.storage.folder import last_change, size_of

_REMOVED = "files.removed"
"""The key of the message of a run whose files were removed."""
_REMOVING = "files.removing"
"""The key of the message of a run whose files are being removed; some of them may be gone."""

log = structlog.get_logger("whohas.retention")


class RetentionKind(StrEnum):
    """The kind of a thing that a sweep removes."""

    FILES = "files"
    """The files of a run; its row stays, with a message that lists their names and hashes."""
    RUN = "run"
    """A run, with the files that it still had."""
    ORPHANED = "stray"
    """An orphaned file or folder: no run owns it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that a sweep has removed, or would remove.

    Attributes:
        kind: the kind of thing.
        run_id: the run that it belonged to; of an orphaned file, the id in the name of its folder.
        names: the names of the files.
        bytes: the size of the files.
        reason: the rule by which it was removed, a sentence.
    """

    kind: RetentionKind
    run_id: str
    names: tuple[str, ...]
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A legal hold: it protects a run and its files from sweeps.

    Attributes:
        run_id: the run.
        holder: the name of who placed the hold.
        reason: the reason that they gave; may be empty.
        held: when it was placed.
    """

    run_id: str
    holder: str
    reason: str
    held: datetime


def log_removed(removed: Sequence[Removed]) -> None:
    """Write a log line for each thing that was removed."""
    for item in removed:
        log.info(
            "removed", kind=item.kind.value, run_id=item.run_id, files=item.names, bytes=item.bytes, why=item.reason
        )


@dataclass(frozen=True)
class Retention:
    """The retention service of an installation: sweeps and legal holds.

    Attributes:
        on_removed: called with the things that a sweep has removed, if there are any.
    """

    settings: Settings
    database: sa.Engine
    artefacts: ArtifactStore
    on_removed: Callable[[Sequence[Removed]], None] = field(default=log_removed)

    def place_hold(self, run_id: str, holder: str, reason: str = "", by: audit.Actor = SYSTEM) -> LegalHold:
        """Place a legal hold on a run, and return it. Where the run is under a hold already, return that one unchanged.

        Args:
            holder: the name of who places the hold.
            by: the actor for the audit log.

        Raises:
            NotFound: there is no such run, or its files have been removed.
        """
        with self.database.begin() as connection:
            kept = repository.get_retention_facts(connection, run_id, lock=True)
            if kept is None:
                raise NotFound(f"There is no run with the id {run_id[:64]!r}. `whohas runs` lists them.")
            if any(message.key in (_REMOVED, _REMOVING) for message in kept.messages):
                raise NotFound(
                    "The files of this run have been removed; there is nothing left to hold. Start the report again, "
                    "and hold the new run."
                )
            held = _held(connection, run_id)
            if held is None:
                held = LegalHold(run_id, holder, reason.strip(), repository.now())
                values = {column.name: getattr(held, column.name) for column in hold.columns}
                connection.execute(sa.insert(hold).values(values))
                facts = {"run": run_id, "reason": held.reason or None}
                audit.write_event(connection, audit.Event(audit.EventType.RUN_HELD, run_id, by, details=facts))
        log.info("held", run_id=run_id, holder=held.holder, reason=held.reason)
        return held

    def release_hold(self, run_id: str, by: audit.Actor = SYSTEM) -> None:
        """Remove the legal hold on a run, so that sweeps apply to it again.

        Args:
            by: the actor for the audit log.

        Raises:
            NotFound: the run is under no hold.
        """
        with self.database.begin() as connection:
            if connection.execute(sa.delete(hold).where(hold.c.run_id == run_id)).rowcount == 0:
                raise NotFound(f"The run {run_id[:64]!r} is not held.")
            audit.write_event(
                connection, audit.Event(audit.EventType.RUN_RELEASED, run_id, by, details={"run": run_id})
            )
        log.info("released", run_id=run_id)

    def list_holds(self) -> list[LegalHold]:
        """Return all legal holds, the newest first."""
        with self.database.connect() as connection:
            rows = connection.execute(sa.select(hold).order_by(hold.c.held.desc())).mappings()
            return [LegalHold(**row) for row in rows]

    def sweep(self, *, dry: bool = False, by: audit.Actor = SYSTEM, by_age: bool = True) -> list[Removed]:
        """Remove what is no longer to be kept, and return what was removed. Many processes may do this at the same
        time.

        Args:
            dry: remove nothing, and return what would be removed.
            by: the actor for the audit log.
            by_age: whether to apply the rules on age (1, 3 and 4 of the list above); else only the limit on the size of
                all files is applied.

        Raises:
            StoreFailed: the object store with the files failed; the next sweep continues.
        """
        removed: list[Removed] = []
        try:
            for run_id, why in (*(self._old_files() if by_age else ()), *self._beyond_size_limit()):
                removed += self._remove_files(run_id, why, dry, by)
            emptied = {item.run_id for item in removed}
            for run_id, why in self._old_runs() if by_age else ():
                removed += self._remove_run(run_id, why, dry, by, emptied=run_id in emptied)
            if by_age:
                removed += self._remove_orphaned_files(dry, by)
        finally:
            if removed and not dry:
                self.on_removed(removed)
        if by_age and not dry:
            self._forget_messages()
        return removed

    def _old_files(self) -> Iterator[tuple[str, str]]:
        days = self.settings.keep_files_days
        if days:
            with self.database.connect() as connection:
                old = repository.list_expired(connection, repository.now() - timedelta(days=days))
            why = f"Files are kept for {days} days (WHOHAS_KEEP_FILES_DAYS)."
            yield from ((run.id, why) for run in old if run.files)

    def _beyond_size_limit(self) -> Iterator[tuple[str, str]]:
        """Yield the runs whose files are to be removed so that all files fit into the limit, the oldest first.

        Example: files of 5, 3 and 4 GB, the oldest first, under a limit of 8 GB: 12 are used; removing the first leaves
            7.
        """
        limit = self.settings.keep_files_bytes
        if not limit:
            return
        since = None
        if self.settings.keep_files_days:  # older files have been removed by now, or would have been in a dry run
            since = repository.now() - timedelta(days=self.settings.keep_files_days)
        with self.database.connect() as connection:
            runs = repository.list_retention_facts(connection, since=since)
        used = sum(_size(run.files) for run in runs)
        why = f"All files together are kept to {limit:,} bytes (WHOHAS_KEEP_FILES_BYTES); the oldest go first."
        for run in runs:
            if used <= limit:
                return
            if run.is_unheld and (size := _size(run.files)):
                used -= size
                yield run.id, why

    def _old_runs(self) -> Iterator[tuple[str, str]]:
        days = self.settings.keep_runs_days
        if days:
            with self.database.connect() as connection:
                old = repository.list_expired(connection, repository.now() - timedelta(days=days))
            yield from ((run.id, f"Runs are kept for {days} days (WHOHAS_KEEP_RUNS_DAYS).") for run in old)

    def _remove_files(self, run_id: str, why: str, dry: bool, by: audit.Actor) -> list[Removed]:
        """Remove the files of a run; its row stays, with a message that lists them."""
        kept = self._begin_removal(run_id, dry)
        if kept is None or not kept.files:
            return []
        removed = [Removed(RetentionKind.FILES, run_id, _names(kept), _size(kept.files), why)]
        if dry:
            return removed
        if not self._delete_files(run_id):
            return []
        with self.database.begin() as connection:
            kept = repository.get_retention_facts(connection, run_id, lock=True)
            if kept is None or not kept.files:  # another process has removed them
                return []
            audit.write_event(
                connection, audit_events.retention_swept(run_id, RetentionKind.FILES, kept.files, why, by)
            )
            listed = "; ".join(f"{file.name}, {file.bytes:,} bytes, SHA-256 {file.sha256}" for file in kept.files)
            text = f"The files of this run were removed on {repository.now():%Y-%m-%d}. {why} They were: {listed}."
            messages = tuple(message for message in kept.messages if message.key != _REMOVING)
            note = Message(MessageLevel.INFO, _REMOVED, text)
            repository.clear_artifacts(connection, run_id, (*messages, note))
        return removed

    def _remove_run(self, run_id: str, why: str, dry: bool, by: audit.Actor, *, emptied: bool) -> list[Removed]:
        """Remove a run with the files that it still has."""
        kept = self._begin_removal(run_id, dry)
        if kept is None:
            return []
        files = () if emptied else kept.files
        removed = [Removed(RetentionKind.RUN, run_id, tuple(file.name for file in files), _size(files), why)]
        if dry:
            return removed
        if not self._delete_files(run_id):
            return []
        with self.database.begin() as connection:
            kept = repository.get_retention_facts(connection, run_id, lock=True)
            if kept is None or not kept.is_unheld:
                return []
            repository.remove(connection, run_id)
            audit.write_event(connection, audit_events.retention_swept(run_id, RetentionKind.RUN, files, why, by))
        return removed

    def _begin_removal(self, run_id: str, dry: bool) -> repository.RetentionFacts | None:
        """Return a run whose files may be removed, after marking it so that it cannot be put under a legal hold any
        more; None if there is no such run, or if it is under a hold.

        The files are deleted between two transactions: a store may take long, and SQLite has one writer. After a crash
        in between, the row still lists the files, and the next sweep continues.
        """
        with self.database.begin() as connection:
            kept = repository.get_retention_facts(connection, run_id, lock=True)
            if kept is None or not kept.is_unheld:
                return None
            if kept.files and not dry and not any(message.key == _REMOVING for message in kept.messages):
                text = f"The files of this run are being removed since {repository.now():%Y-%m-%d %H:%M} UTC."
                note = Message(MessageLevel.INFO, _REMOVING, text)
                repository.set_messages(connection, run_id, (*kept.messages, note))
        return kept

    def _delete_files(self, run_id: str) -> bool:
        """Delete the files of a run, and return whether they are gone; a failure is logged.

        Raises:
            StoreFailed: an object store failed, so the others of the sweep would fail too.
        """
        try:
            self.artefacts.remove_run(run_id)
        except OSError as error:
            log.warning("files cannot be removed, the next sweep tries again", run_id=run_id, reason=str(error))
            return False
        return True

    def _remove_orphaned_files(self, dry: bool, by: audit.Actor) -> list[Removed]:
        """Write the audit event, then remove orphaned files, and return them. No row of the database changes with them,
        so where the process is killed in between, the next sweep writes another event and removes them."""
        orphaned = self._orphaned_files(dry=True)
        if orphaned and not dry:
            names = [name for item in orphaned for name in item.names]
            with self.database.begin() as connection:
                audit.write_event(
                    connection, audit_events.orphaned_files_swept(names, sum(item.bytes for item in orphaned), by)
                )
            return self._orphaned_files(dry=False)
        return orphaned

    def _orphaned_files(self, dry: bool) -> list[Removed]:
        """Find, and unless `dry` remove, files in the folders of runs that are over or unknown which no run owns.

        The spill folders of these runs are included. Only what is unchanged for `ORPHANED_FILE_SECONDS` counts. Folders
        that are then empty are removed too, but not returned.
        """
        unchanged_since = time.time() - timeouts.ORPHANED_FILE_SECONDS
        # the time of an upload is that of its beginning, and it may take as long as a run
        begun_before = min(unchanged_since, time.time() - self.settings.run_seconds)
        removed: list[Removed] = []
        for stored in self.artefacts.list_runs():
            owner = self._owner(stored.id)
            if owner is not None and not owner.is_over:
                continue
            owned = {file.name for file in owner.files} if owner else set[str]()
            why = "No run owns it." if owner is None else "Its run is over and does not own it."
            for file in stored.files:
                settled = file.modified < (begun_before if file.upload else unchanged_since)
                if settled and (file.upload or file.name not in owned):
                    removed += self._remove_orphan(stored.id, file, why, dry)
            if not dry:
                self.artefacts.remove_empty_folder(stored.id, unchanged_since)
        # spill folders: `<worker id>/<run id>-<attempt>`, and `later/<run id>-<token>` of formats rendered on demand
        for folder in (inner for outer in _folders(self.settings.spill_path) for inner in _folders(outer)):
            run_id = folder.name[:32]
            owner = self._owner(run_id)
            if owner is None or owner.is_over:
                why = "It was spilled by an attempt that is over."
                removed += _remove_spilled(folder, run_id, unchanged_since, why, dry)
        return removed

    def _remove_orphan(self, run_id: str, file: StoredFile, why: str, dry: bool) -> list[Removed]:
        """Remove a file or an incomplete upload (unless `dry`), and return it; nothing where it cannot be removed."""
        try:
            if not dry:
                self.artefacts.remove(run_id, file)
        except OSError:  # the disk failed: the next sweep tries again
            return []
        reason = "It is an upload that was never completed." if file.upload else why
        return [Removed(RetentionKind.ORPHANED, run_id, (file.name,), file.bytes, reason)]

    def _owner(self, run_id: str) -> repository.RetentionFacts | None:
        with self.database.connect() as connection:
            return repository.get_retention_facts(connection, run_id)

    def _forget_messages(self) -> None:
        """Remove delivered and dead webhook messages that are older than `keep_files_days`."""
        days = self.settings.keep_files_days
        if days:
            with self.database.begin() as connection:
                webhook_messages.delete_finished_before(connection, repository.now() - timedelta(days=days))


def _names(kept: repository.RetentionFacts) -> tuple[str, ...]:
    return tuple(file.name for file in kept.files)


def _size(files: Sequence[Artifact]) -> int:
    return sum(file.bytes for file in files)


def _held(connection: sa.Connection, run_id: str) -> LegalHold | None:
    row = connection.execute(sa.select(hold).where(hold.c.run_id == run_id)).mappings().first()
    return None if row is None else LegalHold(**row)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _remove_spilled(path: Path, run_id: str, unchanged_since: float, why: str, dry: bool) -> list[Removed]:
    """Remove a spill folder (unless `dry`), and return it; nothing where it changed recently or cannot be removed."""
    if last_change(path) >= unchanged_since:
        return []
    size = size_of(path)
    try:
        if not dry:
            shutil.rmtree(path)
    except OSError:  # another server removed it, or the disk failed: the next sweep tries again
        return []
    return [Removed(RetentionKind.ORPHANED, run_id, (path.name,), size, why)]
