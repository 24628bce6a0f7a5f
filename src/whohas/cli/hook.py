"""`whohas hook`: add, list and remove webhooks, which are notified when a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.arguments import parse_report_type
from whohas.cli.commands import Commands
from whohas.cli.completions import complete_reports
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_this_machine
from whohas.cli.printing import Column, print_list, print_object
from whohas.cli.terminal import without_control_characters

if TYPE_CHECKING:
    from whohas.webhooks.service import DeliveryStats, Webhook

hook_app = Commands(no_args_is_help=True, help="Webhooks: send a signed message to an address when a run ends.")


@hook_app.command()
@on_this_machine
def add(
    connection: Connection,
    url: Annotated[str, typer.Argument(metavar="URL", help="The address that messages are posted to.")],
    report: Annotated[
        str | None, typer.Option(help="Only runs of this report, such as ACCOUNTS.", autocompletion=complete_reports)
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Add a webhook, and print the secret that signs its messages; the secret is never shown again.

    Examples:
        whohas hook add https://example.com/runs
        whohas hook add https://example.com/accounts --report ACCOUNTS -o json
    """
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        report_type = None if report is None else parse_report_type(report)
        made, secret = services.webhooks.add(url, report_type, operator_actor())
    columns: tuple[Column[Webhook], ...] = (
        Column("id", "hook", lambda hook: hook.id),
        Column("secret", "secret", lambda _: secret),
    )
    print_object(output, made, columns)
    if output is OutputFormat.TABLE:
        print("It signs the messages, as in Standard Webhooks. It is not shown again.")


@hook_app.command("list")
@on_this_machine
def list_hooks(connection: Connection, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print all webhooks, with the number of delivered, waiting and failed messages.

    Examples:
        whohas hook list
        whohas hook list -o csv
    """
    with connection.open_local() as services:
        hooks = services.webhooks.list()
    print_list(output, hooks, _columns(), empty="No hook yet. Make one: whohas hook add URL")


@hook_app.command()
@on_this_machine
def remove(connection: Connection, hook_id: Annotated[str, typer.Argument(metavar="HOOK", help="Its id.")]) -> None:
    """Remove a webhook and its undelivered messages.

    Examples:
        whohas hook remove 0d3f6a3c7b8e4f5a9c1d2e3f4a5b6c7d
    """
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        services.webhooks.remove(hook_id, operator_actor())
    print(without_control_characters(f"Webhook {hook_id} removed."))


def _columns() -> tuple[Column[tuple[Webhook, DeliveryStats]], ...]:
    return (
        Column("id", "Hook", lambda one: one[0].id, is_key=True, is_whole=True),
        Column("url", "Address", lambda one: one[0].url, is_key=True),
        Column("reportType", "Report", lambda one: one[0].report_type, lambda one: one[0].report_type or "all"),
        Column("delivered", "Delivered", lambda one: one[1].delivered),
        Column("waiting", "Waiting", lambda one: one[1].waiting),
        Column("givenUp", "Given up", lambda one: one[1].dead),
        Column("lastError", "Last fault", lambda one: one[0].disabled or one[1].answer or None),
        Column("created", "Created", lambda one: one[0].created),
    )
