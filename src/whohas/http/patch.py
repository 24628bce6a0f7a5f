"""JSON Patch (RFC 6902) of a task: the published API lets a caller change how a task ended, and nothing else.

What a run came to is for its worker to say. So a patch can end a run, which is to cancel it, or say what is so
already; it cannot make a success of a failure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from whohas.contract.tasks import TaskCompletion
from whohas.errors import InvalidArguments
from whohas.plurals import counted

MOST = 20
"""Operations of one patch."""

_COMPLETION = "/completionStatus"
_COMPLETED = "/completed"


def wanted_completion(body: object) -> TaskCompletion:
    """The completion status that a patch asks for.

    Raises:
        InvalidArguments: no patch, one of other fields, or one that asks for nothing.
    """
    if not isinstance(body, list):
        raise InvalidArguments(
            'The body must be a JSON Patch, such as [{"op": "replace", "path": "/completionStatus", "value": '
            '"TERMINATED"}].'
        )
    operations = cast("list[object]", body)
    if len(operations) > MOST:
        raise InvalidArguments(f"The patch has {counted(len(operations), 'operation')}; {MOST} is the most.")
    wanted: TaskCompletion | None = None
    for number, operation in enumerate(operations, 1):
        path, value = _replaced(number, operation)
        if path == _COMPLETION:
            wanted = _completion(number, value)
        else:
            _time(number, value)
    if wanted is None:
        raise InvalidArguments(f"The patch says nothing of {_COMPLETION}.")
    return wanted


def _replaced(number: int, operation: object) -> tuple[str, object]:
    if not isinstance(operation, dict):
        raise InvalidArguments(f"Operation {number} of the patch must be an object.")
    said = cast("dict[str, Any]", operation)
    if said.get("op") not in ("replace", "add"):
        raise InvalidArguments(f"Operation {number} of the patch must have the op replace or add.")
    path = said.get("path")
    if path not in (_COMPLETION, _COMPLETED):
        raise InvalidArguments(f"Operation {number} of the patch must have the path {_COMPLETION} or {_COMPLETED}.")
    if "value" not in said:
        raise InvalidArguments(f"Operation {number} of the patch has no value.")
    return path, said["value"]


def _completion(number: int, value: object) -> TaskCompletion:
    try:
        return TaskCompletion(str(value).upper())
    except ValueError:
        known = ", ".join(TaskCompletion)
        raise InvalidArguments(f"The value of operation {number} of the patch must be one of {known}.") from None


def _time(number: int, value: object) -> None:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidArguments(f"The value of operation {number} of the patch must be a time (ISO 8601).") from None
