"""`whohas user`: create, change and list users, who may sign in and own personal API clients."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.commands import Commands
from whohas.cli.completions import complete_sources
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_this_machine
from whohas.cli.printing import Column, print_list
from whohas.cli.terminal import without_control_characters

if TYPE_CHECKING:
    from whohas.auth import User
    from whohas.services import Services


def complete_levels(incomplete: str) -> list[str]:
    """Return the user levels that begin so, for shell completion."""
    from whohas.auth.permissions import ALL_LEVELS

    return sorted(level for level in ALL_LEVELS if level.startswith(incomplete.upper()))


def complete_scopes(incomplete: str) -> list[str]:
    """Return the scopes that begin so, for shell completion."""
    from whohas.auth.permissions import ROUTES

    scopes = {scope for needs in ROUTES.values() if needs is not None for scope in needs.scopes}
    return sorted(scope for scope in {*scopes, "sp:scopes:all", "sp:scopes:default"} if scope.startswith(incomplete))


user_app = Commands(no_args_is_help=True, help="Create, list and change the users who sign in.")

Name = Annotated[str, typer.Argument(help="The name to sign in with, and the launcher of their runs.")]
Levels = Annotated[
    list[str] | None,
    typer.Option(
        "--level", help="A user level, such as REPORT_ADMIN; may be repeated.", autocompletion=complete_levels
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        help="The id or name of a source that a SOURCE_ADMIN is restricted to; may be repeated.",
        autocompletion=complete_sources,
    ),
]
Password = Annotated[
    bool,
    typer.Option(
        "--password/--no-password", help="Ask for a password, on the terminal or as a line of standard input."
    ),
]


@user_app.command()
@on_this_machine
def create(
    connection: Connection, name: Name, level: Levels = None, source: Sources = None, password: Password = False
) -> None:
    """Create a user.

    Without a level the user may do nothing yet. Without a password the user cannot sign in, but may have personal
    clients.

    Examples:
        whohas user create ann --level REPORT_ADMIN --password
        whohas user create ben --level SOURCE_ADMIN --source Payroll --source "Active Directory"
    """
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        person = services.access.users.create(
            name,
            level or [],
            source_ids(services, source or []),
            _read_password() if password else None,
            operator_actor(),
        )
    if person.levels:
        print(without_control_characters(f"{person.name} is a user: {' '.join(person.levels)}."))
        return
    print(
        without_control_characters(f"{person.name} is a user without a level, who may do nothing yet. Give them one: ")
        + without_control_characters(f"whohas user change {shlex.quote(person.name)} --level REPORT_ADMIN")
    )


@user_app.command()
@on_this_machine
def change(
    connection: Connection,
    name: Name,
    level: Levels = None,
    source: Sources = None,
    password: Password = False,
    disable: Annotated[
        bool, typer.Option("--disable", help="Revoke all their rights at once, including their clients.")
    ] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Enable a disabled user again.")] = False,
) -> None:
    """Change what the options name of a user, and nothing else; it applies at once, also to existing tokens.

    Examples:
        whohas user change ann --level REPORT_ADMIN --level CERT_ADMIN
        whohas user change ben --disable
    """
    from whohas.audit.events import operator_actor
    from whohas.errors import InvalidArguments

    if disable and enable:
        raise InvalidArguments("Give --disable or --enable, not both.")
    with connection.open_local() as services:
        person = services.access.users.change(
            name,
            levels=level,
            sources=source_ids(services, source) if source else None,
            password=_read_password() if password else None,
            disabled=True if disable else False if enable else None,
            by=operator_actor(),
        )
    print(
        without_control_characters(
            f"{person.name}: {' '.join(person.levels) or 'no level'}{', disabled' if person.disabled else ''}."
        )
    )


@user_app.command("list")
@on_this_machine
def list_users(connection: Connection, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print all users by name.

    Examples:
        whohas user list
        whohas user list -o json
    """
    with connection.open_local() as services:
        columns: tuple[Column[User], ...] = (
            Column("name", "Name", lambda person: person.name, is_key=True),
            Column(
                "levels", "Levels", lambda person: person.levels,
                lambda person: " ".join(person.levels) or "none", is_key=True,
            ),
            Column("signsIn", "Signs in", lambda person: person.has_password),
            Column(
                "sources", "Sources", lambda person: person.sources,
                lambda person: ", ".join(source_names(services, person.sources)),
            ),
            Column("disabled", "Disabled", lambda person: person.disabled),
        )  # fmt: skip
        empty = "No user yet. Make one: whohas user create NAME --level REPORT_ADMIN --password"
        print_list(output, services.access.users.list(), columns, empty=empty, zone=services.settings.time_zone)


def source_ids(services: Services, given: Sequence[str]) -> list[str]:
    """Return the ids of sources that are given by id or name.

    Raises:
        InvalidArguments: a source does not exist, or several have that name.
    """
    if not given:
        return []
    from whohas.reports.sources import find_source_by_name
    from whohas.warehouse.catalog import read_catalog

    known = read_catalog(services.warehouse.snapshot())
    ids = {source.id for source in known.sources}
    return [source if source in ids else find_source_by_name(source, known).id for source in given]


def source_names(services: Services, ids: Iterable[str]) -> list[str]:
    """Return the names of sources by their ids; the id of a source that is not there any more."""
    ids = list(ids)
    if not ids:
        return []
    from whohas.warehouse.catalog import read_catalog

    names = {source.id: source.name for source in read_catalog(services.warehouse.snapshot()).sources}
    return [names.get(id, id) for id in ids]


def _read_password() -> str:
    """Read a password from the terminal without echo, or else from the first line of standard input.

    It is never an argument: those are visible in the process list and in the shell's history.
    """
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
