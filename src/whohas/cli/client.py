"""`whohas client`: create, list, rotate and revoke API clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.installation import open_installation
from whohas.cli.terminal import print_table, without_control_characters

if TYPE_CHECKING:
    from whohas.auth import ApiClient, NewClient

client_app = typer.Typer(
    no_args_is_help=True, help="Create, list, rotate and revoke the clients that may call the server."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@client_app.command()
def create(
    name: Annotated[str, typer.Argument(help="The client's name; runs of an application have it as their launcher.")],
    user: Annotated[
        str | None, typer.Option(help="Make it a personal client of this user, with the user's levels and sources.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A scope, such as sp:report:manage; may be repeated. Default: sp:report:read."),
    ] = None,
    level: Annotated[
        list[str] | None,
        typer.Option(help="A user level of an application, such as REPORT_ADMIN; may be repeated. Default: none."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="The id or name of a source that a SOURCE_ADMIN is restricted to; may be repeated."),
    ] = None,
    redirect: Annotated[
        list[str] | None,
        typer.Option(help="An address that users return to after they signed in (OAuth redirect); may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a client, and print its id and secret; the secret is never shown again.

    The defaults are the least rights: the scope allows reading only, and an application without a level may do nothing.
    """
    from whohas.audit.events import operator_actor
    from whohas.auth.callers import SCOPE_READ
    from whohas.errors import InvalidArguments

    if user and (level or source or redirect):
        raise InvalidArguments("A personal client has the levels and sources of its user, and nobody signs in at it.")
    with open_installation() as services:
        from whohas.cli.user import source_ids

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
    _show(made, as_json)


@client_app.command("list")
def list_clients() -> None:
    """Print all clients, the newest first."""
    with open_installation() as services:
        clients = services.access.clients.list()
    if not clients:
        print("No client yet. Make one: whohas client create NAME")
        return
    heads = ("Client", "Name", "Acts as", "Scopes", "Created (UTC)", "Revoked (UTC)")
    rows: list[tuple[str, ...]] = []
    for client in clients:
        revoked = f"{client.revoked:%Y-%m-%d %H:%M:%S}" if client.revoked else ""
        acts_as = f"user {client.user.name}" if client.user else " ".join(client.levels) or "no level"
        created = f"{client.created:%Y-%m-%d %H:%M:%S}"
        rows.append((client.id, client.name, acts_as, " ".join(client.scopes), created, revoked))
    print_table(heads, rows, whole=1)


@client_app.command()
def rotate(
    client_id: Annotated[str, typer.Argument(metavar="CLIENT", help="Its id.")],
    end_tokens: Annotated[
        bool, typer.Option("--end-tokens", help="Also revoke its tokens, as after its secret was stolen.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give a client a new secret, and print it; the old secret stops working at once.

    Tokens that it has stay valid unless `--end-tokens` is given.
    """
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        made = services.access.clients.rotate_secret(client_id, end_tokens=end_tokens, by=operator_actor())
    _show(made, as_json)


@client_app.command()
def revoke(client_id: Annotated[str, typer.Argument(metavar="CLIENT", help="Its id.")]) -> None:
    """Revoke a client and its tokens at once."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        client = services.access.clients.revoke(client_id, operator_actor())
    print(f"{client.id} ({client.name}) is revoked.")


def _show(made: NewClient, as_json: bool) -> None:
    client = made.client
    if as_json:
        import json

        levels = client.user.levels if client.user else client.levels
        facts = {
            "id": client.id,
            "secret": made.secret,
            "name": client.name,
            "scopes": client.scopes,
            "levels": levels,
        }
        print(json.dumps(facts, ensure_ascii=False))
        return
    print(f"client id      {client.id}")
    print(f"client secret  {made.secret}")
    print(f"scopes         {' '.join(client.scopes)}{_least_scope(client)}")
    print(f"levels         {without_control_characters(_levels(client))}")
    print("The secret is kept nowhere in clear and is not shown again.")


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
