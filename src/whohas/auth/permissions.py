"""The table of the scopes and user levels that each route needs, and the check of a caller against it.

A route that is not in the table is denied to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from whohas.auth.callers import (
    ALL,
    DEFAULT,
    MANAGE,
    OLD_CREATE,
    OLD_DELETE,
    OLD_RESULT,
    READ,
    TASKS_READ,
    TASKS_WRITE,
    Caller,
    Level,
)
from whohas.errors import Forbidden

REPORTERS = frozenset(Level) - {Level.HELPDESK}
"""The levels that may start, replay and schedule runs and change tasks: all but HELPDESK."""

EVERYBODY = frozenset(Level)


@dataclass(frozen=True, slots=True)
class Needs:
    """The rights that a route needs. A caller must meet all three conditions: scopes, levels and user.

    Attributes:
        doing: the action in a few words, such as "start a run"; part of the message of a denial.
        scopes: the token must have one of these, or `sp:scopes:all` or `sp:scopes:default`; empty if any token will do.
        levels: the caller must have at least one of these.
        user: whether only users may call the route, with a personal client or signed in, and no applications.
    """

    doing: str
    scopes: tuple[str, ...] = ()
    levels: frozenset[Level] = EVERYBODY
    user: bool = False


OPEN = None
"""The entry of a route that needs no token."""

ROUTES: Mapping[str, Needs | None] = MappingProxyType(
    {
        "startReport": Needs("start a run", (MANAGE, OLD_CREATE), REPORTERS),
        "getReportResult": Needs("read a result", (READ, MANAGE, OLD_RESULT)),
        "getReport": Needs("download a file", (READ, MANAGE)),
        "cancelReport": Needs("cancel a run", (MANAGE, OLD_DELETE), user=True),
        "getTaskStatus": Needs("read the status of a run", (TASKS_READ, TASKS_WRITE)),
        "getTaskStatusList": Needs("list runs", (TASKS_READ, TASKS_WRITE)),
        "getPendingTasks": Needs("list runs", (TASKS_READ, TASKS_WRITE)),
        "getPendingTaskHeaders": Needs("list runs", (TASKS_READ, TASKS_WRITE)),
        "updateTaskStatus": Needs("change the status of a run", (TASKS_WRITE,), REPORTERS),
        "watchRuns": Needs("watch runs", (READ, MANAGE, TASKS_READ, TASKS_WRITE)),
        "watchRun": Needs("watch a run", (READ, MANAGE, TASKS_READ, TASKS_WRITE)),
        "runStatement": Needs("read the SQL of a run", (READ, MANAGE)),
        "replayRun": Needs("replay a run", (MANAGE,), REPORTERS),
        "everySchedule": Needs("read schedules", (READ, MANAGE)),
        "oneSchedule": Needs("read schedules", (READ, MANAGE)),
        "addSchedule": Needs("create a schedule", (MANAGE,), REPORTERS),
        "changeSchedule": Needs("change a schedule", (MANAGE,), REPORTERS),
        "removeSchedule": Needs("remove a schedule", (MANAGE,), REPORTERS),
        "runSchedule": Needs("start a run", (MANAGE,), REPORTERS),
        "metricsWithToken": Needs("read the metrics"),
        "oauthInfo": Needs("read the addresses of the endpoints"),
        "token": OPEN,
        "authorize": OPEN,
        "signIn": OPEN,
        "keySet": OPEN,
        "health": OPEN,
        "ready": OPEN,
        "metrics": OPEN,
        "openapi": OPEN,
    }
)
"""The rights by the name of the route, which is the `operationId` of the published API if it has the operation.

Scopes and levels of those operations are the published ones (`security` and `x-sailpoint-userLevels`). A route without
listed levels needs any level."""


def check_access(caller: Caller, route: str) -> None:
    """Raise `Forbidden` unless a caller has the rights that a route needs.

    Args:
        caller: the authenticated caller.
        route: the name of the route, a key of `ROUTES`.

    Raises:
        Forbidden: the caller lacks the scope or the level, the route is for users only, or it is not in the table or
            needs no token; the message names the missing right.
    """
    needs = ROUTES.get(route)
    if needs is None:
        raise Forbidden(
            f"Nobody may use the route {route!r}: it is not in the table of access (whohas.auth.permissions)."
        )
    who = f"{'The user' if caller.user else 'The client'} {caller.name!r} may not {needs.doing}"
    if needs.scopes and not caller.scopes & {*needs.scopes, ALL, DEFAULT}:
        raise Forbidden(
            f"{who}: that needs the scope {' or '.join(needs.scopes)}, "
            f"and the token has {' '.join(sorted(caller.scopes)) or 'none'}. Create a client with that scope."
        )
    if not caller.levels & needs.levels:
        raise Forbidden(
            f"{who}: that needs the level {' or '.join(sorted(needs.levels))}, "
            f"and the caller has {' '.join(sorted(caller.levels)) or 'none'}."
        )
    if needs.user and not caller.user:
        raise Forbidden(
            f"{who}: that is for users. Use a personal client of a user (`whohas client create NAME --user USER "
            "--scope sp:report:manage`), or sign in."
        )
