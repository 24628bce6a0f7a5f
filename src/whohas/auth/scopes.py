"""Which scope each operation needs.

The names are the contract's: `sp:report:manage` starts and cancels, it or `sp:report:read` reads results and
files; `idn:task-management:read` and `:write` read and end tasks, which runs are too; `sp:scopes:all` and
`sp:scopes:default` contain every right of their holder.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from whohas.errors import Forbidden, InvalidArguments

if TYPE_CHECKING:
    from whohas.auth.tokens import Caller

ALL = "sp:scopes:all"
DEFAULT = "sp:scopes:default"
MANAGE = "sp:report:manage"
READ = "sp:report:read"
TASKS_READ = "idn:task-management:read"
TASKS_WRITE = "idn:task-management:write"

known_scopes = (ALL, DEFAULT, MANAGE, READ, TASKS_READ, TASKS_WRITE)
"""The scopes that a client can be given."""


class Operation(StrEnum):
    """What a caller does, as a refusal names it."""

    START = "start a run"
    RESULT = "read a result"
    FILE = "download a file"
    CANCEL = "cancel a run"
    TASKS = "read what became of tasks"
    END_TASK = "end a task"
    WATCH = "watch runs"
    SCHEDULES = "read schedules"
    SCHEDULE = "change schedules"


NEEDED: dict[Operation, tuple[str, ...]] = {
    Operation.START: (MANAGE,),
    Operation.RESULT: (READ, MANAGE),
    Operation.FILE: (READ, MANAGE),
    Operation.CANCEL: (MANAGE,),
    Operation.TASKS: (TASKS_READ, TASKS_WRITE),
    Operation.END_TASK: (TASKS_WRITE,),
    Operation.WATCH: (READ, MANAGE, TASKS_READ, TASKS_WRITE),
    Operation.SCHEDULES: (READ, MANAGE),
    Operation.SCHEDULE: (MANAGE,),
}
"""Any one of these scopes, or one that contains all, is enough."""


def check_scope(caller: Caller, operation: Operation) -> None:
    """Lets a caller pass, or refuses.

    Raises:
        Forbidden: none of the caller's scopes allows the operation; the message names those that would.
    """
    needed = NEEDED[operation]
    if caller.scopes & {*needed, ALL, DEFAULT}:
        return
    raise Forbidden(
        f"The client {caller.name!r} may not {operation.value}: that needs the scope {' or '.join(needed)}, "
        f"and it has {' '.join(sorted(caller.scopes)) or 'none'}. Create a client with that scope."
    )


def checked_scopes(names: Iterable[str]) -> tuple[str, ...]:
    """Scopes for a new client, each once.

    Raises:
        InvalidArguments: a name is unknown, or there is none.
    """
    scopes = tuple(dict.fromkeys(names))
    unknown = [name for name in scopes if name not in known_scopes]
    if unknown or not scopes:
        wrong = f"There is no scope {', '.join(map(repr, unknown))}." if unknown else "A client needs a scope."
        raise InvalidArguments(f"{wrong} Choose from {', '.join(known_scopes)}.")
    return scopes
