"""`whohas hook`: add, list and remove webhooks, which are notified when a run ends."""

from __future__ import annotations

from typing import Annotated

import typer

from whohas.cli.arguments import parse_report_type
from whohas.cli.installation import open_installation
from whohas.cli.terminal import print_table, without_control_characters

hook_app = typer.Typer(no_args_is_help=True, help="Webhooks: send a signed message to an address when a run ends.")


@hook_app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="The address that messages are posted to.")],
    report: Annotated[str | None, typer.Option(help="Only runs of this report, such as ACCOUNTS.")] = None,
) -> None:
    """Add a webhook, and print the secret that signs its messages; the secret is never shown again."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        made, secret = services.webhooks.add(
            url, None if report is None else parse_report_type(report), operator_actor()
        )
    print(f"hook    {made.id}")
    print(f"secret  {secret}")
    print("It signs the messages, as in Standard Webhooks. It is not shown again.")


@hook_app.command("list")
def list_hooks() -> None:
    """Print all webhooks, with the number of delivered, waiting and failed messages."""
    with open_installation() as services:
        hooks = services.webhooks.list()
    if not hooks:
        print("No hook yet. Make one: whohas hook add URL")
        return
    rows = [
        (
            hook.id,
            hook.url,
            hook.report_type or "all",
            f"{stats.delivered:,}",
            f"{stats.waiting:,}",
            f"{stats.dead:,}",
            hook.disabled or stats.answer,
        )
        for hook, stats in hooks
    ]
    print_table(("Hook", "Address", "Report", "Delivered", "Waiting", "Given up", "Last fault"), rows, whole=1)


@hook_app.command()
def remove(hook_id: Annotated[str, typer.Argument(metavar="HOOK", help="Its id.")]) -> None:
    """Remove a webhook and its undelivered messages."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        services.webhooks.remove(hook_id, operator_actor())
    print(without_control_characters(f"Webhook {hook_id} removed."))
