"""Reference pages of what programs see: commands, routes, audit events, metrics and the diagram of a run's states."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from typer.main import get_command

from whohas.api.app import create_app
from whohas.api.metrics import Metrics
from whohas.audit.events import EventType
from whohas.auth.permissions import ALL_LEVELS, ROUTES
from whohas.cli import app
from whohas.cli.options import INSTALLATION
from whohas.runs.models import TRANSITIONS, RunState
from whohas.services import open_services
from whohas.settings import Settings

HERE = Path(__file__).parent


def grid(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def command_line() -> str:
    """Return the page of the commands: the written part, then each command with its arguments and options."""
    commands = "\n\n".join(_commands(get_command(app), "whohas"))
    return (HERE / "command-line.in.md").read_text().replace("{commands}", f"## Commands\n\n{commands}")


def _commands(command: Any, path: str) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    for name, one in subcommands.items():
        if getattr(one, "commands", None):
            yield from _commands(one, f"{path} {name}")
            continue
        visible = [parameter for parameter in one.params if not getattr(parameter, "hidden", False)]
        shown = [parameter for parameter in visible if getattr(parameter, "rich_help_panel", None) != INSTALLATION]
        arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
        usage = " ".join((path, name, *(_metavar(argument) for argument in arguments), "[OPTIONS]"))
        rows = [(f"`{_metavar(one)}`", _help(one)) for one in arguments]
        rows += [(f"`{_option(one)}`", _help(one)) for one in shown if one.param_type_name == "option"]
        parts = [f"### {path} {name}", _paragraphs(one.help or ""), f"```text\n{usage}\n```"]
        parts += [grid(("argument or option", "meaning"), rows)] if rows else []
        if len(visible) > len(shown) + 1:
            parts.append("It has the [options that choose an installation](../how-to/choose.md).")
        yield "\n\n".join((*parts, "```sh\n" + "\n".join(one.examples) + "\n```"))


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name}…" if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    names = ", ".join(option.opts)
    if option.secondary_opts:
        return f"{names} / {', '.join(option.secondary_opts)}"
    return names if option.is_flag else f"{names} {option.metavar or option.name.upper()}"


def _help(parameter: Any) -> str:
    return " ".join((getattr(parameter, "help", None) or "").split())


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n")).replace("[OPTIONS]", "")


@cache
def _served() -> tuple[dict[str, Any], list[tuple[str, str, tuple[str, ...], str]]]:
    """Return the description of the API, and name, kind, labels and help of each metric, from an empty installation."""
    with tempfile.TemporaryDirectory() as home, open_services(Settings(home=Path(home))) as services:
        description = create_app(services).openapi()
        metrics = list(Metrics(services).registry.collect())
    labels = {"whohas_runs": ("state", "report_type"), "whohas_hook_messages": ("state",)}
    found: list[tuple[str, str, tuple[str, ...], str]] = []
    for one in metrics:
        name = f"{one.name}_total" if one.type == "counter" else one.name
        phases = ("report_type", "phase") if one.name.startswith("whohas_phase") else ()
        http = _HTTP_LABELS.get(one.name, ())
        found.append((name, one.type, labels.get(one.name) or phases or http, one.documentation))
    return description, sorted(found)


_HTTP_LABELS = {
    "whohas_http_requests": ("method", "route", "status"),
    "whohas_http_seconds": ("route",),
    "whohas_downloads": ("report_type", "format"),
}


def metrics() -> str:
    """Return the page of the metrics."""
    rows = [
        (f"`{name}`", kind, ", ".join(f"`{one}`" for one in labels), text) for name, kind, labels, text in _served()[1]
    ]
    return (
        "\n\n".join(
            (
                "# Metrics",
                "`GET /metrics` answers in the text format of Prometheus. [How to use them](../how-to/observe.md).",
                grid(("metric", "type", "labels", "meaning"), rows),
            )
        )
        + "\n"
    )


def operations() -> str:
    """Return the page of the HTTP operations, one section for each tag; published prefixes are collapsed into one."""
    found: dict[str, dict[tuple[str, str], tuple[str, str, set[str]]]] = {}
    for path, methods in _served()[0]["paths"].items():
        for method, operation in methods.items():
            short, prefix = _short(path)
            tag = (operation.get("tags") or ["Other"])[0]
            rights = _rights(operation["operationId"].split("_")[0])
            *_, prefixes = found.setdefault(tag, {}).setdefault(
                (short, method.upper()), (operation.get("summary") or "", rights, set())
            )
            prefixes.add(prefix)
    parts = [
        "# HTTP operations",
        "Generated from the description that a server has at `/openapi.json`. Rules for all operations are in "
        "[HTTP](http.md). `…` stands for each published prefix. A token with `sp:scopes:all` or "
        "`sp:scopes:default` has every scope.",
    ]
    for tag, rows in found.items():
        prefixes = sorted({prefix for *_, all_prefixes in rows.values() for prefix in all_prefixes if prefix})
        parts.append(f"## {tag}")
        if prefixes:
            parts.append("Prefixes: " + ", ".join(f"`{prefix}`" for prefix in prefixes) + ".")
        parts.append(
            grid(
                ("operation", "meaning", "needs"),
                [(f"`{method} {path}`", text, rights) for (path, method), (text, rights, _) in rows.items()],
            )
        )
    return "\n\n".join(parts) + "\n"


def _rights(route: str) -> str:
    """Return the rights that a route needs, by the table of permissions."""
    needs = ROUTES[route]
    if needs is None:
        return "no token"
    rights = [" or ".join(f"`{scope}`" for scope in needs.scopes) or "any token"]
    if needs.levels != ALL_LEVELS:
        rights.append(f"a level other than {' and '.join(sorted(ALL_LEVELS - needs.levels))}")
    if needs.users_only:
        rights.append("a user")
    return "; ".join(rights)


def _short(path: str) -> tuple[str, str]:
    """Split a path: `/v2025/reports/run` gives `…/run` and `/v2025/reports`; others have no prefix."""
    found = re.match(r"/(?:(?:v\d+|beta|latest)/(?:reports|task-status)|(?:reports|task-status)/v1)(?=/|$)", path)
    return (f"…{path[found.end() :]}", found[0]) if found else (path, "")


_EVENTS = {
    EventType.CLIENT_CREATED: "A client was created.",
    EventType.CLIENT_ROTATED: "A client got a new secret.",
    EventType.CLIENT_REVOKED: "A client was revoked.",
    EventType.USER_CREATED: "A user was created.",
    EventType.USER_CHANGED: "A user was changed or disabled.",
    EventType.RUN_RELEASED: "The legal hold of a run ended.",
    EventType.SCHEDULE_CREATED: "A schedule was created.",
    EventType.SCHEDULE_CHANGED: "A schedule was changed, paused or resumed.",
    EventType.SCHEDULE_REMOVED: "A schedule was removed.",
    EventType.HOOK_CREATED: "A webhook was created.",
    EventType.HOOK_REMOVED: "A webhook was removed.",
    EventType.RUN_STARTED: "A run was accepted.",
    EventType.RUN_JOINED: "A start got the active run that makes the same report, for a new launcher.",
    EventType.RUN_CANCELLED: "An active run was cancelled.",
    EventType.RUN_ENDED: "A run ended; the event has its state, the engine that executed it, and its files with size, "
    "rows and SHA-256.",
    EventType.REPORT_DOWNLOADED: "A file, or a range of it, was handed out.",
    EventType.ADDRESS_HANDED_OUT: "A signed address of a file in an object store was handed out.",
    EventType.REPORT_VIEWED: "Somebody looked at the rows of a run in the web console.",
    EventType.DATA_SEARCHED: "Somebody searched in the web console, and saw the first hits; the event has the query.",
    EventType.IDENTITY_VIEWED: "Somebody looked at the page of an identity in the web console.",
    EventType.SESSION_STARTED: "A user signed in to the web console.",
    EventType.SESSION_ENDED: "A user signed out of the web console; the event has the number of sessions.",
    EventType.REQUEST_DENIED: "A request was answered with 401 or 403.",
    EventType.REPORT_SWITCHED: "A report was enabled or disabled.",
    EventType.RUN_HELD: "A run was put under legal hold.",
    EventType.RETENTION_SWEPT: "Retention removed a run, files of a run, or files without an owner.",
    EventType.DATA_LOADED: "A load published a snapshot.",
    EventType.LOAD_STOPPED: "A load was stopped to protect data, and published nothing.",
    EventType.LOSS_ACCEPTED: "A load lost more than its limits allow, and was published with `--accept-loss`.",
}


def audit_events() -> str:
    """Return the page of the types of audit events; a type without a meaning is an error."""
    rows = [(f"`{one.value}`", _EVENTS[one]) for one in EventType]
    return (
        "\n\n".join(
            (
                "# Audit events",
                "The types of audit events. [The audit log](../explanation/audit.md) describes their content.",
                grid(("type", "meaning"), rows),
            )
        )
        + "\n"
    )


_PLACES = {
    "queued": (180, 130), "running": (430, 130), "cancelling": (430, 300), "cancelled": (180, 300),
    "succeeded": (700, 40), "warned": (700, 130), "failed": (700, 220),
}  # fmt: skip
_WIDTH, _HEIGHT = 130, 44
_BENDS = {("running", "queued"): -46, ("queued", "running"): 0}


def states() -> str:
    """Return the diagram of a run's states as SVG. An arrow has the numbers of its transitions in the table."""
    arrows: dict[tuple[str, str], list[int]] = {}
    for number, way in enumerate(TRANSITIONS, 1):
        arrows.setdefault((str(way.before or ""), str(way.after)), []).append(number)
    drawn = [_arrow(before, after, numbers) for (before, after), numbers in arrows.items()]
    for state in RunState:
        x, y = _PLACES[state]
        fill = "#e6f4ea" if state.is_over else "#e8f0fe"
        drawn.append(
            f'<rect x="{x - _WIDTH // 2}" y="{y - _HEIGHT // 2}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" '
            f'fill="{fill}" stroke="#5f6b7a"/><text x="{x}" y="{y + 5}" font-size="15" text-anchor="middle" '
            f'fill="#1b2430">{escape(state)}</text>'
        )
    return "\n".join(
        (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 345" font-family="Helvetica, Arial, sans-serif" '
            'role="img" aria-label="The states of a run">',
            '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 L10 5 L0 10 z" fill="#5f6b7a"/></marker></defs>',
            '<rect width="800" height="345" fill="#ffffff"/>',
            *drawn,
            "</svg>\n",
        )
    )


