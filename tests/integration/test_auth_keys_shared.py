"""Keys of one home folder, or of one database, that several processes or servers open."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from obstore.store import MemoryStore

from patience import PATIENCE_SECONDS, until
from postgres import Postgres
from processes import Process, python
from support import environment
from whohas.auth import InstallationKeys, open_keys
from whohas.auth.key_store import MASTER_KEY, KeyTable, key_table
from whohas.db.engine import create_engine
from whohas.errors import Unavailable
from whohas.object_stores import ObjectStore, StoreAddress

OPEN = """
import hashlib, sys
from pathlib import Path
from whohas.auth import open_keys
print("ready", flush=True)
sys.stdin.readline()
keys = open_keys(Path(sys.argv[1]))
print(hashlib.sha256(keys.secrets_key).hexdigest(), keys.signing.signing_key().id)
"""


def test_processes_that_create_a_home_at_once_share_its_keys(home: Path, tmp_path: Path) -> None:
    said = [tmp_path / f"opener{number}.out" for number in range(6)]
    openers: list[Process | subprocess.Popen[bytes]] = []
    read, begin = os.pipe()
    with os.fdopen(read) as stdin:
        for path in said:
            with path.open("w") as out:
                openers.append(
                    python("-c", OPEN, str(home), env=environment(home), stdin=stdin, stdout=out, stderr=out)
                )
    until(lambda: all(path.read_text() == "ready\n" for path in said))
    os.close(begin)  # all of them see the end of their input at once
    assert [opener.wait(PATIENCE_SECONDS) for opener in openers] == [0] * len(openers)
    seen = [path.read_text().split()[1:] for path in said]
    assert len({secret for secret, _ in seen}) == 1
    known = open_keys(home).signing
    assert all(known.find(key) for _, key in seen)


def test_each_server_knows_every_key_the_moment_it_signs(home: Path) -> None:
    servers = [open_keys(home).signing for _ in range(3)]
    for number in range(60):
        new = servers[number % 3].rotate()
        assert all(server.find(new.id) == new for server in servers), number
        assert all(server.signing_key() == new for server in servers), number
        time.sleep(0.002 * (number % 5))


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore(StoreAddress("s3", "bucket", ""), MemoryStore())


@pytest.fixture
def database(postgres: Postgres) -> Iterator[sa.Engine]:
    engine = create_engine(postgres.ready_database())
    yield engine
    engine.dispose()


@pytest.fixture
def host(database: sa.Engine, store: ObjectStore, tmp_path: Path) -> Callable[[str], InstallationKeys]:
    """What a host with a home folder of its own has."""
    return lambda name: open_keys(tmp_path / name, KeyTable(database, store))


Host = Callable[[str], InstallationKeys]


def test_hosts_without_a_common_folder_share_their_keys(host: Host, tmp_path: Path) -> None:
    here, there = host("here"), host("there")
    assert here.secrets_key == there.secrets_key
    old = here.signing.signing_key()
    assert there.signing.find(old.id) == old
    new = here.signing.rotate()
    until(lambda: there.signing.find(new.id) == new)
    last = there.signing.rotate(end_tokens=True)
    assert host("third").signing.all() == [last]
    assert list(tmp_path.iterdir()) == [], "no key is in a home folder"


def test_a_database_imports_the_keys_of_a_folder_once(host: Host, tmp_path: Path) -> None:
    before, other = open_keys(tmp_path / "home"), open_keys(tmp_path / "other")
    old = before.signing.signing_key()
    keys = host("home")
    assert (keys.secrets_key, keys.signing.all()) == (before.secrets_key, [old])
    assert host("other").secrets_key != other.secrets_key
    new = keys.signing.rotate(end_tokens=True)
    assert host("home").signing.all() == [new], "the stolen key does not come back"


def test_hosts_that_start_at_once_make_one_set_of_keys(host: Host) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(host, map(str, range(6))))
    assert len({keys.secrets_key for keys in opened}) == 1


def test_neither_the_database_nor_the_store_has_a_usable_key(
    host: Host, database: sa.Engine, store: ObjectStore
) -> None:
    keys = host("home")
    key = keys.signing.signing_key().key.as_dict(private=True)
    with database.connect() as connection:
        stored = "".join(row.content for row in connection.execute(sa.select(key_table)))
    assert keys.secrets_key.hex() not in stored and str(key["d"]) not in stored
    assert [found.key for found in store.list()] == [MASTER_KEY]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"whohas-keys/master.key in s3://bucket is missing.*Restore it"),
        (b"0" * 63, r"whohas-keys/master.key in s3://bucket is damaged.*Restore it"),
        (b"0" * 64, r"cannot be decrypted.*whohas-keys/master.key in s3://bucket must be of the same backup"),
    ],
    ids=["missing", "damaged", "another"],
)
def test_a_wrong_master_key_is_a_clear_error(host: Host, store: ObjectStore, content: bytes | None, words: str) -> None:
    host("home")
    store.delete(MASTER_KEY)
    if content:
        store.write(MASTER_KEY, content)
    with pytest.raises(Unavailable, match=words):
        host("home")


def test_a_damaged_key_in_the_database_is_named(host: Host, database: sa.Engine) -> None:
    host("home")
    with database.begin() as connection:
        connection.execute(key_table.update().values(content="{}"))
    with pytest.raises(Unavailable, match="table secret_key of the database cannot be decrypted"):
        host("home")
