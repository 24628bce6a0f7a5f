"""`whohas keys`: list and rotate the keys that sign access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.commands import Commands
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_this_machine
from whohas.cli.printing import Column, print_list

if TYPE_CHECKING:
    from whohas.auth.keys import SigningKey

keys_app = Commands(no_args_is_help=True, help="List and rotate the keys that sign access tokens.")


@keys_app.command("list")
@on_this_machine
def list_keys(connection: Connection, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print the keys that are accepted for token verification; the first, newest one signs new tokens.

    Examples:
        whohas keys list
    """
    with connection.open_local() as services:
        keys = services.access.keys.all()
        columns: tuple[Column[SigningKey], ...] = (
            Column("id", "Key", lambda key: key.id, is_key=True),
            Column("created", "Created", lambda key: key.created),
            Column("signs", "Signs new tokens", lambda key: key.id == keys[0].id),
        )
        print_list(output, keys, columns, empty="No key yet.", zone=services.settings.time_zone)


@keys_app.command()
@on_this_machine
def rotate(
    connection: Connection,
    end_tokens: Annotated[
        bool, typer.Option("--end-tokens", help="Revoke all existing tokens, as after a key was stolen.")
    ] = False,
) -> None:
    """Create a new signing key; running servers use it within seconds.

    Examples:
        whohas keys rotate
        whohas keys rotate --end-tokens
    """
    with connection.open_local() as services:
        key = services.access.keys.rotate(end_tokens=end_tokens)
    print(f"{key.id} signs from now on.")
