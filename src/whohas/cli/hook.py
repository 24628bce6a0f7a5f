"""`whohas hook`: addresses that are told when a run ends."""

from __future__ import annotations

from typing import Annotated

import typer

from whohas.cli.arguments import report_named
from whohas.cli.installation import installation
from whohas.cli.terminal import plain, print_table

hook_app = typer.Typer(no_args_is_help=True, help="Tell an address when a run ends, by a signed message.")


@hook_app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages are posted to.")],
    report: Annotated[str | None, typer.Option(help="Only runs of this report, such as ACCOUNTS.")] = None,
) -> None:
    """Make a hook and print the secret that its messages are signed with, this once."""
    from whohas.audit.events import operator

    with installation() as services:
        made, secret = services.hooks.add(url, None if report is None else report_named(report), operator())
    print(f"hook    {made.id}")
    print(f"secret  {secret}")
    print("Messages are signed by it as Standard Webhooks says. It is not shown again.")


@hook_app.command("list")
def list_hooks() -> None:
    """Print all hooks, and how their messages stand."""
    with installation() as services:
        hooks = services.hooks.list()
    if not hooks:
        print("No hook yet. Make one: whohas hook add URL")
        return
    rows = [
        (
            one.id,
            one.url,
            one.report_type or "all",
            f"{sent.delivered:,}",
            f"{sent.waiting:,}",
            f"{sent.dead:,}",
            one.disabled or sent.answer,
        )
        for one, sent in hooks
    ]
    print_table(("Hook", "Address", "Report", "Delivered", "Waiting", "Given up", "Last fault"), rows, whole=1)


@hook_app.command()
def remove(hook_id: Annotated[str, typer.Argument(metavar="HOOK", help="Its id.")]) -> None:
    """Remove a hook and its waiting messages."""
    from whohas.audit.events import operator

    with installation() as services:
        services.hooks.remove(hook_id, operator())
    print(plain(f"{hook_id} is told nothing more."))
