"""The secret keys of an installation, in a folder or in the database; see `key_store`.

`client-secrets.key` is the HMAC key that client secrets are hashed with. Each `token-signing.<time>.<id>.jwk` is a key
for signing access tokens (ES256): the newest signs, older ones are kept until the last token that they signed expires.

Several processes and servers share the keys. Each reads them again when a token names a key that it does not know.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from whohas import timeouts
from whohas.auth.key_store import KeyFolder, KeyStore, KeyTable
from whohas.db.cache import Cache
from whohas.errors import Unavailable

SECRETS_KEY_FILE = "client-secrets.key"
SECRETS_KEY_BYTES = 32
SIGNING_KEY_FILES = "token-signing.*.jwk"
CREATED_FORMAT = "%Y%m%dT%H%M%S%fZ"
"""The form of the time in the name of a signing key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key for signing access tokens; a `repr` does not show the key itself.

    Attributes:
        id: the `kid` in the header of a token: the thumbprint of the key (RFC 7638).
        created: when the key was created, in UTC.
        key: the P-256 key.
        name: its name in the store of the keys.
    """

    id: str
    created: datetime
    key: ECKey = field(repr=False)
    name: str


class SigningKeys:
    """The signing keys of an installation, cached for `KEYS_RELOAD_SECONDS` or until the store has another version.

    Attributes:
        lifetime: the lifetime of a token in seconds: a replaced key is kept for as long.
        period: the age in seconds at which the newest key is replaced; 0 for never.
    """

    def __init__(self, store: KeyStore, *, lifetime: int, period: int) -> None:
        self.lifetime = lifetime
        self.period = period
        self._store = store
        self._lock = threading.Lock()
        # a new key changes the version of a folder, so that other servers see it at once; on a network file system it
        # may arrive late, and a table has no version, therefore the cache expires by time too
        self._keys: Cache[dict[str, SigningKey]] = Cache(1, seconds=timeouts.KEYS_RELOAD_SECONDS, version=store.version)

    def signing_key(self) -> SigningKey:
        """Return the key for signing; create one if no key exists, or if the newest is older than `period`.

        A key that is dated more than a day in the future was created while the clock was wrong. It is not used for
        signing, because it would not be replaced until that date.

        Raises:
            Unavailable: a key is damaged, or the store of the keys cannot be read or written.
        """
        keys = [key for key in self._known().values() if _age(key) > -timeouts.CLOCK_AHEAD_SECONDS]
        newest = max(keys, key=lambda key: key.created, default=None)
        if newest is None or (self.period and _age(newest) > self.period):
            return self.rotate()
        return newest

    def find(self, key_id: str) -> SigningKey | None:
        """Return a key by its id, or None.

        If the id is unknown, the keys are read again, at most every `KEYS_UNKNOWN_RELOAD_SECONDS`: another server may
        have created the key.
        """
        keys = self._known()
        return keys.get(key_id) or self._known(after=timeouts.KEYS_UNKNOWN_RELOAD_SECONDS).get(key_id)

    def all(self) -> list[SigningKey]:
        """Return the keys that tokens are verified with, the newest first."""
        return sorted(self._known().values(), key=lambda key: key.created, reverse=True)

    def rotate(self, *, end_tokens: bool = False) -> SigningKey:
        """Create a new signing key, and delete the keys whose tokens have all expired.

        A key's last token was signed when the key was replaced, and expires `lifetime` later. With keys of 1:00, 2:00
        and 5:00, a lifetime of 2 hours and a new key at 6:00, the key of 1:00 (replaced at 2:00) is deleted; that of
        2:00 (replaced at 5:00) is kept, because its tokens may be valid until 7:00.

        Args:
            end_tokens: whether to delete all older keys, which ends all tokens; for the case that a key was stolen.

        Raises:
            Unavailable: a key is damaged, or the store of the keys cannot be read or written.
        """
        with self._lock:
            made = datetime.now(UTC)
            key = ECKey.generate_key("P-256", private=True)
            name = f"token-signing.{made.strftime(CREATED_FORMAT)}.{key.thumbprint()[:12]}.jwk"
            older = self._read()
            self._store.create({name: json.dumps(key.as_dict(private=True))})
            replaced = [*(key.created for key in older), made][1:]
            for old, replaced_at in zip(older, replaced, strict=True):
                if end_tokens or (made - replaced_at).total_seconds() > self.lifetime:
                    self._store.remove(old.name)
            self._keys.clear()
            return SigningKey(key.thumbprint(), made, key, name)

    def _known(self, after: float = timeouts.KEYS_RELOAD_SECONDS) -> dict[str, SigningKey]:
        return self._keys.get("", lambda: {key.id: key for key in self._read()}, seconds=after)

    def _read(self) -> list[SigningKey]:
        """Return all keys, the oldest first."""
        keys = (
            _signing_key(name, content, self._store.describe(name))
            for name, content in self._store.read().items()
            if fnmatchcase(name, SIGNING_KEY_FILES)
        )
        return sorted(keys, key=lambda key: key.created)


@dataclass(frozen=True, slots=True)
class InstallationKeys:
    """All keys of an installation; a `repr` shows none of them.

    Attributes:
        signing: the keys that sign access tokens.
        secrets_key: the HMAC key of 32 bytes that client secrets are hashed with.
    """

    signing: SigningKeys = field(repr=False)
    secrets_key: bytes = field(repr=False)


def open_keys(
    home: Path, table: KeyTable | None = None, *, lifetime: int = timeouts.TOKEN_SECONDS, period: int = 0
) -> InstallationKeys:
    """Read the keys of an installation; create those that do not exist.

    Args:
        home: the home folder, whose folder `keys` has the keys.
        table: the table that has the keys instead, and imports those of the folder once; None without one.
        lifetime: the lifetime of access tokens in seconds.
        period: the age in seconds at which the signing key is replaced; 0 for never.

    Raises:
        Unavailable: a key is damaged, or the folder cannot be read or written.
        SQLAlchemyError: the database failed.
    """
    folder = home / "keys"
    store = table or KeyFolder(folder)
    keys = store.read()
    if SECRETS_KEY_FILE not in keys:
        old = KeyFolder(folder).read() if table and folder.is_dir() else {}
        signing = {name: content for name, content in old.items() if fnmatchcase(name, SIGNING_KEY_FILES)}
        secret = old.get(SECRETS_KEY_FILE) or secrets.token_hex(SECRETS_KEY_BYTES)
        store.create({SECRETS_KEY_FILE: secret, **signing})
        keys = store.read()
    signing_keys = SigningKeys(store, lifetime=lifetime, period=period)
    signing_keys.signing_key()
    return InstallationKeys(signing_keys, _parse_secrets_key(keys[SECRETS_KEY_FILE], store.describe(SECRETS_KEY_FILE)))


def public_key_set(keys: SigningKeys) -> dict[str, Any]:
    """Return the public parts of the signing keys as a JSON Web Key Set (RFC 7517)."""
    return {
        "keys": [{**key.key.as_dict(private=False), "kid": key.id, "use": "sig", "alg": "ES256"} for key in keys.all()]
    }


def _signing_key(name: str, content: str, where: str) -> SigningKey:
    try:
        made = datetime.strptime(name.split(".")[1], CREATED_FORMAT).replace(tzinfo=UTC)
        key = ECKey.import_key(json.loads(content))
        if key.is_private and key.curve_name == "P-256":
            return SigningKey(key.thumbprint(), made, key, name)
    except (ValueError, TypeError, KeyError, AttributeError, JoseError):
        pass  # the message below says all that is needed to repair any of these
    raise Unavailable(
        f"{where} is not a private P-256 key. Restore it from a backup, "
        "or remove it and restart: clients then fetch new tokens."
    )


def _parse_secrets_key(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != SECRETS_KEY_BYTES:
        raise Unavailable(
            f"{where} does not hold {SECRETS_KEY_BYTES} bytes in hex. "
            "Restore it from a backup, or remove it, restart, and create every client again."
        )
    return key


def _age(key: SigningKey) -> float:
    return (datetime.now(UTC) - key.created).total_seconds()
