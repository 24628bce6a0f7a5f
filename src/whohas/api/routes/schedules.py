"""Routes for schedules: list, create, read, change, delete, and run at once; not in the published API.

The names of the endpoints below (`every`, `one`, `add`, …) are part of the route names in the table of access.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse, Response

from whohas.api import openapi
from whohas.api.actors import request_actor
from whohas.api.dependencies import caller_of
from whohas.api.errors import json_response, request_context
from whohas.api.mappers import task_result_details
from whohas.api.requests import json_object
from whohas.contract import TaskResultDetails, WireTime
from whohas.errors import InvalidArguments
from whohas.schedules.service import Schedule

if TYPE_CHECKING:
    from whohas.services import Services

PREFIX = "/whohas/schedules"

Model = TypeVar("Model", bound=BaseModel)

Body = Annotated[dict[str, Any], Depends(json_object)]


class _ScheduleRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewSchedule(_ScheduleRequest):
    """The body of a request to create a schedule, whose launcher is the caller.

    Attributes:
        name: the name of the schedule.
        reportType: the type of its report.
        arguments: the arguments of its report.
        cron: a cron expression of five fields, such as `0 6 * * MON`.
        timeZone: the IANA name of the time zone of `cron`, such as `Europe/Berlin`.
    """

    name: str
    reportType: str
    arguments: dict[str, Any] = {}
    cron: str
    timeZone: str = "UTC"


class ScheduleChange(_ScheduleRequest):
    """The body of a request to change a schedule; a field that is absent or null is not changed.

    Attributes:
        paused: true to pause the schedule, false to resume it.
    """

    name: str | None = None
    arguments: dict[str, Any] | None = None
    cron: str | None = None
    timeZone: str | None = None
    paused: bool | None = None


class ScheduleResponse(BaseModel):
    """The current state of a schedule.

    Attributes:
        launcher: the name of the user or application that created it.
        paused: whether it starts no runs for now.
        next: when it starts a run next; null while it is paused.
        last: when it last started a run, or tried to; null before the first time.
        lastRun: the id of the run that it started then; null if the start failed.
        lastError: why the start failed, or why the schedule was paused; null if it succeeded.
    """

    id: str
    name: str
    reportType: str
    arguments: dict[str, Any]
    cron: str
    timeZone: str
    launcher: str
    paused: bool
    created: WireTime
    next: WireTime | None
    last: WireTime | None
    lastRun: str | None
    lastError: str | None


def schedule_routes(services: Services) -> APIRouter:
    """Return the routes of schedules, to be mounted under `PREFIX`."""
    router = APIRouter(tags=["Schedules"])
    schedules = services.schedules

    def every(request: Request) -> Response:
        return JSONResponse(
            [_answer(schedule).model_dump(mode="json") for schedule in schedules.list(caller_of(request))]
        )

    def one(request: Request, id: str) -> Response:
        return json_response(_answer(schedules.get(id, caller_of(request))))

    def add(request: Request, body: Body) -> Response:
        caller = caller_of(request)
        new = _read(NewSchedule, body)
        created = schedules.add(
            new.name, new.reportType, new.arguments, new.cron, new.timeZone, caller.name, caller, request_actor(request)
        )
        return json_response(_answer(created), 201, {"Location": f"{PREFIX}/{created.id}"})

    def change(request: Request, id: str, body: Body) -> Response:
        changes = _read(ScheduleChange, body).model_dump(exclude_none=True)
        if "timeZone" in changes:
            changes["time_zone"] = changes.pop("timeZone")
        return json_response(_answer(schedules.change(id, changes, caller_of(request), request_actor(request))))

    def remove(request: Request, id: str) -> Response:
        schedules.remove(id, caller_of(request), request_actor(request))
        return Response(status_code=204)

    def run(request: Request, id: str) -> Response:
        return json_response(
            task_result_details(
                schedules.start_now(id, caller_of(request), request_context(request.scope), request_actor(request))
            )
        )

    def route(path: str, method: str, endpoint: Callable[..., Response], summary: str, **more: Any) -> None:
        responses = {**more.pop("responses", {}), **openapi.ERROR_RESPONSES}
        name = f"{endpoint.__name__}Schedule"
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=name,
            dependencies=openapi.security_dependencies(name),
            summary=summary,
            responses=responses,
            openapi_extra={**more.pop("openapi_extra", {}), **openapi.user_levels(name)},
            **more,
        )

    single = {200: {"model": ScheduleResponse, "description": "The current state of the schedule."}}
    several = {
        200: {"model": list[ScheduleResponse], "description": "The schedules that the caller may see, ordered by name."}
    }
    made = {201: {"model": ScheduleResponse, "description": "The schedule; Location has its path."}}
    started = {200: {"model": TaskResultDetails, "description": "The current state of the run."}}
    new = openapi.request_body(NewSchedule, openapi.SCHEDULE_EXAMPLES)
    changed = openapi.request_body(ScheduleChange, {"pause": {"value": {"paused": True}}})
    route("", "GET", every, "List schedules", responses=several)
    route("", "POST", add, "Create a schedule", responses=made, status_code=201, openapi_extra=new)
    route("/{id}", "GET", one, "Get a schedule by its id or name", responses=single)
    route("/{id}", "PATCH", change, "Change, pause or resume a schedule", responses=single, openapi_extra=changed)
    route("/{id}", "DELETE", remove, "Delete a schedule; its runs are kept", status_code=204)
    route("/{id}/run", "POST", run, "Start a run of the schedule's report now", responses=started)
    return router


def _read(model: type[Model], body: dict[str, Any]) -> Model:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))[:100]}: {fault['msg']}" for fault in error.errors())
        raise InvalidArguments(f"The body is wrong. {faults}.") from None


def _answer(schedule: Schedule) -> ScheduleResponse:
    return ScheduleResponse(
        id=schedule.id,
        name=schedule.name,
        reportType=schedule.report_type,
        arguments=cast("dict[str, Any]", schedule.arguments),
        cron=schedule.cron,
        timeZone=schedule.time_zone,
        launcher=schedule.launcher,
        paused=schedule.paused,
        created=schedule.created,
        next=None if schedule.paused else schedule.next_at,
        last=schedule.last_at,
        lastRun=schedule.last_run,
        lastError=schedule.last_error or None,
    )
