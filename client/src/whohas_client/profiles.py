"""Profiles: the environments in `~/.sailpoint/config.yaml`, the file of the SailPoint command line and SDKs.

Example::

    activeenvironment: acme
    environments:
      acme:
        baseurl: https://acme.api.identitynow.com
        pat:
          clientid: 0a1b…
          clientsecret: 2c3d…

The SailPoint command line compares all names in lower case, and may keep id and secret in the keyring of the system
instead. Credentials that the file lacks come from the environment variables SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, but
only if SAIL_BASE_URL is unset or names the same server: a secret is never sent to a server that it was not made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from whohas_client.errors import InvalidArguments

URL_VARIABLE, ID_VARIABLE, SECRET_VARIABLE = VARIABLES = ("SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET")
"""The environment variables with the address of a server, the id of an API client, and its secret."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A server that the file describes.

    Attributes:
        name: its name, in lower case.
        url: the base URL of its API, without a `/` at the end; empty if the file has none.
        client_id: the id of the API client; empty if the file has none.
        client_secret: its secret; empty if the file has none. Not shown in the `repr`.
    """

    name: str
    url: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def has_credentials(self) -> bool:
        """Whether the file has both id and secret."""
        return bool(self.client_id and self.client_secret)

    def credentials(self, environ: Mapping[str, str]) -> tuple[str, str]:
        """Return id and secret: those of the file, or else of the environment; empty where both lack them."""
        if self.has_credentials:
            return self.client_id, self.client_secret
        return environment_credentials(self.url, environ)


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of a file.

    Attributes:
        path: the file; it need not exist.
        active: the name of the active profile.
        by_name: all profiles by their names.
    """

    path: Path
    active: str = ""
    by_name: Mapping[str, Profile] = field(default_factory=dict[str, Profile])

    def find(self, name: str) -> Profile:
        """Return a profile by its name, in upper or lower case.

        Raises:
            InvalidArguments: there is no such profile; the message lists those that are there.
        """
        found = self.by_name.get(name.lower())
        if found is None:
            known = ", ".join(self.by_name) or "none"
            raise InvalidArguments(f"There is no profile {name!r} in {self.path}. The profiles are: {known}.")
        return found

    def server_credentials(self, url: str, environ: Mapping[str, str]) -> tuple[str, str]:
        """Return id and secret for a server: of the environment, or else of a profile with the same address.

        Args:
            url: the address, without a `/` at the end.
            environ: the environment variables.
        """
        id, secret = environment_credentials(url, environ)
        if not (id and secret):
            for one in sorted(self.by_name.values(), key=lambda one: one.name != self.active):
                if one.url == url and one.has_credentials:
                    return one.client_id, one.client_secret
        return id, secret


def profiles_path() -> Path:
    """Return the path of the file, `~/.sailpoint/config.yaml`. Without a home folder, it is one that does not exist."""
    try:
        home = Path.home()
    except RuntimeError:
        home = Path("~")
    return home / ".sailpoint" / "config.yaml"


def read_profiles(path: Path | None = None) -> Profiles:
    """Read the profiles of a file; a missing file has none.

    Args:
        path: the file; None for `profiles_path()`.

    Raises:
        InvalidArguments: the file cannot be read, or is not YAML of this form.
    """
    # parsing takes longer to import than most scripts need; only users of profiles wait for it
    import yaml

    path = path or profiles_path()
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Profiles(path)
    except OSError as error:
        raise InvalidArguments(f"{path} cannot be read: {error.strerror}. {_REMEDY}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidArguments(f"{path} is not YAML in UTF-8: {' '.join(str(error).split())}. {_REMEDY}") from None
    if content is None:
        return Profiles(path)
    top = _object(content, path, "the file")
    environments = _object(top.get("environments") or {}, path, "environments")
    found = [_profile(name, one, path) for name, one in environments.items()]
    return Profiles(path, _text(top.get("activeenvironment") or "default").lower(), {one.name: one for one in found})


def is_address(url: str) -> bool:
    """Return whether a text is the address of a server, such as `https://reports.example.com`."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:  # the port is no number, or the host is no address
        return False


def environment_credentials(url: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return id and secret from the environment; empty if they belong to another server, which SAIL_BASE_URL names.

    Args:
        url: the address of the server, without a `/` at the end.
        environ: the environment variables.
    """
    owner = environ.get(URL_VARIABLE, "").rstrip("/")
    if owner and owner != url:
        return "", ""
    return environ.get(ID_VARIABLE, ""), environ.get(SECRET_VARIABLE, "")


_REMEDY = "Correct or remove the file."


def _profile(name: str, content: object, path: Path) -> Profile:
    values = _object(content or {}, path, f"environments.{name}")
    pat = _object(values.get("pat") or {}, path, f"environments.{name}.pat")
    return Profile(
        name,
        _text(values.get("baseurl")).rstrip("/"),
        _text(pat.get("clientid")),
        _text(pat.get("clientsecret")),
    )


def _object(content: object, path: Path, where: str) -> Mapping[str, Any]:
    """Return a YAML mapping with its keys in lower case, as the SailPoint command line compares them."""
    if not isinstance(content, dict):
        raise InvalidArguments(f"{path}: {where} must be a mapping of names to values. {_REMEDY}")
    return {str(name).lower(): value for name, value in cast("dict[object, Any]", content).items()}


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
