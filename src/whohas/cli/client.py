"""`whohas client`: create, list, rotate and revoke API clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.commands import Commands
from whohas.cli.options import Connection, JsonOption, OutputFormat, OutputOption, on_this_machine, output_format
from whohas.cli.printing import Column, print_list, print_object
from whohas.cli.user import complete_levels, complete_scopes, source_ids, source_names

if TYPE_CHECKING:
    from whohas.auth import ApiClient, NewClient

client_app = Commands(
    no_args_is_help=True, help="Create, list, rotate and revoke the clients that may call the server."
)

ClientArgument = Annotated[str, typer.Argument(metavar="CLIENT", help="Its id.")]


@client_app.command()
@on_this_machine
def create(
    connection: Connection,
    name: Annotated[str, typer.Argument(help="The client's name; runs of an application have it as their launcher.")],
    user: Annotated[
        str | None, typer.Option(help="Make it a personal client of this user, with the user's levels and sources.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="A scope, such as sp:report:manage; may be repeated. Default: sp:report:read.",
            autocompletion=complete_scopes,
        ),
    ] = None,
    level: Annotated[
        list[str] | None,
        typer.Option(
            help="A user level of an application, such as REPORT_ADMIN; may be repeated. Default: none.",
            autocompletion=complete_levels,
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="The id or name of a source that a SOURCE_ADMIN is restricted to; may be repeated."),
    ] = None,
    redirect: Annotated[
        list[str] | None,
        typer.Option(help="An address that users return to after they signed in (OAuth redirect); may be repeated."),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Create a client, and print its id and secret; the secret is never shown again.

    The defaults are the least rights: the scope allows reading only, and an application without a level may do nothing.

    Examples:
        whohas client create nightly --level REPORT_ADMIN --scope sp:report:manage
        whohas client create laptop --user ann --scope sp:scopes:all -o json
        whohas client create payroll --level SOURCE_ADMIN --source Payroll
    """
    output = output_format(output, as_json)
    from whohas.audit.events import operator_actor
    from whohas.auth.callers import SCOPE_READ
    from whohas.errors import InvalidArguments

    if user and (level or source or redirect):
        raise InvalidArguments("A personal client has the levels and sources of its user, and nobody signs in at it.")
    with connection.open_local() as services:
        clients, people = services.access.clients, services.access.users
        made = clients.create(
            name,
            scope or [SCOPE_READ],
            person=people.get(user) if user else None,
            levels=level or [],
            sources=source_ids(services, source or []),
            redirects=redirect or [],
            by=operator_actor(),
        )
    _show(made, output)


@client_app.command("list")
@on_this_machine
def list_clients(connection: Connection, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print all clients, the newest first.

    Examples:
        whohas client list
        whohas client list -o csv
    """
    with connection.open_local() as services:
        columns: tuple[Column[ApiClient], ...] = (
            Column("id", "Client", lambda client: client.id, is_key=True, is_whole=True),
            Column("name", "Name", lambda client: client.name, is_key=True),
            Column("user", "User", lambda client: client.user.name if client.user else None, is_exact=True),
            Column("levels", "Levels", _levels_of, is_exact=True),
            Column("actsAs", "Acts as", _acts_as),
            Column("scopes", "Scopes", lambda client: client.scopes, lambda client: " ".join(client.scopes)),
            Column("revoked", "Revoked", lambda client: client.revoked),
            Column("created", "Created", lambda client: client.created),
            Column(
                "sources", "Sources", lambda client: client.sources,
                lambda client: ", ".join(source_names(services, client.sources)),
            ),
        )  # fmt: skip
        clients = services.access.clients.list()
        empty = "No client yet. Make one: whohas client create NAME"
        print_list(output, clients, columns, empty=empty, zone=services.settings.time_zone)


@client_app.command()
@on_this_machine
def rotate(
    connection: Connection,
    client_id: ClientArgument,
    end_tokens: Annotated[
        bool, typer.Option("--end-tokens", help="Also revoke its tokens, as after its secret was stolen.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Give a client a new secret, and print it; the old secret stops working at once.

    Tokens that it has stay valid unless `--end-tokens` is given.

    Examples:
        whohas client rotate 0d3f6a3c7b8e4f5a9c1d2e3f4a5b6c7d
        whohas client rotate 0d3f6a3c7b8e4f5a9c1d2e3f4a5b6c7d --end-tokens
    """
    output = output_format(output, as_json)
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        made = services.access.clients.rotate_secret(client_id, end_tokens=end_tokens, by=operator_actor())
    _show(made, output)


@client_app.command()
@on_this_machine
def revoke(connection: Connection, client_id: ClientArgument) -> None:
    """Revoke a client and its tokens at once.

    Examples:
        whohas client revoke 0d3f6a3c7b8e4f5a9c1d2e3f4a5b6c7d
    """
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        client = services.access.clients.revoke(client_id, operator_actor())
    print(f"{client.id} ({client.name}) is revoked.")


def _show(made: NewClient, output: OutputFormat) -> None:
    client = made.client
    if output is OutputFormat.TABLE:
        columns: tuple[Column[NewClient], ...] = (
            Column("id", "client id", lambda _: client.id),
            Column("secret", "client secret", lambda made: made.secret),
            Column("scopes", "scopes", lambda _: f"{' '.join(client.scopes)}{_least_scope(client)}"),
            Column("levels", "levels", lambda _: _levels(client)),
        )
        print_object(output, made, columns)
        print("The secret is kept nowhere in clear and is not shown again.")
        return
    exact: tuple[Column[NewClient], ...] = (
        Column("id", "", lambda _: client.id),
        Column("secret", "", lambda made: made.secret),
        Column("name", "", lambda _: client.name),
        Column("scopes", "", lambda _: client.scopes),
        Column("levels", "", lambda _: _levels_of(client)),
    )
    print_object(output, made, exact)


def _levels_of(client: ApiClient) -> tuple[str, ...]:
    return tuple(client.user.levels if client.user else client.levels)


def _acts_as(client: ApiClient) -> str:
    return f"user {client.user.name}" if client.user else " ".join(client.levels) or "no level"


def _least_scope(client: ApiClient) -> str:
    from whohas.auth.callers import SCOPE_READ

    return ", the least: it may read results and download files" if client.scopes == (SCOPE_READ,) else ""


def _levels(client: ApiClient) -> str:
    if client.user is not None:
        return f"those of the user {client.user.name}: {' '.join(client.user.levels) or 'none, which may do nothing'}"
    if client.levels:
        return " ".join(client.levels)
    users = " by itself; users who sign in at it have their own" if client.redirect_uris else ""
    return f"none, the least: it may do nothing yet{users}. `--level` gives one, such as REPORT_ADMIN"
