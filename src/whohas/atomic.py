"""Atomic writes: a reader of a path sees either the old file or the new one, never a part of it.

Content is written to a temporary file in the same folder, synced, and renamed in one step. On an error the temporary
file is removed. A process that is killed may leave one; `remove_leftovers` removes it later. Its name begins with a
dot and ends in `.part`, so no reader mistakes it for a finished file.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

PART_SUFFIX = ".part"
"""The extension of files that are not complete yet."""

_LONGEST_NAME = 180
"""Bytes of the final name that the temporary name repeats; most file systems allow names of 255 bytes."""


class Draft:
    """A file that is being written: call `write`, then `publish`. As a context manager it removes the temporary file.

    Every OSError names the final path, not the temporary one.

    Args:
        path: the final path. Its folder must exist.
        mode: the permissions of the file; the umask of the process still applies.

    Raises:
        OSError: the folder is missing or not writable.
    """

    def __init__(self, path: Path, *, mode: int = 0o666) -> None:
        self.path = path
        name = os.fsencode(path.name)[:_LONGEST_NAME].decode(errors="ignore")
        self._part = path.with_name(f".{name}.{secrets.token_hex(4)}{PART_SUFFIX}")
        with _naming(path):
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        self._file = os.fdopen(descriptor, "wb")

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, content: bytes) -> None:
        """Append bytes to the content.

        Raises:
            OSError: the disk is full or fails.
        """
        with _naming(self.path):
            self._file.write(content)

    def publish(self, *, replace: bool = True, sync: bool = True) -> None:
        """Rename the temporary file to the final path.

        If it raises, the path holds a complete file or nothing: usually as it was before the call.

        Args:
            replace: replace an existing file.
            sync: sync the content before the rename and the folder after it, so that the file survives a power cut.
                Without it the file survives only a crash of the process.

        Raises:
            FileExistsError: the path exists and `replace` is false.
            OSError: the disk is full or fails, or the path is a folder.
        """
        with _naming(self.path):
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
            self._file.close()
        publish(self._part, self.path, replace=replace, sync=sync)

    def discard(self) -> None:
        """Remove the temporary file; no effect after `publish`."""
        with suppress(OSError):  # closing flushes, which may fail; the content is thrown away anyhow
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def write(path: Path, content: str | bytes, *, mode: int = 0o666, replace: bool = True) -> None:
    """Write a file atomically and sync it to disk; see `Draft`.

    Args:
        content: text is encoded as UTF-8.
        mode: the permissions of the file; the umask still applies.
        replace: replace an existing file.

    Raises:
        FileExistsError: the path exists and `replace` is false.
        OSError: the disk is full or fails, or the folder is not writable.
    """
    with Draft(path, mode=mode) as draft:
        draft.write(content.encode() if isinstance(content, str) else content)
        draft.publish(replace=replace)


def publish(part: Path, path: Path, *, replace: bool = True, sync: bool = True) -> None:
    """Rename a complete file to its final path on the same file system.

    Args:
        part: the complete file. With `sync`, the caller has synced its content already.
        path: the final path.
        replace: replace an existing file.
        sync: sync the folder before returning, so that the rename survives a power cut.

    Raises:
        FileExistsError: the path exists and `replace` is false.
        OSError: the rename failed and the path is as it was; or the folder could not be synced. In the second case a
            file that was replaced may come back after a power cut, and a new file (without `replace`) is removed.
    """
    with _naming(path):
        if replace:
            part.replace(path)
        else:
            os.link(part, path)  # a link, unlike a rename, never replaces a file
            with suppress(OSError):  # the file is published even if its temporary name stays
                part.unlink()
        if sync:
            try:
                sync_file(path.parent)
            except OSError:
                if not replace:
                    path.unlink()  # the caller will treat the file as not published
                raise


def sync_file(path: Path) -> None:
    """Sync a file to disk, or the entries of a folder (`fsync`).

    Raises:
        OSError: the disk fails.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, *, seconds: float = 0.0) -> None:
    """Remove temporary files that killed processes left in a folder; files that cannot be removed are skipped.

    Args:
        seconds: remove only files that were last written to at least this long ago. 0 is safe only if the caller holds
            a lock that keeps others from writing in the folder.
    """
    before = time.time() - seconds
    for left in folder.glob(f".*{PART_SUFFIX}"):
        with suppress(OSError):  # another process has removed it, or this one lacks the permission
            if left.stat().st_mtime <= before:
                left.unlink()


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Re-raise every OSError with this path instead of that of the temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
