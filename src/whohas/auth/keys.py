"""The two keys of an installation, in `keys/` of the home folder, readable by their owner alone.

`token-signing.jwk` signs access tokens (ES256); `client-secrets.key` is the HMAC key that client secrets
are kept under. Several processes may open a new home at once: each writes a whole file of its own and links
it into place, the first link wins, and all go on with the winner's key.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from whohas.errors import Unavailable

SIGNING_KEY = "token-signing.jwk"
SECRETS_KEY = "client-secrets.key"
SECRETS_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """Both keys of an installation; neither shows in a `repr`.

    Attributes:
        signing: the private P-256 key of access tokens.
        secrets: the 32 bytes under which client secrets are kept.
    """

    signing: ECKey = field(repr=False)
    secrets: bytes = field(repr=False)


def open_keys(home: Path) -> Keys:
    """Reads the keys of a home folder, or makes them.

    Raises:
        Unavailable: a key file is damaged, or the folder cannot be written.
    """
    folder = home / "keys"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        signing = _read_or_make(folder / SIGNING_KEY, _new_signing_key)
        secret = _read_or_make(folder / SECRETS_KEY, _new_secrets_key)
    except OSError as error:
        raise Unavailable(
            f"The keys in {folder} cannot be read or written: {error.strerror}. "
            "Give the server's user the right to write there."
        ) from error
    return Keys(_parse_signing_key(signing, folder), _parse_secrets_key(secret, folder))


def _new_signing_key() -> str:
    return json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=True))


def _new_secrets_key() -> str:
    return secrets.token_hex(SECRETS_KEY_BYTES)


def _parse_signing_key(text: str, folder: Path) -> ECKey:
    try:
        key = ECKey.import_key(json.loads(text))
        if key.is_private and key.curve_name == "P-256":
            return key
    except (ValueError, TypeError, KeyError, AttributeError, JoseError):
        pass  # all of them mean the same to whoever has to repair it
    raise Unavailable(
        f"{folder / SIGNING_KEY} is not a private P-256 key. Restore it from a backup, "
        "or remove it and restart: clients then fetch new tokens."
    )


def _parse_secrets_key(text: str, folder: Path) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != SECRETS_KEY_BYTES:
        raise Unavailable(
            f"{folder / SECRETS_KEY} does not hold {SECRETS_KEY_BYTES} bytes in hex. "
            "Restore it from a backup, or remove it, restart, and create every client anew."
        )
    return key


def _read_or_make(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        _publish(path, make())
    return path.read_text(encoding="utf-8")


def _publish(path: Path, text: str) -> None:
    # a link, unlike a rename, never replaces what another process has put there meanwhile
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
