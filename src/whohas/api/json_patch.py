"""JSON Patch (RFC 6902) of a task. The published API allows to change only the completion status and its time.

Only the worker decides the outcome of a run. Therefore a patch can cancel a run, or repeat the outcome that it has; it
cannot turn a failure into a success.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from whohas.contract.tasks import TaskCompletion
from whohas.errors import InvalidArguments
from whohas.plurals import pluralize

MAX_OPERATIONS = 20
"""The most operations of a patch."""

_COMPLETION = "/completionStatus"
_COMPLETED = "/completed"


def parse_completion_patch(body: object) -> TaskCompletion:
    """Return the completion status that a patch sets; if it sets several, the last one.

    `/completed` must be a time, which is ignored.

    Args:
        body: the parsed JSON body, such as `[{"op": "replace", "path": "/completionStatus", "value": "TERMINATED"}]`.

    Raises:
        InvalidArguments: the body is not a patch, has other operations or paths, or does not set the completion status.
    """
    if not isinstance(body, list):
        raise InvalidArguments(
            'The body must be a JSON Patch, such as [{"op": "replace", "path": "/completionStatus", "value": '
            '"TERMINATED"}].'
        )
    operations = cast("list[object]", body)
    if len(operations) > MAX_OPERATIONS:
        raise InvalidArguments(
            f"The patch has {pluralize(len(operations), 'operation')}; {MAX_OPERATIONS} is the most."
        )
    wanted: TaskCompletion | None = None
    for number, operation in enumerate(operations, 1):
        path, value = _replacement(number, operation)
        if path == _COMPLETION:
            wanted = _completion(number, value)
        else:
            _check_time(number, value)
    if wanted is None:
        raise InvalidArguments(f"The patch says nothing of {_COMPLETION}. Add an operation with that path.")
    return wanted


def _replacement(number: int, operation: object) -> tuple[str, object]:
    if not isinstance(operation, dict):
        raise InvalidArguments(f"Operation {number} of the patch must be an object.")
    members = cast("dict[str, Any]", operation)
    if members.get("op") not in ("replace", "add"):
        raise InvalidArguments(f"Operation {number} of the patch must have the op replace or add.")
    path = members.get("path")
    if path not in (_COMPLETION, _COMPLETED):
        raise InvalidArguments(f"Operation {number} of the patch must have the path {_COMPLETION} or {_COMPLETED}.")
    if "value" not in members:
        raise InvalidArguments(f'Operation {number} of the patch has no value. Add one, such as "value": "TERMINATED".')
    return path, members["value"]


def _completion(number: int, value: object) -> TaskCompletion:
    try:
        return TaskCompletion(str(value).upper())
    except ValueError:
        known = ", ".join(TaskCompletion)
        raise InvalidArguments(f"The value of operation {number} of the patch must be one of {known}.") from None


def _check_time(number: int, value: object) -> None:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidArguments(f"The value of operation {number} of the patch must be a time (ISO 8601).") from None
