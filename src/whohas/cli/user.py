"""`whohas user`: create, change and list users, who may sign in and own personal API clients."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.installation import open_installation
from whohas.cli.terminal import print_table, without_control_characters

if TYPE_CHECKING:
    from whohas.services import Services

user_app = typer.Typer(no_args_is_help=True, help="Create, list and change the users who sign in.")

Name = Annotated[str, typer.Argument(help="The name to sign in with, and the launcher of their runs.")]
Levels = Annotated[
    list[str] | None, typer.Option("--level", help="A user level, such as REPORT_ADMIN; may be repeated.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option("--source", help="The id or name of a source that a SOURCE_ADMIN is restricted to; may be repeated."),
]
Password = Annotated[
    bool,
    typer.Option(
        "--password/--no-password", help="Ask for a password, on the terminal or as a line of standard input."
    ),
]


@user_app.command()
def create(name: Name, level: Levels = None, source: Sources = None, password: Password = False) -> None:
    """Create a user.

    Without a level the user may do nothing yet. Without a password the user cannot sign in, but may have personal
    clients.
    """
    from whohas.audit.events import operator_actor

    with open_installation() as services:
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
def change(
    name: Name,
    level: Levels = None,
    source: Sources = None,
    password: Password = False,
    disable: Annotated[
        bool, typer.Option("--disable", help="Revoke all their rights at once, including their clients.")
    ] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Enable a disabled user again.")] = False,
) -> None:
    """Change what the options name of a user, and nothing else; it applies at once, also to existing tokens."""
    from whohas.audit.events import operator_actor
    from whohas.errors import InvalidArguments

    if disable and enable:
        raise InvalidArguments("Give --disable or --enable, not both.")
    with open_installation() as services:
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
def list_users() -> None:
    """Print all users by name."""
    with open_installation() as services:
        people = services.access.users.list()
    if not people:
        print("No user yet. Make one: whohas user create NAME --level REPORT_ADMIN --password")
        return
    rows: list[tuple[str, ...]] = []
    for person in people:
        disabled = f"{person.disabled:%Y-%m-%d %H:%M:%S}" if person.disabled else ""
        signs_in = "yes" if person.has_password else "no"
        rows.append((person.name, " ".join(person.levels) or "none", " ".join(person.sources), signs_in, disabled))
    print_table(("Name", "Levels", "Sources", "Signs in", "Disabled (UTC)"), rows)


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


def _read_password() -> str:
    """Read a password from the terminal without echo, or else from the first line of standard input.

    It is never an argument: those are visible in the process list and in the shell's history.
    """
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
