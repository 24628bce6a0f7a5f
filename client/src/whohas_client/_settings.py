"""The server and the credentials of a client: from arguments, the environment, or a profile of `config.yaml`.

The variables and the file are those of the official SDKs and of the SailPoint command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from whohas_client.errors import InvalidArguments
from whohas_client.profiles import URL_VARIABLE, VARIABLES, is_address, profiles_path, read_profiles

_KEYS = ("baseurl", "pat.clientid", "pat.clientsecret")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The address of a server, and the client that calls it.

    Attributes:
        base_url: the URL of the server, such as `https://acme.api.identitynow.com`.
        client_id: the id of the API client.
        client_secret: its secret; not shown in the `repr`.
    """

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not is_address(self.base_url):
            raise InvalidArguments(f"base_url is {self.base_url!r}; it must be like https://reports.example.com.")


def find_credentials(
    base_url: str | None, client_id: str | None, client_secret: str | None, profile: str | None
) -> Credentials:
    """Return the credentials from the first of these: the arguments, the profile, the environment, the active profile.

    Args:
        base_url: together with `client_id` and `client_secret`, or None.
        profile: the name of a profile of `config.yaml`, or None.

    Raises:
        InvalidArguments: only some of the arguments are given, a variable or a key of the profile is missing, or there
            are no credentials in any of these places.
    """
    given = {"base_url": base_url, "client_id": client_id, "client_secret": client_secret}
    missing = [name for name, value in given.items() if not value]
    if base_url and client_id and client_secret:
        if profile is not None:
            raise InvalidArguments("Pass either a profile or base_url, client_id and client_secret, not both.")
        return Credentials(base_url, client_id, client_secret)
    if len(missing) < len(given):
        raise InvalidArguments(
            f"{' and '.join(missing)} must be passed too: credentials of the environment are not sent to a server "
            "that is named elsewhere. Pass base_url, client_id and client_secret, or none of them."
        )
    if profile is not None:
        return read_profile(profile)
    if url := os.environ.get(URL_VARIABLE, "").rstrip("/"):
        id, secret = read_profiles().server_credentials(url, os.environ)
        return Credentials(url, id, secret) if id and secret else read_environment(None)
    path = profiles_path()
    if path.exists():
        return read_profile(None)
    raise InvalidArguments(
        f"No server is known. Set {', '.join(VARIABLES)} in the environment, write a profile to {path}, or pass "
        "base_url, client_id and client_secret. `whohas serve --dev` writes a file dev.env to source."
    )


def read_environment(environ: Mapping[str, str] | None) -> Credentials:
    """Return the credentials in the environment variables.

    Args:
        environ: the variables; None for the environment of the process.

    Raises:
        InvalidArguments: a variable is missing; the message names it.
    """
    environ = os.environ if environ is None else environ
    missing = [name for name in VARIABLES if not environ.get(name)]
    if missing:
        raise InvalidArguments(
            f"{', '.join(missing)} must be set in the environment. "
            "`whohas serve --dev` writes a file dev.env to source."
        )
    return Credentials(*(environ[name] for name in VARIABLES))


def read_profile(name: str | None, environ: Mapping[str, str] | None = None) -> Credentials:
    """Return the credentials of a profile; see `whohas_client.profiles`.

    Args:
        name: the name of the profile; None for the active one (`activeenvironment`).
        environ: the variables with credentials that the file lacks; None for the environment of the process.

    Raises:
        InvalidArguments: the file cannot be read, or has no such profile, or the profile has no address or no
            credentials.
    """
    profiles = read_profiles()
    profile = profiles.find(name or profiles.active or "default")
    id, secret = profile.credentials(os.environ if environ is None else environ)
    missing = [key for key, value in zip(_KEYS, (profile.url, id, secret), strict=True) if not value]
    if missing:
        raise InvalidArguments(
            f"The profile {profile.name!r} of {profiles.path} lacks {', '.join(missing)}. Write it there (newer "
            "versions of the SailPoint command line keep secrets in the keyring of the system), or set "
            f"{', '.join(VARIABLES)}."
        )
    return Credentials(profile.url, id, secret)
