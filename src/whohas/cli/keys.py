"""`whohas keys`: list and rotate the keys that sign access tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from whohas.cli.installation import open_installation

keys_app = typer.Typer(no_args_is_help=True, help="List and rotate the keys that sign access tokens.")


@keys_app.command("list")
def list_keys() -> None:
    """Print the keys that are accepted for token verification; the first, newest one signs new tokens."""
    with open_installation() as services:
        for key in services.access.keys.all():
            print(f"{key.id}  {key.created:%Y-%m-%d %H:%M:%S} UTC")


@keys_app.command()
def rotate(
    end_tokens: Annotated[
        bool, typer.Option("--end-tokens", help="Revoke all existing tokens, as after a key was stolen.")
    ] = False,
) -> None:
    """Create a new signing key; running servers use it within seconds."""
    with open_installation() as services:
        key = services.access.keys.rotate(end_tokens=end_tokens)
    print(f"{key.id} signs from now on.")
