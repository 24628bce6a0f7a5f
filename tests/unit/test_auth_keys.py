"""The keys of an installation: made once, kept private, and the same for every process."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from whohas.auth import SigningKeys, open_keys, public_key_set
from whohas.auth.key_store import KeyFolder
from whohas.auth.keys import CREATED_FORMAT
from whohas.errors import Unavailable

PUBLIC = json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=False))


def test_keys_are_made_once_and_read_ever_after(home: Path) -> None:
    made, read = open_keys(home), open_keys(home)
    assert made.secrets_key == read.secrets_key
    assert made.signing.signing_key().id == read.signing.signing_key().id


def test_key_files_are_readable_by_their_owner_alone(home: Path) -> None:
    open_keys(home)
    assert {path.stat().st_mode & 0o777 for path in (home / "keys").iterdir()} == {0o600}
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    assert len(list((home / "keys").iterdir())) == 2, "no draft is left behind"


def test_keys_do_not_show_in_a_repr(home: Path) -> None:
    keys = open_keys(home)
    assert repr(keys) == "InstallationKeys()"


@pytest.mark.parametrize("content", ["not json", "{}", "[]", PUBLIC, '{"kty": "oct", "k": "AAAA"}'])
def test_a_damaged_signing_key_is_named_with_what_to_do(home: Path, content: str) -> None:
    (home / "keys" / open_keys(home).signing.signing_key().name).write_text(content)
    with pytest.raises(Unavailable, match=r"token-signing\..*\.jwk .*Restore it from a backup"):
        open_keys(home)


@pytest.mark.parametrize("content", ["abc", "00" * 31])
def test_a_damaged_secrets_key_is_named_with_what_to_do(home: Path, content: str) -> None:
    open_keys(home)
    (home / "keys" / "client-secrets.key").write_text(content)
    with pytest.raises(Unavailable, match=r"client-secrets\.key .*Restore it from a backup"):
        open_keys(home)


def test_after_a_rotation_both_keys_are_known(home: Path) -> None:
    keys, elsewhere = open_keys(home).signing, open_keys(home).signing
    old = keys.signing_key()
    new = keys.rotate()
    assert keys.signing_key() == new != old
    assert keys.find(old.id) == old
    assert elsewhere.find(new.id) == new, "another server that does not know it looks again"
    assert {one["kid"] for one in public_key_set(keys)["keys"]} == {old.id, new.id}
    assert not any("d" in one for one in public_key_set(keys)["keys"]), "a private half"


def test_a_key_that_was_removed_signs_nowhere_any_more(home: Path) -> None:
    keys, elsewhere = open_keys(home).signing, open_keys(home).signing
    old = elsewhere.signing_key()
    new = keys.rotate(end_tokens=True)
    assert elsewhere.signing_key() == new
    assert elsewhere.find(old.id) is None


def test_keys_that_end_all_tokens_at_once_leave_one(home: Path) -> None:
    servers = [open_keys(home).signing for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            made = list(pool.map(lambda server: server.rotate(end_tokens=True), servers))
            left = open_keys(home).signing.all()
            assert left and {key.id for key in left} <= {key.id for key in made}


def test_a_key_is_replaced_when_it_is_old_enough(home: Path) -> None:
    keys = SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=60)
    first = keys.signing_key()
    _made_ago(home / "keys" / first.name, timedelta(seconds=50))
    assert SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=60).signing_key().id == first.id
    _made_ago(next((home / "keys").glob("token-signing.*")), timedelta(seconds=70))
    assert SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=60).signing_key().id != first.id


def test_a_key_outlives_its_last_valid_token(home: Path) -> None:
    keys = SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=0)
    _made_ago(home / "keys" / keys.signing_key().name, timedelta(days=9))
    oldest = SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=0).signing_key().id
    keys = SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=0)
    second = keys.rotate()
    assert {key.id for key in keys.all()} == {oldest, second.id}, "the oldest signed until just now"
    _made_ago(home / "keys" / second.name, timedelta(hours=2))
    third = SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=0).rotate()
    assert {key.id for key in SigningKeys(KeyFolder(home / "keys"), lifetime=3600, period=0).all()} == {
        second.id,
        third.id,
    }


def test_a_rotation_that_ends_all_tokens_leaves_one_key(home: Path) -> None:
    keys = open_keys(home).signing
    keys.rotate()
    new = keys.rotate(end_tokens=True)
    assert keys.all() == [new]
    assert [path.name for path in (home / "keys").glob("token-signing.*")] == [new.name]


def _made_ago(path: Path, age: timedelta) -> None:
    stamp, name, end = path.name.split(".")[1:]
    assert stamp
    path.rename(path.with_name(f"token-signing.{(datetime.now(UTC) - age).strftime(CREATED_FORMAT)}.{name}.{end}"))


def test_a_home_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(Unavailable, match="cannot be read or written"):
        open_keys(tmp_path / "home")
