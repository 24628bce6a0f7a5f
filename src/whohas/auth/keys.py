"""The keys of an installation, in `keys/` of the home folder, readable by their owner alone.

`client-secrets.key` is the HMAC key that client secrets are kept under. Each `token-signing.<time>.<id>.jwk` is a key
that signs access tokens (ES256): the newest signs, the older ones are kept as long as tokens of theirs may be out.
Several processes may open a home at once, and several servers may share one: each writes whole files and links them
into place, and looks again for keys that it does not know.
"""

from __future__ import annotations

import errno
import json
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from whohas import atomic, timeouts
from whohas.cache import Cache
from whohas.errors import Unavailable
from whohas.faults import READ_ONLY

SECRETS_KEY = "client-secrets.key"
SECRETS_KEY_BYTES = 32
SIGNING_KEYS = "token-signing.*.jwk"
_TICK_NANOSECONDS = 50_000_000
STAMP = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of access tokens; a `repr` does not show it.

    Attributes:
        id: the `kid` in a token's header.
        made: when; the newest signs.
    """

    id: str
    made: datetime
    key: ECKey = field(repr=False)
    path: Path


class SigningKeys:
    """The keys that sign access tokens, as they lie in the folder.

    Attributes:
        lifetime: seconds that a token may be out, so that an older key is kept for as long.
        period: seconds after which the newest key is replaced; 0 for never.
    """

    def __init__(self, folder: Path, *, lifetime: int, period: int) -> None:
        self.lifetime = lifetime
        self.period = period
        self._folder = folder
        self._lock = threading.Lock()
        # the folder changes with every key, so that other servers know one at once; on a disk that several machines
        # share this may be told late, and the time counts
        self._keys: Cache[dict[str, SigningKey]] = Cache(1, seconds=timeouts.KEYS_LOOK_SECONDS, version=self._version)

    def newest(self) -> SigningKey:
        """The key that signs; a new one where there is none or the newest is old enough to be replaced.

        One that lies ahead was made under a clock that was wrong, and would not be replaced for as long: it signs
        nothing.
        """
        keys = [key for key in self._known().values() if _age(key) > -timeouts.CLOCK_AHEAD_SECONDS]
        newest = max(keys, key=lambda key: key.made, default=None)
        if newest is None or (self.period and _age(newest) > self.period):
            return self.rotate()
        return newest

    def find(self, key_id: str) -> SigningKey | None:
        """A key by its id; looks into the folder once more where it is not known, for another server may have it."""
        keys = self._known()
        return keys.get(key_id) or self._known(after=timeouts.KEYS_UNKNOWN_SECONDS).get(key_id)

    def all(self) -> list[SigningKey]:
        """The keys by whose signature a token is known, the newest first."""
        return sorted(self._known().values(), key=lambda key: key.made, reverse=True)

    def rotate(self, *, end_tokens: bool = False) -> SigningKey:
        """Makes a new key that signs from now on, and removes keys of which no token can be out any more.

        Args:
            end_tokens: whether all tokens that are out end, as after a key was stolen: all older keys are removed.

        Raises:
            Unavailable: the folder cannot be written.
        """
        with self._lock:
            made = datetime.now(UTC)
            key = ECKey.generate_key("P-256", private=True)
            path = self._folder / f"token-signing.{made.strftime(STAMP)}.{key.thumbprint()[:12]}.jwk"
            before = self._read()
            try:
                _publish(path, json.dumps(key.as_dict(private=True)))
                replaced = [*(one.made for one in before), made][1:]
                for old, since in zip(before, replaced, strict=True):
                    if end_tokens or (made - since).total_seconds() > self.lifetime:
                        old.path.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(self._folder, error) from error
            self._keys.clear()
            return SigningKey(key.thumbprint(), made, key, path)

    def _version(self) -> object:
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:  # reading it says why
            return None
        # a second change within a tick of the kernel's clock does not show
        return changed if time.time_ns() - changed > _TICK_NANOSECONDS else object()

    def _known(self, after: float = timeouts.KEYS_LOOK_SECONDS) -> dict[str, SigningKey]:
        return self._keys.get("", lambda: {key.id: key for key in self._read()}, seconds=after)

    def _read(self) -> list[SigningKey]:
        """All keys, the oldest first."""
        keys = [_signing_key(path) for path in sorted(self._folder.glob(SIGNING_KEYS))]
        return sorted((key for key in keys if key), key=lambda key: key.made)


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of an installation; none shows in a `repr`.

    Attributes:
        signing: of access tokens.
        secrets: the 32 bytes under which client secrets are kept.
    """

    signing: SigningKeys = field(repr=False)
    secrets: bytes = field(repr=False)


def open_keys(home: Path, *, lifetime: int = timeouts.TOKEN_SECONDS, period: int = 0) -> Keys:
    """Reads the keys of a home folder, or makes them.

    Raises:
        Unavailable: a key file is damaged, or the folder cannot be written.
    """
    folder = home / "keys"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # other processes may be writing keys now
        atomic.remove_leftovers(folder, seconds=timeouts.UNFINISHED_SECONDS)
        path = folder / SECRETS_KEY
        if not path.exists():
            _publish(path, secrets.token_hex(SECRETS_KEY_BYTES))
        secret = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unwritable(folder, error) from error
    signing = SigningKeys(folder, lifetime=lifetime, period=period)
    signing.newest()
    return Keys(signing, _parse_secrets_key(secret, folder))


def public_set(keys: SigningKeys) -> dict[str, Any]:
    """The public halves, as a JSON Web Key Set (RFC 7517)."""
    return {
        "keys": [{**one.key.as_dict(private=False), "kid": one.id, "use": "sig", "alg": "ES256"} for one in keys.all()]
    }


def _signing_key(path: Path) -> SigningKey | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:  # another server removed it meanwhile
        return None
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    try:
        made = datetime.strptime(path.name.split(".")[1], STAMP).replace(tzinfo=UTC)
        key = ECKey.import_key(json.loads(text))
        if key.is_private and key.curve_name == "P-256":
            return SigningKey(key.thumbprint(), made, key, path)
    except (ValueError, TypeError, KeyError, AttributeError, JoseError):
        pass  # all of them mean the same to whoever has to repair it
    raise Unavailable(
        f"{path} is not a private P-256 key. Restore it from a backup, "
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


def _age(key: SigningKey) -> float:
    return (datetime.now(UTC) - key.made).total_seconds()


def _unwritable(folder: Path, error: OSError) -> Unavailable:
    if error.errno == errno.EROFS:
        return Unavailable(f"{folder} {READ_ONLY}")
    return Unavailable(
        f"The keys in {folder} cannot be read or written: {error.strerror}. "
        "Give the server's user the right to write there."
    )


def _publish(path: Path, text: str) -> None:
    with suppress(FileExistsError):  # another process has made one meanwhile, which counts
        atomic.write(path, text, mode=0o600, replace=False)
