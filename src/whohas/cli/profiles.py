"""Profiles: the environments in `~/.sailpoint/config.yaml`, the file of the SailPoint CLI and SDKs.

Example::

    activeenvironment: acme
    environments:
      acme:
        baseurl: https://acme.api.identitynow.com
        pat:
          clientid: 0a1b…
          clientsecret: 2c3d…

The SailPoint CLI writes all names in lower case, and may keep id and secret in the system's keyring instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from whohas.errors import InvalidArguments


@dataclass(frozen=True, slots=True)
class Profile:
    """A server that the file describes.

    Attributes:
        name: its name, in lower case.
        url: the base URL of its API; empty if the file has none.
        client_id: the id of the API client; empty if the file has none.
        client_secret: its secret; empty if the file has none.
    """

    name: str
    url: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def has_credentials(self) -> bool:
        """Whether the file has both id and secret."""
        return bool(self.client_id and self.client_secret)


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


def profiles_path() -> Path:
    """Return the path of the file, `~/.sailpoint/config.yaml`."""
    return Path.home() / ".sailpoint" / "config.yaml"


def read_profiles(path: Path) -> Profiles:
    """Read the profiles of a file; a missing file has none.

    Raises:
        InvalidArguments: the file cannot be read, or is not YAML of this form.
    """
    import yaml

    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Profiles(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise InvalidArguments(f"{path} cannot be read: {reason}. {_REMEDY}") from None
    if content is None:
        return Profiles(path)
    top = _object(content, path, "the file")
    environments = _object(top.get("environments") or {}, path, "environments")
    found = [_profile(name, one, path) for name, one in environments.items()]
    return Profiles(path, _text(top.get("activeenvironment") or "default").lower(), {one.name: one for one in found})


_REMEDY = "Correct the file, or name the installation with --server or --local."


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
    """Return a YAML mapping with its keys in lower case, as the SailPoint CLI compares them."""
    if not isinstance(content, dict):
        raise InvalidArguments(f"{path}: {where} must be a mapping of names to values. {_REMEDY}")
    return {str(name).lower(): value for name, value in cast("dict[object, Any]", content).items()}


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
