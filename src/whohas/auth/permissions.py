"""The table of the scopes and user levels that each route needs, and the check of a caller against it.

A route that is not in the table is denied to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from whohas.auth.callers import (
    OLD_CREATE,
    OLD_DELETE,
    OLD_RESULT,
    SCOPE_ALL,
    SCOPE_DEFAULT,
    SCOPE_MANAGE,
    SCOPE_READ,
    SEES_ALL_LEVELS,
    TASKS_READ,
    TASKS_WRITE,
    Caller,
    UserLevel,
)
from whohas.errors import Forbidden

REPORT_LEVELS = frozenset(UserLevel) - {UserLevel.HELPDESK}
"""The levels that may start, replay and schedule runs and change tasks: all but HELPDESK."""

ALL_LEVELS = frozenset(UserLevel)


@dataclass(frozen=True, slots=True)
class RoutePermission:
    """The rights that a route needs. A caller must meet all three conditions: scopes, levels and user.

    Attributes:
        action: the action in a few words, such as "start a run"; part of the message of a denial.
        scopes: the token must have one of these, or `sp:scopes:all` or `sp:scopes:default`; empty if any token will do.
        levels: the caller must have at least one of these.
        users_only: whether only users may call the route, with a personal client or signed in, and no applications.
    """

    action: str
    scopes: tuple[str, ...] = ()
    levels: frozenset[UserLevel] = ALL_LEVELS
    users_only: bool = False


PUBLIC = None
"""The entry of a route that needs no token."""

ROUTES: Mapping[str, RoutePermission | None] = MappingProxyType(
    {
        "startReport": RoutePermission("start a run", (SCOPE_MANAGE, OLD_CREATE), REPORT_LEVELS),
        "getReportResult": RoutePermission("read a result", (SCOPE_READ, SCOPE_MANAGE, OLD_RESULT)),
        "getReport": RoutePermission("download a file", (SCOPE_READ, SCOPE_MANAGE)),
        "cancelReport": RoutePermission("cancel a run", (SCOPE_MANAGE, OLD_DELETE), users_only=True),
        "getTaskStatus": RoutePermission("read the status of a run", (TASKS_READ, TASKS_WRITE)),
        "getTaskStatusList": RoutePermission("list runs", (TASKS_READ, TASKS_WRITE)),
        "getPendingTasks": RoutePermission("list runs", (TASKS_READ, TASKS_WRITE)),
        "getPendingTaskHeaders": RoutePermission("list runs", (TASKS_READ, TASKS_WRITE)),
        "updateTaskStatus": RoutePermission("change the status of a run", (TASKS_WRITE,), REPORT_LEVELS),
        "watchRuns": RoutePermission("watch runs", (SCOPE_READ, SCOPE_MANAGE, TASKS_READ, TASKS_WRITE)),
        "watchRun": RoutePermission("watch a run", (SCOPE_READ, SCOPE_MANAGE, TASKS_READ, TASKS_WRITE)),
        "listRuns": RoutePermission("list runs", (TASKS_READ, TASKS_WRITE)),
        "getRun": RoutePermission("read a run", (TASKS_READ, TASKS_WRITE)),
        "runStatement": RoutePermission("read the SQL of a run", (SCOPE_READ, SCOPE_MANAGE)),
        "runSummary": RoutePermission("read the summary of a run", (SCOPE_READ, SCOPE_MANAGE)),
        "replayRun": RoutePermission("replay a run", (SCOPE_MANAGE,), REPORT_LEVELS),
        "everySchedule": RoutePermission("read schedules", (SCOPE_READ, SCOPE_MANAGE)),
        "oneSchedule": RoutePermission("read schedules", (SCOPE_READ, SCOPE_MANAGE)),
        "addSchedule": RoutePermission("create a schedule", (SCOPE_MANAGE,), REPORT_LEVELS),
        "changeSchedule": RoutePermission("change a schedule", (SCOPE_MANAGE,), REPORT_LEVELS),
        "removeSchedule": RoutePermission("remove a schedule", (SCOPE_MANAGE,), REPORT_LEVELS),
        "runSchedule": RoutePermission("start a run", (SCOPE_MANAGE,), REPORT_LEVELS),
        "metricsWithToken": RoutePermission("read the metrics"),
        "oauthInfo": RoutePermission("read the addresses of the endpoints"),
        "token": PUBLIC,
        "authorize": PUBLIC,
        "signIn": PUBLIC,
        "keySet": PUBLIC,
        "health": PUBLIC,
        "ready": PUBLIC,
        "metrics": PUBLIC,
        "openapi": PUBLIC,
    }
)
"""The rights by the name of the route, which is the `operationId` of the published API if it has the operation.

Scopes and levels of those operations are the published ones (`security` and `x-sailpoint-userLevels`). A route without
listed levels needs any level."""


_OPERATOR_LEVELS = frozenset({UserLevel.ORG_ADMIN})
"""The level that may do in the web console what otherwise only the operator of the server does at its command line."""

CONSOLE_ACTIONS: Mapping[str, RoutePermission] = MappingProxyType(
    {
        "holdRun": RoutePermission("hold or release a run", (SCOPE_MANAGE,), SEES_ALL_LEVELS),
        # what the command line does for the operator of the server
        "readLoads": RoutePermission("read the records of loads", (SCOPE_READ, SCOPE_MANAGE), SEES_ALL_LEVELS),
        "manageWebhooks": RoutePermission("manage webhooks", (SCOPE_MANAGE,), _OPERATOR_LEVELS),
        "manageClients": RoutePermission("manage clients", (SCOPE_MANAGE,), _OPERATOR_LEVELS, users_only=True),
        "manageUsers": RoutePermission("manage users", (SCOPE_MANAGE,), _OPERATOR_LEVELS, users_only=True),
        "readAuditLog": RoutePermission("read the audit log", (SCOPE_MANAGE,), _OPERATOR_LEVELS),
    }
)
"""The rights of what only the web console does; the other pages need the rights of a route."""


def check_access(caller: Caller, route: str) -> None:
    """Raise `Forbidden` unless a caller has the rights that a route needs.

    Args:
        caller: the authenticated caller.
        route: the name of the route, a key of `ROUTES` or `CONSOLE_ACTIONS`.

    Raises:
        Forbidden: the caller lacks the scope or the level, the route is for users only, or it is not in the table or
            needs no token; the message names the missing right.
    """
    needs = ROUTES.get(route) or CONSOLE_ACTIONS.get(route)
    if needs is None:
        raise Forbidden(
            f"Nobody may use the route {route!r}: it is not in the table of access (whohas.auth.permissions)."
        )
    who = f"{'The user' if caller.is_user else 'The client'} {caller.name!r} may not {needs.action}"
    if needs.scopes and not caller.scopes & {*needs.scopes, SCOPE_ALL, SCOPE_DEFAULT}:
        raise Forbidden(
            f"{who}: that needs the scope {' or '.join(needs.scopes)}, "
            f"and the token has {' '.join(sorted(caller.scopes)) or 'none'}. Ask for a token with that scope, or "
            "create a client that has it."
        )
    if not caller.levels & needs.levels:
        raise Forbidden(
            f"{who}: that needs the level {' or '.join(sorted(needs.levels))}, "
            f"and the caller has {' '.join(sorted(caller.levels)) or 'none'}. An administrator of this server can give "
            "it (`whohas user change NAME --level`), or create a client that has it."
        )
    if needs.users_only and not caller.is_user:
        raise Forbidden(
            f"{who}: that is for users. Use a personal client of a user (`whohas client create NAME --user USER "
            "--scope sp:report:manage`), or sign in."
        )
