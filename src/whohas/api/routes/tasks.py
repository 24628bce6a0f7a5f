"""Routes of the task-status API, in which every run is a task of the same id: list, count, read and cancel tasks.

They are mounted under the prefix of each API version (`PREFIXES`), and are the same under all of them.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from whohas import reports
from whohas.api import openapi
from whohas.api.actors import request_actor
from whohas.api.dependencies import caller_of, services_of
from whohas.api.errors import json_response
from whohas.api.json_patch import parse_completion_patch
from whohas.api.mappers import COMPLETION_STATUS
from whohas.api.requests import BoolParameter, json_value, validate_run_id
from whohas.contract import TaskType
from whohas.contract.tasks import (
    LocalizedText,
    Target,
    TaskCompletion,
    TaskDefinitionSummary,
    TaskStatus,
    TaskStatusMessage,
)
from whohas.errors import Conflict, InvalidArguments
from whohas.runs import listing, visibility
from whohas.runs.listing import ListRequest
from whohas.runs.models import Message, Run

PREFIXES = (
    "/beta/task-status",
    "/v2024/task-status",
    "/v2025/task-status",
    "/v2026/task-status",
    "/latest/task-status",
    "/task-status/v1",
)

MAX_PAGE_SIZE = 250
"""The most tasks of a page, as in the contract."""

_FARTHEST = 2**31 - 1

Limit = Annotated[int, Query(ge=0, le=MAX_PAGE_SIZE, description="The most tasks to return.")]
Offset = Annotated[int, Query(ge=0, le=_FARTHEST, description="The number of tasks to skip.")]
Count = Annotated[
    BoolParameter, Query(description="Whether to return the number of all matching tasks in the header X-Total-Count.")
]


_TASK: openapi.Responses = {200: {"model": TaskStatus, "description": "The current state of the task."}}
_TASKS: openapi.Responses = {200: {"model": list[TaskStatus], "description": "A page of tasks."}}
# the contract has the status 204 for no tasks
_NO_TASKS: openapi.Responses = {204: {"description": "Not used: this server sends 200 with an empty list instead."}}
_PAGE_HEADERS: openapi.Responses = {200: {"description": "The headers of the page."}}

router = APIRouter(tags=["Task Management"])


@router.get("", **openapi.operation("getTaskStatusList", summary="List tasks, the newest first", responses=_TASKS))
def list_tasks(
    request: Request,
    limit: Limit = MAX_PAGE_SIZE,
    offset: Offset = 0,
    count: Count = False,
    filters: Annotated[str, Query(description=openapi.FILTERS)] = "",
    sorters: Annotated[
        str, Query(description="The order: `created`, or `-created` for the newest first, which is the default.")
    ] = "",
) -> Response:
    """Return a page of the tasks that the caller may see and that match the filters."""
    return _page(request, ListRequest(filters, sorters, limit=limit, offset=offset), count)


@router.head(
    "/pending-tasks",
    **openapi.operation(
        "getPendingTaskHeaders",
        summary="Count the tasks that are not over",
        responses={**_PAGE_HEADERS, **_NO_TASKS},
    ),
)
@router.get(
    "/pending-tasks",
    **openapi.operation(
        "getPendingTasks", summary="List the tasks that are not over", responses={**_TASKS, **_NO_TASKS}
    ),
)
def list_pending_tasks(
    request: Request, limit: Limit = MAX_PAGE_SIZE, offset: Offset = 0, count: Count = False
) -> Response:
    """Return a page of the tasks that are not over and that the caller may see."""
    return _page(request, ListRequest(only_active=True, limit=limit, offset=offset), count)


@router.get("/{id}", **openapi.operation("getTaskStatus", summary="Get the status of a task", responses=_TASK))
def get_task(request: Request, id: str) -> Response:
    """Return the task of a run."""
    return json_response(task_status(services_of(request).runs.get(validate_run_id(id), caller_of(request))))


@router.patch(
    "/{id}",
    **openapi.operation(
        "updateTaskStatus",
        summary="Cancel a task by setting its completion status to TERMINATED",
        responses=_TASK,
        openapi_extra=openapi.PATCH_BODY,
    ),
)
def update_task(request: Request, id: str, body: Annotated[object, Depends(json_value)]) -> Response:
    """Cancel a run by a JSON Patch of its completion status, and return its task; no effect if it ended so already.

    Raises:
        Conflict: the run has ended with another status.
        InvalidArguments: the run is active, and the new status is neither TERMINATED nor ERROR.
    """
    caller, runs = caller_of(request), services_of(request).runs
    run = runs.get(validate_run_id(id), caller)
    completion = parse_completion_patch(body)
    if run.state.is_over:
        if COMPLETION_STATUS[run.state].value != completion.value:
            raise Conflict(
                f"This task is over: it ended as {COMPLETION_STATUS[run.state].value}, and that stays. Start the "
                "report again for a new result."
            )
    elif completion not in (TaskCompletion.TERMINATED, TaskCompletion.ERROR):
        raise InvalidArguments(
            f"A task that is not over cannot be given the status {completion}: its outcome is for its worker to say. "
            f"Send {TaskCompletion.TERMINATED} to cancel it."
        )
    else:
        runs.cancel(run.id, caller, request_actor(request))
    return json_response(task_status(runs.get(run.id, caller)))


# HEAD is rare, and routes are compared in this order
router.head("", name="getTaskStatusList", include_in_schema=False)(list_tasks)
router.head("/{id}", name="getTaskStatus", include_in_schema=False)(get_task)


def _page(request: Request, query: ListRequest, count: bool) -> Response:
    """Return a page of tasks; with their number in X-Total-Count if `count` is set or the page has no tasks."""
    database, visible = services_of(request).database, visibility.visible_to(caller_of(request))
    page = listing.list_page(database, query, visible) if query.limit else []
    total = {}
    if count or not query.limit:
        total = {"X-Total-Count": str(listing.count_all(database, query, visible))}
    return JSONResponse([task_status(run).model_dump(mode="json") for run in page], headers=total)


def task_status(run: Run) -> TaskStatus:
    """Return a run as a task of the task-status API."""
    return TaskStatus(
        id=run.id,
        type=TaskType.QUEUED_TASK,
        uniqueName=run.report_name,
        description=run.description,
        parentName=None,
        launcher=run.launcher,
        target=_target(run),
        created=run.created,
        modified=run.completed or run.launched or run.created,
        launched=run.launched,
        completed=run.completed,
        completionStatus=COMPLETION_STATUS.get(run.state),
        messages=[_message(message) for message in run.messages],
        returns=[],
        attributes=dict(run.attributes),
        progress=run.progress,
        percentComplete=run.percent,
        taskDefinitionSummary=_definition(run),
    )


def _target(run: Run) -> Target | None:
    """Return the source that a run is about, by its arguments; None if it is not about one source."""
    source = run.arguments.get("application") or run.arguments.get("authoritativeSource")
    if not isinstance(source, str):
        return None
    name = run.arguments.get("sourceName")
    return Target(id=source, type="APPLICATION", name=name if isinstance(name, str) else source)


def _definition(run: Run) -> TaskDefinitionSummary:
    report = reports.all_reports().get(run.report_type)
    return TaskDefinitionSummary(
        id=run.report_type,
        uniqueName=run.report_name,
        description=run.description,
        parentName=run.report_name,
        executor=None,
        arguments=dict(report.arguments) if report else {},
    )


def _message(message: Message) -> TaskStatusMessage:
    text = LocalizedText(locale="en-US", message=message.text)
    return TaskStatusMessage(type=message.level.value, localizedText=text, key=message.key, parameters=[])
