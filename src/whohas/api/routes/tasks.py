"""Routes of the task-status API, in which every run is a task of the same id: list, count, read and cancel tasks.

They are mounted under the prefix of each API version (`PREFIXES`), and are the same under all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from whohas import reports
from whohas.api import openapi
from whohas.api.actors import request_actor
from whohas.api.dependencies import caller_of
from whohas.api.errors import json_response
from whohas.api.json_patch import parse_completion_patch
from whohas.api.mappers import COMPLETION_STATUS
from whohas.api.requests import BoolParameter, json_value, validate_run_id
from whohas.auth import Caller
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

if TYPE_CHECKING:
    from whohas.services import Services

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


def task_routes(services: Services) -> APIRouter:
    """Return the routes of the task-status API, to be mounted under each of `PREFIXES`."""
    router = APIRouter(tags=["Task Management"])
    runs = services.runs

    def answer(caller: Caller, query: ListRequest, count: bool) -> Response:
        visible = visibility.visible_to(caller)
        page = listing.list_page(services.database, query, visible) if query.limit else []
        total = {}
        if count or not query.limit:
            total = {"X-Total-Count": str(listing.count_all(services.database, query, visible))}
        return JSONResponse([task_status(run).model_dump(mode="json") for run in page], headers=total)

    def every(
        request: Request,
        limit: Limit = MAX_PAGE_SIZE,
        offset: Offset = 0,
        count: Count = False,
        filters: Annotated[str, Query(description=openapi.FILTERS)] = "",
        sorters: Annotated[
            str, Query(description="The order: `created`, or `-created` for the newest first, which is the default.")
        ] = "",
    ) -> Response:
        return answer(caller_of(request), ListRequest(filters, sorters, limit=limit, offset=offset), count)

    def pending(request: Request, limit: Limit = MAX_PAGE_SIZE, offset: Offset = 0, count: Count = False) -> Response:
        return answer(caller_of(request), ListRequest(only_active=True, limit=limit, offset=offset), count)

    def one(request: Request, id: str) -> Response:
        return json_response(task_status(runs.get(validate_run_id(id), caller_of(request))))

    def patch(request: Request, id: str, body: Annotated[object, Depends(json_value)]) -> Response:
        caller = caller_of(request)
        run = runs.get(validate_run_id(id), caller)
        completion = parse_completion_patch(body)
        if run.state.is_over:
            if COMPLETION_STATUS[run.state].value != completion.value:
                raise Conflict(f"This task is over: it ended as {COMPLETION_STATUS[run.state].value}, and that stays.")
        elif completion not in (TaskCompletion.TERMINATED, TaskCompletion.ERROR):
            raise InvalidArguments(
                f"A task that is not over cannot be given the status {completion}: its outcome is for its worker to "
                f"say. {TaskCompletion.TERMINATED} cancels it."
            )
        else:
            runs.cancel(run.id, caller, request_actor(request))
        return json_response(task_status(runs.get(run.id, caller)))

    refusals = openapi.ERROR_RESPONSES
    several = {200: {"model": list[TaskStatus], "description": "A page of tasks."}, **refusals}
    single = {200: {"model": TaskStatus, "description": "The current state of the task."}, **refusals}
    # the contract has the status 204 for no tasks
    pending_answers = {**several, 204: {"description": "Not used: this server sends 200 with an empty list instead."}}
    headers = {**pending_answers, 200: {"description": "The headers of the page."}}

    def route(method: str, path: str, endpoint: Any, name: str, summary: str, answers: Any, **more: Any) -> None:
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=name,
            dependencies=openapi.security_dependencies(name),
            summary=summary,
            responses=answers,
            **more,
        )

    route("GET", "", every, "getTaskStatusList", "List tasks, the newest first", several)
    route("GET", "/pending-tasks", pending, "getPendingTasks", "List the tasks that are not over", pending_answers)
    route("HEAD", "/pending-tasks", pending, "getPendingTaskHeaders", "Count the tasks that are not over", headers)
    route("GET", "/{id}", one, "getTaskStatus", "Get the status of a task", single)
    changed = {**openapi.PATCH_BODY, **openapi.user_levels("updateTaskStatus")}
    summary = "Cancel a task by setting its completion status to TERMINATED"
    route("PATCH", "/{id}", patch, "updateTaskStatus", summary, single, openapi_extra=changed)
    for path, endpoint, name in (("", every, "getTaskStatusList"), ("/{id}", one, "getTaskStatus")):
        router.add_api_route(path, endpoint, methods=["HEAD"], name=name, include_in_schema=False)
    return router


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
