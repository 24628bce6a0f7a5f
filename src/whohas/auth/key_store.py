"""The places of the secret keys of an installation: a folder, or a table of PostgreSQL.

Usually the keys are files in `keys/` of the home folder that only the server's user can read. Hosts that share nothing
but PostgreSQL and an object store for the files of runs have no such folder in common. Then the keys are rows of the
table `secret_key`, encrypted with the master key, which is an object in the store: neither a copy of the database nor
one of the store contains a usable key, and no host has to be given one. The first process imports the keys that the
folder has.
"""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from whohas import atomic, timeouts
from whohas.db.engine import insert_for, metadata
from whohas.errors import Unavailable
from whohas.faults import READ_ONLY_MESSAGE
from whohas.object_stores import ObjectExists, ObjectStore

_TICK_NANOSECONDS = 50_000_000
"""Longer than one tick of the clock that the kernel takes a folder's modification time from."""

MASTER_KEY: Final = "whohas-keys/master.key"
"""The object with the key that encrypts the others, 64 hex digits."""
_ENCRYPTION: Final = {"alg": "dir", "enc": "A256GCM"}

key_table = sa.Table(
    "secret_key",
    metadata,
    sa.Column("name", sa.String(120), primary_key=True, comment="as that of its file would be"),
    sa.Column("content", sa.Text, nullable=False, comment="encrypted with the master key (JWE)"),
)


class KeyStore(Protocol):
    """The keys of an installation, by name. Its methods raise `Unavailable` or `SQLAlchemyError` where it fails."""

    def read(self) -> dict[str, str]:
        """Return the contents of all keys by their names."""
        ...

    def create(self, keys: Mapping[str, str]) -> None:
        """Add keys, in this order, unless the first is there already; then another process was faster."""
        ...

    def remove(self, name: str) -> None:
        """Remove a key; no effect if it is gone."""
        ...

    def version(self) -> object:
        """Return a value that differs from the last one if another process has changed the keys and that is known."""
        ...

    def describe(self, name: str) -> str:
        """Return where a key is, for messages."""
        ...


class KeyFolder:
    """The keys in a folder. Each is a complete file: a reader sees no part of one.

    Args:
        folder: the folder, which is created.

    Raises:
        Unavailable: the folder cannot be created or read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._errors():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # only old ones: another process may be writing a key at this moment
            atomic.remove_leftovers(folder, seconds=timeouts.ORPHANED_FILE_SECONDS)

    def read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        with self._errors():
            for path in sorted(self._folder.glob("[!.]*")):
                with suppress(FileNotFoundError):  # another server removed it after the folder was listed
                    found[path.name] = path.read_text(encoding="utf-8", errors="replace")
        return found

    def create(self, keys: Mapping[str, str]) -> None:
        with self._errors(), suppress(FileExistsError):
            for name, content in keys.items():
                atomic.write(self._folder / name, content, mode=0o600, replace=False)

    def remove(self, name: str) -> None:
        with self._errors():
            (self._folder / name).unlink(missing_ok=True)

    def version(self) -> object:
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:  # `read` then raises the same error with a message
            return None
        # a second change within one tick of the kernel's clock leaves the time as it is: until the tick is over, the
        # version is a new object each time, so that nothing is cached
        return changed if time.time_ns() - changed > _TICK_NANOSECONDS else object()

    def describe(self, name: str) -> str:
        return str(self._folder / name)

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno == errno.EROFS:
                raise Unavailable(f"{self._folder} {READ_ONLY_MESSAGE}") from error
            raise Unavailable(
                f"The keys in {self._folder} cannot be read or written: {error.strerror}. "
                "Give the server's user the right to write there."
            ) from error


class KeyTable:
    """The keys in a table of the database, encrypted with a master key in an object store.

    The master key is read once. If neither it nor any key exists, it is created.

    Args:
        database: the database.
        store: the object store.

    Raises:
        Unavailable: the master key is missing or damaged, or the store failed.
        SQLAlchemyError: the database failed.
    """

    def __init__(self, database: sa.Engine, store: ObjectStore) -> None:
        self._database = database
        self._master = f"The object {MASTER_KEY} in {store.address}"
        self._key = OctKey.import_key(self._read_master_key(store))

    def _read_master_key(self, store: ObjectStore) -> bytes:
        try:
            content = store.read(MASTER_KEY)
        except FileNotFoundError:
            content = self._first_master_key(store)
        try:
            key = bytes.fromhex(content.decode("ascii"))
        except ValueError:
            key = b""
        if len(key) != 32:
            raise Unavailable(f"{self._master} is damaged: it has not 64 hex digits. Restore it from a backup.")
        return key

    def _first_master_key(self, store: ObjectStore) -> bytes:
        """Create the master key unless there are keys already, and return it.

        Another host may do the same at the same time: then its master key is returned, and it may have added keys by
        now.
        """
        with self._database.connect() as connection:
            has_keys = connection.execute(sa.select(key_table.c.name).limit(1)).first() is not None
        if not has_keys:
            store.probe()  # two hosts that start at once must not both create one
            with suppress(ObjectExists):
                store.create(MASTER_KEY, secrets.token_hex(32).encode())
        try:
            return store.read(MASTER_KEY)
        except FileNotFoundError:
            raise Unavailable(
                f"{self._master} is missing: it encrypts the keys in the database. Restore it from a backup of the "
                "store, or copy it if the files of runs were moved."
            ) from None

    def read(self) -> dict[str, str]:
        with self._database.connect() as connection:
            rows = connection.execute(sa.select(key_table)).all()
        try:
            return {row.name: (jwe.decrypt_compact(row.content, self._key).plaintext or b"").decode() for row in rows}
        except (JoseError, ValueError) as error:
            raise Unavailable(
                f"The keys in the table {key_table.name} of the database cannot be decrypted. They were changed, or "
                f"encrypted with another master key. {self._master} must be of the same backup as the database."
            ) from error

    def create(self, keys: Mapping[str, str]) -> None:
        with self._database.begin() as connection:
            for name, plain in keys.items():
                content = jwe.encrypt_compact(dict(_ENCRYPTION), plain, self._key)
                added = insert_for(connection, key_table).values(name=name, content=content).on_conflict_do_nothing()
                if connection.execute(added.returning(key_table.c.name)).first() is None:
                    return

    def remove(self, name: str) -> None:
        with self._database.begin() as connection:
            connection.execute(key_table.delete().where(key_table.c.name == name))

    def version(self) -> object:
        return None  # not known without a query: what is cached expires

    def describe(self, name: str) -> str:
        return f"The row {name} of the table {key_table.name}"
