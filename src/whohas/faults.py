"""Error messages for failures outside whohas: the operating system, the disk, the database, the engine.

Each message says what failed, where, and what to do. The command line, the start of a server and HTTP responses share
them. An exception that this module does not recognise is treated as a bug of whohas and keeps its traceback.
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
"""Free bytes below which a disk counts as full: SQLite needs about this much to open a database."""

_FREE = "Free some, or give whohas a folder elsewhere (WHOHAS_HOME)."
READ_ONLY_MESSAGE = (
    "is on a file system that is read-only. Mount it for writing, or give whohas another folder (WHOHAS_HOME)."
)
"""The end of a message that begins with a path."""
_LESS = "Ask for less at once, or give it more memory (WHOHAS_RUN_MEMORY)."


def describe(error: BaseException, database: str = "", home: str = "") -> str | None:
    """Return a message for an error of the system, the database or the engine; None for any other error.

    Args:
        error: the exception.
        database: the database for the message, as `address_of` returns it; empty if unknown.
        home: the home folder for the message; empty if unknown.
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
    """Return the URL of a database without user and password; for SQLite the path of the file."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return parsed.database or "in memory"
    host = parsed.host or str(parsed.query.get("host", "localhost"))
    port = f":{parsed.port}" if parsed.port else ""
    return f"postgresql://{host}{port}/{parsed.database or ''}"


def describe_unusable(error: BaseException, url: str, home: str) -> str:
    """Return a sentence on why a database or the folder of an installation cannot be used.

    Args:
        url: of the database, with its password.
        home: the folder.
    """
    address = address_of(url)
    return describe(error, address, home) or f"{address} cannot be used: {first_line(error)}."


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without its full stop; of the driver's error if it wraps one."""
    text = str(getattr(error, "orig", None) or error).strip()
    return (text.splitlines() or [type(error).__name__])[0][:_LONGEST].rstrip(".")


def _class(module: str, name: str) -> Any:
    # an error of a library can only occur once the library is loaded, so nothing is imported here
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
    kind, text = type(error).__name__, first_line(error)
    lower = text.lower()
    named = f"The database {address}" if address else "The database"
    if "is full" in lower or _says_full(error):
        return _no_room(address or "the database")
    if ("readonly database" in lower or "unable to open" in lower) and _is_read_only(address):
        return f"{address} {READ_ONLY_MESSAGE}"
    if "readonly database" in lower or "unable to open" in lower:
        return f"{named} cannot be opened or written: {text}. Look at the rights of the file and its folder."
    if "disk i/o error" in lower:
        if _is_full(address):
            return _no_room(address)
        return f"{named} cannot be read or written: {text}. Look whether its disk is full or broken."
    if "is locked" in lower:
        return f"{named} is locked by another process. Try again in a minute."
    if "not a database" in lower or "malformed" in lower:
        return f"{named} is damaged: {text}. Restore it from a backup."
    if kind in ("OperationalError", "InterfaceError"):
        return f"{named} does not answer: {text}. Start it, or correct WHOHAS_DATABASE_URL."
    return None


def _of_engine(error: BaseException) -> str | None:
    text = first_line(error)
    match type(error).__name__:
        case "OutOfMemoryException":
            return f"It needs more memory than there is, or more room on the disk to spill to. {_LESS} ({text})"
        case "IOException" if _says_full(error):
            return f"No space is left on the disk to write to or to spill to. {_FREE} ({text})"
        case "IOException":
            return f"A file could not be read or written. Look whether it is there and can be read. ({text})"
        case _:
            return None


def _of_system(error: OSError, home: str) -> str:
    where = str(error.filename) if error.filename is not None else ""
    path = Path(where) if where else None
    if error.errno in _FULL or (error.errno is None and _says_full(error)):
        return _no_room(where or home or "the home folder")
    if error.errno == errno.EFBIG:
        return f"{where or 'A file'} may not grow any further: a limit of this process (ulimit -f) or the file system."
    if error.errno == errno.EROFS:
        return f"{where or home or 'The disk'} {READ_ONLY_MESSAGE}"
    if error.errno in _REFUSED:
        user = f"the user {os.geteuid()} that runs whohas"
        return f"{where or 'A file'} is refused to {user}: {error.strerror}. Give it to that user, or set WHOHAS_HOME."
    if error.errno in _OPEN_FILES:
        return f"Too many files are open at once: {error.strerror}. Raise the limit (ulimit -n) and start again."
    if error.errno == errno.ENOMEM:
        return f"The system has no memory left for this: {error.strerror}. End other processes, or give it more."
    reason = error.strerror or first_line(error)
    return f"{path or 'The system'} cannot be used: {reason}." if path else f"The system refused a file: {reason}."
