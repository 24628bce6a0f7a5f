"""`whohas client`: the programs that may call the server."""

from __future__ import annotations

from typing import Annotated

import typer

from whohas.cli.installation import installation

client_app = typer.Typer(no_args_is_help=True, help="Create, list and revoke the clients that may call the server.")


@client_app.command()
def create(
    name: Annotated[str, typer.Argument(help="What runs name as their launcher.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do, such as sp:report:read; may be repeated. Default: all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a client and print its id and secret, this once."""
    with installation() as services:
        made = services.clients.create(name, scope) if scope else services.clients.create(name)
    if as_json:
        import json

        client = made.client
        facts = {"id": client.id, "secret": made.secret, "name": client.name, "scopes": client.scopes}
        print(json.dumps(facts, ensure_ascii=False))
        return
    print(f"client id      {made.client.id}")
    print(f"client secret  {made.secret}")
    print("The secret is kept nowhere in clear and is not shown again.")


@client_app.command("list")
def list_clients() -> None:
    """Print all clients, the newest first."""
    from rich.console import Console
    from rich.table import Table

    with installation() as services:
        clients = services.clients.list()
    if not clients:
        print("No client yet. Make one: whohas client create NAME")
        return
    table = Table("Client", "Name", "Scopes", "Created (UTC)", "Revoked (UTC)", box=None, pad_edge=False)
    for client in clients:
        revoked = f"{client.revoked:%Y-%m-%d %H:%M:%S}" if client.revoked else ""
        table.add_row(client.id, client.name, " ".join(client.scopes), f"{client.created:%Y-%m-%d %H:%M:%S}", revoked)
    Console(width=None if Console().is_terminal else 240, markup=False).print(table)


@client_app.command()
def revoke(client_id: Annotated[str, typer.Argument(metavar="CLIENT", help="Its id.")]) -> None:
    """End a client's rights at once, those of its tokens too."""
    with installation() as services:
        client = services.clients.revoke(client_id)
    print(f"{client.id} ({client.name}) may not call any more.")
