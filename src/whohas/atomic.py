"""Atomic publication of files: at its name a file is there whole, as it was before or as it is now.

Content is written to a temporary file in the same folder, brought to the disk, and then given its name in one step. A
failure removes the temporary file. A process that is killed may leave one: its name begins with a dot and ends in
`.part`, so that no reader takes it for a file, and `remove_leftovers` removes it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

PART = ".part"
"""The end of the name of a file that is not complete yet."""

_LONGEST_NAME = 180
"""Bytes of a file's own name in that of its temporary file: most file systems take names of 255 bytes."""


class Draft:
    """A file in the making: `write` its content, then `publish` it. As a context it leaves nothing else behind.

    Every OSError names the file, not its temporary one.

    Args:
        path: the file. Its folder is there already.
        mode: of the file, as far as the process's umask lets it.

    Raises:
        OSError: the folder cannot be written, or is not there.
    """

    def __init__(self, path: Path, *, mode: int = 0o666) -> None:
        self.path = path
        name = os.fsencode(path.name)[:_LONGEST_NAME].decode(errors="ignore")
        self._part = path.with_name(f".{name}.{secrets.token_hex(4)}{PART}")
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
        """Add to the content.

        Raises:
            OSError: the disk is full or fails.
        """
        with _naming(self.path):
            self._file.write(content)

    def publish(self, *, replace: bool = True, sync: bool = True) -> None:
        """Give the file its name. Where it raises, the file is whole all the same, in most cases as it was before.

        Args:
            replace: whether a file that is there already is replaced.
            sync: whether the content is on the disk before, and the name when this returns, so that both outlive a
                power cut. Without it the file is still whole after a crash of the process.

        Raises:
            FileExistsError: a file is there already, and `replace` is not set.
            OSError: the disk is full or fails, or a folder is there.
        """
        with _naming(self.path):
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
            self._file.close()
        publish(self._part, self.path, replace=replace, sync=sync)

    def discard(self) -> None:
        """Remove the temporary file; without effect on what is published."""
        with suppress(OSError):  # what could not be written need not be
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def write(path: Path, content: str | bytes, *, mode: int = 0o666, replace: bool = True) -> None:
    """Write a file, whole or not at all, and return when it is on the disk. See `Draft`.

    Args:
        content: text is written as UTF-8.

    Raises:
        FileExistsError: a file is there already, and `replace` is not set.
        OSError: the disk is full or fails, or the folder cannot be written.
    """
    with Draft(path, mode=mode) as draft:
        draft.write(content.encode() if isinstance(content, str) else content)
        draft.publish(replace=replace)


def publish(part: Path, path: Path, *, replace: bool = True, sync: bool = True) -> None:
    """Give a file that is complete its name, in the same file system.

    Args:
        part: the file. With `sync`, its content is on the disk already.
        replace: whether a file that is there already is replaced.
        sync: whether the name is on the disk when this returns.

    Raises:
        FileExistsError: a file is there already, and `replace` is not set.
        OSError: the file cannot get its name, and what was there before is still there; or the disk does not take the
            name, and a file that replaces another may be lost again by a power cut.
    """
    with _naming(path):
        if replace:
            part.replace(path)
        else:
            os.link(part, path)  # a link, unlike a rename, never replaces a file
            with suppress(OSError):  # it is published either way
                part.unlink()
        if sync:
            try:
                sync_file(path.parent)
            except OSError:
                if not replace:
                    path.unlink()  # the caller takes it for not published
                raise


def sync_file(path: Path) -> None:
    """Bring a file to the disk, or the names in a folder.

    Raises:
        OSError: the disk fails.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, *, seconds: float = 0.0) -> None:
    """Remove the temporary files that processes left in a folder when they were killed.

    Args:
        seconds: only those that were not written to for so long. 0 where the caller holds a lock on the folder's files.
    """
    before = time.time() - seconds
    for left in folder.glob(f".*{PART}"):
        with suppress(OSError):  # another process was quicker, or may remove it where this one may not
            if left.stat().st_mtime <= before:
                left.unlink()


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Make every OSError name a file, not its temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
