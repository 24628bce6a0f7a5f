"""Which route needs what: the one table, and the check against it. What is not in the table is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from whohas.auth.rights import (
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
EVERYBODY = frozenset(Level)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks of its caller; all of it must hold.

    Attributes:
        doing: what the caller does, as a refusal names it.
        scopes: any one of these, or one that contains all, is enough; none are needed where it is empty.
        levels: the caller must have one of them.
        user: whether it is for users alone, and not for programs of their own right.
    """

    doing: str
    scopes: tuple[str, ...] = ()
    levels: frozenset[Level] = EVERYBODY
    user: bool = False


OPEN = None
"""For a route that asks for no token."""

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
        "addSchedule": Needs("make a schedule", (MANAGE,), REPORTERS),
        "changeSchedule": Needs("change a schedule", (MANAGE,), REPORTERS),
        "removeSchedule": Needs("remove a schedule", (MANAGE,), REPORTERS),
        "runSchedule": Needs("start a run", (MANAGE,), REPORTERS),
        "metricsWithToken": Needs("read the figures"),
        "oauthInfo": Needs("read about the endpoints"),
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
"""By the route's name, which is the published operation's where there is one. Scopes and levels are the published
ones (`security` and `x-sailpoint-userLevels`); where none are listed, any level will do."""


def check_access(caller: Caller, route: str) -> None:
    """Lets a caller pass to a route, or refuses.

    Raises:
        Forbidden: the scopes or levels of the caller do not allow it, it is for users alone, or the table does not
            know the route; the message names what would do.
    """
    needs = ROUTES.get(route)
    if needs is None:
        raise Forbidden(f"Nobody may use {route!r}: it is not in the table of access.")
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