def _arrow(before: str, after: str, numbers: list[int]) -> str:
    end_x, end_y = _PLACES[after]
    start_x, start_y = _PLACES[before] if before else (40, end_y)
    bend = _BENDS.get((before, after), 0)
    across, down = end_x - start_x, end_y - start_y
    if abs(across) < _WIDTH:  # one above the other
        sign = 1 if down > 0 else -1
        a, b = (start_x, start_y + sign * _HEIGHT // 2), (end_x, end_y - sign * _HEIGHT // 2)
    else:
        sign = 1 if across > 0 else -1
        a = (start_x + (sign * _WIDTH // 2 if before else 0), start_y)
        b = (end_x - sign * _WIDTH // 2, end_y)
    if bend:
        a, b = (start_x - 40, start_y - _HEIGHT // 2), (end_x + 40, end_y - _HEIGHT // 2)
    middle = ((a[0] + b[0]) // 2, (a[1] + b[1]) // 2 + 2 * bend // 2)
    label = ", ".join(map(str, numbers))
    beside = (12, 5) if abs(across) < _WIDTH else (0, -8 if not bend else 16)
    anchor = "start" if abs(across) < _WIDTH else "middle"
    return (
        f'<path d="M{a[0]} {a[1]} Q {middle[0]} {middle[1] + bend} {b[0]} {b[1]}" fill="none" stroke="#5f6b7a" '
        f'stroke-width="1.6" marker-end="url(#a)"/><text x="{middle[0] + beside[0]}" y="{middle[1] + beside[1]}" '
        f'font-size="13" text-anchor="{anchor}" fill="#37424f">{label}</text>'
    )
