"""`whohas user`: the people who may sign in or have clients that act as they do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.installation import installation
from whohas.cli.terminal import plain, print_table

if TYPE_CHECKING:
    from whohas.services import Services

user_app = typer.Typer(no_args_is_help=True, help="Create, list and change the users who sign in.")

Name = Annotated[str, typer.Argument(help="The name to sign in with, and the launcher of their runs.")]
Levels = Annotated[list[str] | None, typer.Option("--level", help="Such as REPORT_ADMIN; may be repeated.")]
Sources = Annotated[
    list[str] | None,
    typer.Option("--source", help="The id or name of a source that a SOURCE_ADMIN is held to; may be repeated."),
]
Password = Annotated[
    bool,
    typer.Option(
        "--password/--no-password", help="Ask for a password, on the terminal or as a line of standard input."
    ),
]


@user_app.command()
def create(name: Name, level: Levels = None, source: Sources = None, password: Password = False) -> None:
    """Make a user, without a level unless one is given: they may then do nothing yet. Without a password they cannot
    sign in, but may have personal clients."""
    from whohas.audit.events import operator

    with installation() as services:
        person = services.access.people.create(
            name,
            level or [],
            source_ids(services, source or []),
            _asked_password() if password else None,
            operator(),
        )
    if person.levels:
        print(plain(f"{person.name} is a user: {' '.join(person.levels)}."))
        return
    print(
        plain(f"{person.name} is a user without a level, who may do nothing yet. Give them one: ")
        + plain(f"whohas user change {shlex.quote(person.name)} --level REPORT_ADMIN")
    )


@user_app.command()
def change(
    name: Name,
    level: Levels = None,
    source: Sources = None,
    password: Password = False,
    disable: Annotated[
        bool, typer.Option("--disable", help="End all their rights at once, their clients' too.")
    ] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Give them back.")] = False,
) -> None:
    """Change what is given; it holds at once, for tokens that are out too."""
    from whohas.audit.events import operator
    from whohas.errors import InvalidArguments

    if disable and enable:
        raise InvalidArguments("Say --disable or --enable, not both.")
    with installation() as services:
        person = services.access.people.change(
            name,
            levels=level,
            sources=source_ids(services, source) if source else None,
            password=_asked_password() if password else None,
            disabled=True if disable else False if enable else None,
            by=operator(),
        )
    print(plain(f"{person.name}: {' '.join(person.levels) or 'no level'}{', disabled' if person.disabled else ''}."))


@user_app.command("list")
def list_users() -> None:
    """Print all users by name."""
    with installation() as services:
        people = services.access.people.list()
    if not people:
        print("No user yet. Make one: whohas user create NAME --level REPORT_ADMIN --password")
        return
    rows: list[tuple[str, ...]] = []
    for person in people:
        disabled = f"{person.disabled:%Y-%m-%d %H:%M:%S}" if person.disabled else ""
        signs_in = "yes" if person.signs_in else "no"
        rows.append((person.name, " ".join(person.levels) or "none", " ".join(person.sources), signs_in, disabled))
    print_table(("Name", "Levels", "Sources", "Signs in", "Disabled (UTC)"), rows)


def source_ids(services: Services, given: Sequence[str]) -> list[str]:
    """The ids of sources that were given by id or name.

    Raises:
        InvalidArguments: there is no such source, or several of that name.
    """
    if not given:
        return []
    from whohas.reports.sources import named
    from whohas.warehouse.catalogue import catalogue

    known = catalogue(services.warehouse.snapshot())
    ids = {source.id for source in known.sources}
    return [one if one in ids else named(one, known).id for one in given]


def _asked_password() -> str:
    """A password that nobody sees, from the terminal or else the first line of standard input: never an argument,
    for those are in the list of processes and in the shell's history."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
