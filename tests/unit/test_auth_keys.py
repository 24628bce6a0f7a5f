"""The keys of an installation: made once, kept private, and the same for every process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from whohas.auth import open_keys
from whohas.errors import Unavailable

PUBLIC = json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=False))

OPEN = """
import hashlib, sys
from pathlib import Path
from whohas.auth import open_keys
sys.stdin.readline()
keys = open_keys(Path(sys.argv[1]))
print(hashlib.sha256(keys.secrets).hexdigest(), keys.signing.thumbprint())
"""


def test_keys_are_made_once_and_read_ever_after(home: Path) -> None:
    made, read = open_keys(home), open_keys(home)
    assert made.secrets == read.secrets
    assert made.signing.thumbprint() == read.signing.thumbprint()


def test_key_files_are_readable_by_their_owner_alone(home: Path) -> None:
    open_keys(home)
    assert {path.stat().st_mode & 0o777 for path in (home / "keys").iterdir()} == {0o600}
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    assert len(list((home / "keys").iterdir())) == 2, "no draft is left behind"


def test_processes_that_open_a_new_home_at_once_get_the_same_keys(home: Path) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    seen = {opener.communicate(timeout=60)[0] for opener in openers}
    assert len(seen) == 1
    assert seen.pop().strip()


def test_keys_do_not_show_in_a_repr(home: Path) -> None:
    keys = open_keys(home)
    assert repr(keys) == "Keys()"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("client-secrets.key", "abc"),
        ("client-secrets.key", "00" * 31),
        ("token-signing.jwk", "not json"),
        ("token-signing.jwk", "{}"),
        ("token-signing.jwk", "[]"),
        ("token-signing.jwk", PUBLIC),
        ("token-signing.jwk", '{"kty": "oct", "k": "AAAA"}'),
    ],
)
def test_a_damaged_key_file_is_named_with_what_to_do(home: Path, name: str, content: str) -> None:
    open_keys(home)
    (home / "keys" / name).write_text(content)
    with pytest.raises(Unavailable, match=rf"{name} .*Restore it from a backup"):
        open_keys(home)


def test_a_home_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(Unavailable, match="cannot be read or written"):
        open_keys(tmp_path / "home")
