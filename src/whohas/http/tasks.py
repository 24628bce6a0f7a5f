"""The task-status operations: every run is a task under the same id. They are the same under every prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from whohas import reports
from whohas.auth import Operation
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
from whohas.http import description
from whohas.http.errors import json_response
from whohas.http.patch import wanted_completion
from whohas.http.requests import Flag, allowed, json_value, run_id
from whohas.http.wire import COMPLETION
from whohas.runs import listing
from whohas.runs.listing import Listing
from whohas.runs.model import Message, Run

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

MOST = 250
"""Tasks of a page, as the contract has it."""

_FARTHEST = 2**31 - 1

Limit = Annotated[int, Query(ge=0, le=MOST, description="Tasks of a page.")]
Offset = Annotated[int, Query(ge=0, le=_FARTHEST, description="Tasks before the page.")]
Count = Annotated[Flag, Query(description="Whether the header X-Total-Count tells how many tasks there are in all.")]


def task_routes(services: Services) -> APIRouter:
    """The routes of the operations, to be mounted under each of `PREFIXES`."""
    router = APIRouter(tags=["Task Management"])
    runs = services.runs

    def answer(asked: Listing, count: bool) -> Response:
        found = listing.page(services.database, asked) if asked.limit else []
        total = {"X-Total-Count": str(listing.count(services.database, asked))} if count or not asked.limit else {}
        return JSONResponse([task_status(run).model_dump(mode="json") for run in found], headers=total)

    def every(
        request: Request,
        limit: Limit = MOST,
        offset: Offset = 0,
        count: Count = False,
        filters: Annotated[str, Query(description=description.FILTERS)] = "",
        sorters: Annotated[str, Query(description="`created` or `-created`, which is the default.")] = "",
    ) -> Response:
        allowed(request, Operation.TASKS)
        return answer(Listing(filters, sorters, limit=limit, offset=offset), count)

    def pending(request: Request, limit: Limit = MOST, offset: Offset = 0, count: Count = False) -> Response:
        allowed(request, Operation.TASKS)
        return answer(Listing(pending=True, limit=limit, offset=offset), count)

    def one(request: Request, id: str) -> Response:
        allowed(request, Operation.TASKS)
        return json_response(task_status(runs.get(run_id(id))))

    def patch(request: Request, id: str, body: Annotated[object, Depends(json_value)]) -> Response:
        allowed(request, Operation.END_TASK)
        run = runs.get(run_id(id))
        wanted = wanted_completion(body)
        if run.state.over:
            if COMPLETION[run.state].value != wanted.value:
                raise Conflict(f"This task is over: it ended as {COMPLETION[run.state].value}, and that stays.")
        elif wanted not in (TaskCompletion.TERMINATED, TaskCompletion.ERROR):
            raise InvalidArguments(
                f"A task that is not over cannot be given the status {wanted}: what it came to is for its worker to "
                f"say. {TaskCompletion.TERMINATED} cancels it."
            )
        else:
            runs.cancel(run.id)
        return json_response(task_status(runs.get(run.id)))

    refusals = description.REFUSALS
    several = {200: {"model": list[TaskStatus], "description": "A page of tasks."}, **refusals}
    single = {200: {"model": TaskStatus, "description": "The task as it stands."}, **refusals}
    for path, endpoint, name, summary in (
        ("", every, "getTaskStatusList", "What became of tasks, newest first"),
        ("/pending-tasks", pending, "getPendingTasks", "The tasks that are not over"),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], name=name, summary=summary, responses=several)
        router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    router.add_api_route(
        "/{id}", one, methods=["GET"], name="getTaskStatus", summary="What became of a task", responses=single
    )
    router.add_api_route("/{id}", one, methods=["HEAD"], include_in_schema=False)
    router.add_api_route(
        "/{id}",
        patch,
        methods=["PATCH"],
        name="updateTaskStatus",
        summary="Cancel a task by giving it the completion status TERMINATED",
        openapi_extra=description.PATCH,
        responses=single,
    )
    return router


def task_status(run: Run) -> TaskStatus:
    """A run as a task."""
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
        completionStatus=COMPLETION.get(run.state),
        messages=[_message(message) for message in run.messages],
        returns=[],
        attributes=dict(run.attributes),
        progress=run.progress,
        percentComplete=run.percent,
        taskDefinitionSummary=_definition(run),
    )


def _target(run: Run) -> Target | None:
    source = run.arguments.get("application") or run.arguments.get("authoritativeSource")
    if not isinstance(source, str):
        return None
    name = run.arguments.get("sourceName")
    return Target(id=source, type="APPLICATION", name=name if isinstance(name, str) else source)


def _definition(run: Run) -> TaskDefinitionSummary:
    report = reports.reports().get(run.report_type)
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
