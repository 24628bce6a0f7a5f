"""What the system, the disk or the database refused, as one sentence: what, where, and what to do.

The commands, the server at its start and HTTP answers have these sentences in common. An error that is not known here
is a fault of whohas itself, and stays one.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Any

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM)
_OPEN_FILES = (errno.EMFILE, errno.ENFILE)
_FULL_WORDS = ("no space left", "disk is full", "disk full", "quota exceeded", "os error 28", "file too large")
_LONGEST = 300
_LEAST = 1 << 16
"""Bytes that SQLite wants free to open a database at all."""

_FREE = "Free some, or give whohas a folder elsewhere (WHOHAS_HOME)."
READ_ONLY = "is on a file system that is read-only. Mount it for writing, or give whohas another folder (WHOHAS_HOME)."
"""The rest of a sentence whose subject is a path."""
_LESS = "Ask for less at once, or give it more memory (WHOHAS_RUN_MEMORY)."


def sentence(error: BaseException, database: str = "", home: str = "") -> str | None:
    """Return what to tell of an error that is not whohas' own; None where it is.

    Args:
        database: its address, as `address_of` gives it, where it is known.
        home: the folder of the installation, where it is known.
    """
    dbapi: Any = _class("sqlalchemy.exc", "DBAPIError")
    if dbapi is not None and isinstance(error, dbapi):
        return _of_database(error, database)
    pool: Any = _class("sqlalchemy.exc", "TimeoutError")
    if pool is not None and isinstance(error, pool):
        return "All connections to the database are in use. Try again in a minute."
    engine: Any = _class("duckdb", "Error")
    if engine is not None and isinstance(error, engine):
        return _of_engine(error)
    if isinstance(error, MemoryError):
        return f"There is not enough memory for this. {_LESS}"
    if isinstance(error, (BrokenPipeError, ConnectionError)):
        return None
    if isinstance(error, OSError):
        return _of_system(error, home)
    if type(error).__module__.startswith("deltalake") and _says_full(error):
        return _no_room(home or "the warehouse")
    return None


def address_of(url: str) -> str:
    """Return the address of a database without user and password."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return parsed.database or "in memory"
    host = parsed.host or str(parsed.query.get("host", "localhost"))
    port = f":{parsed.port}" if parsed.port else ""
    return f"postgresql://{host}{port}/{parsed.database or ''}"


def unusable(error: BaseException, url: str, home: str) -> str:
    """Return a sentence on why a database or the folder of an installation cannot be used.

    Args:
        url: of the database, with its password.
        home: the folder.
    """
    address = address_of(url)
    return sentence(error, address, home) or f"{address} cannot be used: {first_line(error)}."


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; of the driver's own error where it has one."""
    said = str(getattr(error, "orig", None) or error).strip()
    return (said.splitlines() or [type(error).__name__])[0][:_LONGEST].rstrip(".")


def _class(module: str, name: str) -> Any:
    # an error of a library can only be there where the library is loaded
    return getattr(sys.modules.get(module), name, None)


def _says_full(error: BaseException) -> bool:
    text = str(error).lower()
    return any(words in text for words in _FULL_WORDS)


def _no_room(where: str) -> str:
    return f"No space is left on the disk of {where}. {_FREE}"


def _is_full(file: str) -> bool:
    try:
        return shutil.disk_usage(Path(file).parent).free < _LEAST
    except (OSError, ValueError):
        return False


def _is_read_only(file: str) -> bool:
    try:
        return bool(os.statvfs(Path(file).parent).f_flag & os.ST_RDONLY)
    except (OSError, ValueError):
        return False


def _of_database(error: BaseException, address: str) -> str | None:
    kind, said = type(error).__name__, first_line(error)
    lower = said.lower()
    named = f"The database {address}" if address else "The database"
    if "is full" in lower or _says_full(error):
        return _no_room(address or "the database")
    if ("readonly database" in lower or "unable to open" in lower) and _is_read_only(address):
        return f"{address} {READ_ONLY}"
    if "readonly database" in lower or "unable to open" in lower:
        return f"{named} cannot be opened or written: {said}. Look at the rights of the file and its folder."
    if "disk i/o error" in lower:
        if _is_full(address):
            return _no_room(address)
        return f"{named} cannot be read or written: {said}. Look whether its disk is full or broken."
    if "is locked" in lower:
        return f"{named} is in use by another process, which has not let go of it. Try again in a minute."
    if "not a database" in lower or "malformed" in lower:
        return f"{named} is damaged: {said}. Restore it from a backup."
    if kind in ("OperationalError", "InterfaceError"):
        return f"{named} does not answer: {said}. Start it, or correct WHOHAS_DATABASE_URL."
    return None


def _of_engine(error: BaseException) -> str | None:
    said = first_line(error)
    match type(error).__name__:
        case "OutOfMemoryException":
            return f"It needs more memory than there is, or more room on the disk to spill to. {_LESS} ({said})"
        case "IOException" if _says_full(error):
            return f"No space is left on the disk to write to or to spill to. {_FREE} ({said})"
        case "IOException":
            return f"A file could not be read or written. Look whether it is there and can be read. ({said})"
        case _:
            return None


def _of_system(error: OSError, home: str) -> str:
    where = str(error.filename) if error.filename is not None else ""
    place = Path(where) if where else None
    if error.errno in _FULL or (error.errno is None and _says_full(error)):
        return _no_room(where or home or "the home folder")
    if error.errno == errno.EFBIG:
        return f"{where or 'A file'} may not grow any further: a limit of this process (ulimit -f) or the file system."
    if error.errno == errno.EROFS:
        return f"{where or home or 'The disk'} {READ_ONLY}"
    if error.errno in _REFUSED:
        user = f"the user {os.geteuid()} that runs whohas"
        return f"{where or 'A file'} is refused to {user}: {error.strerror}. Give it to that user, or set WHOHAS_HOME."
    if error.errno in _OPEN_FILES:
        return f"Too many files are open at once: {error.strerror}. Raise the limit (ulimit -n) and start again."
    if error.errno == errno.ENOMEM:
        return f"The system has no memory left for this: {error.strerror}. End other processes, or give it more."
    what = error.strerror or first_line(error)
    return f"{place or 'The system'} cannot be used: {what}." if place else f"The system refused a file: {what}."
