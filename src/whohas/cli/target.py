"""The rule for which installation a command works on: a server, or the local installation.

The first of these that applies: `--local`, `--server`, `--profile`; `SAIL_BASE_URL`; `WHOHAS_HOME`; the active profile
of `~/.sailpoint/config.yaml`, if there are credentials for it; the local installation. `docs/how-to/choose.md` explains
it to users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whohas.errors import InvalidArguments, WrongUsage
from whohas_client.profiles import (
    ID_VARIABLE,
    SECRET_VARIABLE,
    URL_VARIABLE,
    Profile,
    Profiles,
    environment_credentials,
    is_address,
    read_profiles,
)

HOME = "WHOHAS_HOME"


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """A server that a command works on.

    Attributes:
        url: the base URL of its API, without a `/` at the end.
        client_id: the id of the API client; empty if none is known.
        client_secret: its secret; empty if none is known.
        because: what named the server, for people: `--server`, `SAIL_BASE_URL` or a profile.
        implied: whether only a file named it, neither an option nor a variable.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    because: str
    implied: bool = False

    def check_credentials(self) -> None:
        """Check that there are credentials.

        Raises:
            InvalidArguments: id or secret is missing; the message says where they can be set.
        """
        if self.client_id and self.client_secret:
            return
        raise InvalidArguments(
            f"There are no credentials for the server {self.url} ({self.because}). Set {ID_VARIABLE} and "
            f"{SECRET_VARIABLE} in the environment, or clientid and clientsecret of its profile in "
            "~/.sailpoint/config.yaml. On the server, "
            "`whohas client create NAME --level REPORT_ADMIN --scope sp:report:manage` makes them."
        )


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """The local installation.

    Attributes:
        note: why it is not the server that a user may have expected, for people; empty otherwise.
    """

    note: str = ""


def choose_target(
    server: str | None,
    profile: str | None,
    local: bool,
    environ: Mapping[str, str],
    config: Path,
) -> ServerTarget | LocalTarget:
    """Return the installation that a command works on.

    Args:
        server: the value of `--server`.
        profile: the value of `--profile`.
        local: whether `--local` was given.
        environ: the environment variables.
        config: the file with profiles; it is read only if the choice depends on it.

    Raises:
        WrongUsage: more than one of the options was given, or the address is not a URL.
        InvalidArguments: the file cannot be read, or has no such profile.
    """
    if sum((server is not None, profile is not None, local)) > 1:
        raise WrongUsage("--server, --profile and --local exclude each other. Give one of them.")
    if local:
        return LocalTarget()
    if server is not None:
        return _server(server, "--server", environ, config)
    if profile is not None:
        return _named_profile(profile, environ, _profiles(config))
    if environ.get(URL_VARIABLE):
        return _server(environ[URL_VARIABLE], URL_VARIABLE, environ, config)
    if environ.get(HOME):
        return LocalTarget()
    return _active_profile(environ, _profiles(config))


def _profiles(config: Path) -> Profiles:
    """Read the file with profiles; errors say how to do without it."""
    try:
        return read_profiles(config)
    except InvalidArguments as error:
        raise InvalidArguments(f"{error.message} Or name the installation with --server or --local.") from None


def _server(url: str, because: str, environ: Mapping[str, str], config: Path) -> ServerTarget:
    if not is_address(url):
        raise WrongUsage(
            f"{because} is {url!r}, which is no address of a server. It is like https://reports.example.com."
        )
    url = url.rstrip("/")
    id, secret = environment_credentials(url, environ)
    if not (id and secret):
        id, secret = _profiles(config).server_credentials(url, environ)
    return ServerTarget(url, id, secret, because)


def _named_profile(name: str, environ: Mapping[str, str], profiles: Profiles) -> ServerTarget:
    found = profiles.find(name)
    if not found.url:
        raise InvalidArguments(f"The profile {found.name} in {profiles.path} has no baseurl. Add it, or give --server.")
    return _of_profile(found, environ, implied=False)


def _active_profile(environ: Mapping[str, str], profiles: Profiles) -> ServerTarget | LocalTarget:
    found = profiles.by_name.get(profiles.active)
    if found is None or not found.url:
        return LocalTarget()
    target = _of_profile(found, environ, implied=True)
    if not (target.client_id and target.client_secret):
        return LocalTarget(f"the profile {found.name} of ~/.sailpoint/config.yaml has no credentials")
    return target


def _of_profile(profile: Profile, environ: Mapping[str, str], *, implied: bool) -> ServerTarget:
    id, secret = profile.credentials(environ)
    return ServerTarget(profile.url, id, secret, f"profile {profile.name}", implied)
