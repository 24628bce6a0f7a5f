"""Options that many commands share: which installation is meant, how results are printed, and how much is said.

`on_installation` adds the options `--server`, `--profile`, `--local` and `--quiet` to a command, and passes it a
`Connection`. `on_this_machine` does so for a command that works on the local installation only::

    @app.command()
    @on_installation
    def runs(connection: Connection, limit: Annotated[int, typer.Option()] = 20) -> None: ...

    # whohas runs --limit 5 --server https://reports.example.com
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from whohas.cli.target import LocalTarget, ServerTarget, choose_target
from whohas.cli.terminal import single_line
from whohas.errors import WhohasError, WrongUsage
from whohas_client.profiles import profiles_path, read_profiles

if TYPE_CHECKING:
    from whohas.cli.backend import Backend
    from whohas.services import Services
    from whohas.settings import Settings


class OutputFormat(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


OutputOption = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="table for people, json or csv for programs.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as -o json.", hidden=True)]


def output_format(output: OutputFormat, as_json: bool) -> OutputFormat:
    """Return the format that `-o` and the older `--json` ask for.

    Raises:
        WrongUsage: they contradict each other.
    """
    if as_json and output is OutputFormat.CSV:
        raise WrongUsage("--json and -o csv exclude each other. Give one of them.")
    return OutputFormat.JSON if as_json else output


def _complete_profiles(incomplete: str) -> list[str]:
    try:
        return [name for name in read_profiles(profiles_path()).by_name if name.startswith(incomplete)]
    except WhohasError:
        return []


INSTALLATION = "Which installation"
"""The part of a command's help that has the options of `on_installation`."""
_SERVER = typer.Option(
    "--server", metavar="URL", help="Work on the server at this address.", rich_help_panel=INSTALLATION
)
_PROFILE = typer.Option(
    "--profile",
    metavar="NAME",
    help="Work on the server of this profile in ~/.sailpoint/config.yaml.",
    autocompletion=_complete_profiles,
    rich_help_panel=INSTALLATION,
)
_LOCAL = typer.Option("--local", help="Work on the installation of this machine.", rich_help_panel=INSTALLATION)
_QUIET = typer.Option("--quiet", "-q", help="Do not say which installation is meant.", rich_help_panel=INSTALLATION)
_HIDDEN_SERVER = typer.Option("--server", hidden=True)
_HIDDEN_PROFILE = typer.Option("--profile", hidden=True)
_HIDDEN_LOCAL = typer.Option("--local", hidden=True)


class Connection:
    """The installation that a command works on, chosen and not opened yet.

    Opening it says on standard error which one it is, unless the command is quiet.

    Attributes:
        target: the chosen installation.
        quiet: whether nothing is said.
    """

    def __init__(self, target: ServerTarget | LocalTarget, quiet: bool, note: str = "") -> None:
        self.target = target
        self.quiet = quiet
        self._note = note
        self._is_said = False

    @contextmanager
    def open(self) -> Generator[Backend]:
        """Open the installation, a server or the local one, and close it at the end of the context.

        Raises:
            InvalidArguments: there are no credentials for the server.
        """
        if isinstance(self.target, ServerTarget):
            from whohas.cli.remote import open_remote

            self.target.check_credentials()
            hint = "; --local is this machine" if self.target.implied else ""
            self.say(f"server {self.target.url} ({self.target.because}{hint})")
            with open_remote(self.target, self.note) as backend:
                yield backend
        else:
            from whohas.cli.local import LocalBackend

            with self.open_local() as services:
                yield LocalBackend(services)

    @contextmanager
    def open_local(self) -> Generator[Services]:
        """Open the local installation, and close it at the end of the context."""
        from whohas.services import open_services

        with open_services(self.settings()) as services:
            yield services

    def settings(self) -> Settings:
        """Return the settings of the local installation."""
        from whohas.cli.installation import read_settings

        settings = read_settings()
        note = self._note or (self.target.note if isinstance(self.target, LocalTarget) else "")
        self.say(f"local installation {settings.home}{f' ({note})' if note else ''}")
        return settings

    def say(self, text: str) -> None:
        """Say on standard error which installation is meant, unless the command is quiet or it was said before."""
        if not self.quiet and not self._is_said:
            print(f"whohas: {single_line(text)}", file=sys.stderr)
        self._is_said = True

    def note(self, text: str) -> None:
        """Say something about the installation on standard error, unless the command is quiet."""
        if not self.quiet:
            print(f"whohas: {single_line(text)}", file=sys.stderr)


def on_installation(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose an installation to a command, and pass it the `Connection` as first argument."""
    return _with_options(function, _connect, (_SERVER, _PROFILE, _LOCAL))


def on_this_machine(function: Callable[..., None]) -> Callable[..., None]:
    """Pass a command the `Connection` to the local installation as first argument.

    If an option names a server, the command is refused; if a variable or a file does, the command says that it works on
    this machine only.
    """
    return _with_options(function, _stay_local, (_HIDDEN_SERVER, _HIDDEN_PROFILE, _HIDDEN_LOCAL))


def _with_options(
    function: Callable[..., None], connect: Callable[..., Connection], infos: tuple[Any, Any, Any]
) -> Callable[..., None]:
    """Return a command with the parameters of `function`, without its first, and the options."""
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    own = [one.replace(annotation=hints[one.name]) for one in own]
    has_quiet = any(one.name == "quiet" for one in own)
    server, profile, local = infos
    added = {
        "server": (Annotated[str | None, server], None),
        "profile": (Annotated[str | None, profile], None),
        "local": (Annotated[bool, local], False),
        **({} if has_quiet else {"quiet": (Annotated[bool, _QUIET], False)}),
    }

    @functools.wraps(function)
    def command(context: typer.Context, **given: Any) -> None:
        chosen = {name: given.pop(name) for name in added}
        chosen.setdefault("quiet", given.get("quiet", False))
        function(connect(context.command_path, **chosen), **given)

    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in added.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *options]
    # Typer reads the parameters of a command from its signature and its annotations
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _connect(path: str, server: str | None, profile: str | None, local: bool, quiet: bool) -> Connection:
    return Connection(choose_target(server, profile, local, os.environ, profiles_path()), quiet)


def _stay_local(path: str, server: str | None, profile: str | None, local: bool, quiet: bool) -> Connection:
    if server is not None or profile is not None:
        raise WrongUsage(f"`{path}` works on the installation of this machine only. Run it where the server runs.")
    try:
        target = choose_target(None, None, local, os.environ, profiles_path())
    except WhohasError:
        target = LocalTarget()  # the file with profiles cannot be read, and this command does not need it
    note = ""
    if isinstance(target, ServerTarget):
        note = f"{path} works on this machine only, not on {target.url} of {target.because}"
    return Connection(LocalTarget(), quiet, note)
