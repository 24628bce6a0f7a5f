"""Webhooks: addresses that get a message when a run ends. For those who may do what the operator of the server does."""

from __future__ import annotations

from starlette.responses import Response

from whohas.console.view import Link, Pages, View
from whohas.errors import InvalidArguments
from whohas.reports import all_reports
from whohas.webhooks.sender import DeliveryResult

PAGES = Pages(Link("Webhooks", "/console/webhooks", order=70, group="Administration"))


@PAGES.get("/webhooks", needs="manageWebhooks")
def show_webhooks(view: View) -> Response:
    """Show the webhooks with their deliveries, and the form for a new one."""
    return _page(view)


@PAGES.post("/webhooks", needs="manageWebhooks")
def add_webhook(view: View) -> Response:
    """Create a webhook, and show its secret once."""
    try:
        made, secret = view.services.webhooks.add(
            view.fields.get("url", ""), view.fields.get("report") or None, view.actor
        )
    except InvalidArguments as error:
        return _page(view, error.message)
    return view.page(
        "secret.html",
        title="The webhook was created",
        lead="Its messages are signed with this secret, as in Standard Webhooks.",
        facts={"Address": made.url, "Id": made.id, "Secret": secret},
        back="/console/webhooks",
    )


@PAGES.post("/webhooks/{id}/test", needs="manageWebhooks")
def test_webhook(view: View, id: str) -> Response:
    """Send a test message to a webhook, and show the result."""
    return _page(view, tested=view.services.webhooks.send_test(id))


@PAGES.post("/webhooks/{id}/remove", needs="manageWebhooks")
def remove_webhook(view: View, id: str) -> Response:
    """Remove a webhook and its messages."""
    view.services.webhooks.remove(id, view.actor)
    return view.redirect("/console/webhooks", "The webhook was removed, with its messages that were not delivered.")


def _page(view: View, error: str = "", tested: DeliveryResult | None = None) -> Response:
    return view.page(
        "webhooks.html",
        400 if error else 200,
        hooks=view.services.webhooks.list(),
        reports=all_reports(),
        error=error,
        tested=tested,
        fields={"url": view.fields.get("url", ""), "report": view.fields.get("report", "")},
    )
