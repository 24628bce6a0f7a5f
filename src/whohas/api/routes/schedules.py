"""Routes for schedules: list, create, read, change, delete, and run at once; not in the published API."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse, Response

from whohas.api import openapi
from whohas.api.actors import request_actor
from whohas.api.dependencies import caller_of, services_of
from whohas.api.errors import json_response, request_context
from whohas.api.mappers import task_result_details
from whohas.api.requests import json_object
from whohas.contract import TaskResultDetails, WireTime
from whohas.errors import InvalidArguments
from whohas.schedules.service import Schedule

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


_SCHEDULE: openapi.Responses = {200: {"model": ScheduleResponse, "description": "The current state of the schedule."}}

router = APIRouter(tags=["Schedules"])


@router.get(
    "",
    **openapi.operation(
        "everySchedule",
        summary="List schedules",
        responses={
            200: {
                "model": list[ScheduleResponse],
                "description": "The schedules that the caller may see, ordered by name.",
            }
        },
    ),
)
def list_schedules(request: Request) -> Response:
    """Return the schedules that the caller may see, ordered by name."""
    schedules = services_of(request).schedules.list(caller_of(request))
    return JSONResponse([schedule_response(schedule).model_dump(mode="json") for schedule in schedules])


@router.post(
    "",
    status_code=201,
    **openapi.operation(
        "addSchedule",
        summary="Create a schedule",
        responses={201: {"model": ScheduleResponse, "description": "The schedule; Location has its path."}},
        openapi_extra=openapi.request_body(NewSchedule, openapi.SCHEDULE_EXAMPLES),
    ),
)
def create_schedule(request: Request, body: Body) -> Response:
    """Create a schedule whose launcher is the caller."""
    caller = caller_of(request)
    new = _read(NewSchedule, body)
    created = services_of(request).schedules.add(
        new.name, new.reportType, new.arguments, new.cron, new.timeZone, caller.name, caller, request_actor(request)
    )
    return json_response(schedule_response(created), 201, {"Location": f"{PREFIX}/{created.id}"})


@router.get(
    "/{id}", **openapi.operation("oneSchedule", summary="Get a schedule by its id or name", responses=_SCHEDULE)
)
def get_schedule(request: Request, id: str) -> Response:
    """Return a schedule by its id or name."""
    return json_response(schedule_response(services_of(request).schedules.get(id, caller_of(request))))


@router.patch(
    "/{id}",
    **openapi.operation(
        "changeSchedule",
        summary="Change, pause or resume a schedule",
        responses=_SCHEDULE,
        openapi_extra=openapi.request_body(ScheduleChange, {"pause": {"value": {"paused": True}}}),
    ),
)
def change_schedule(request: Request, id: str, body: Body) -> Response:
    """Change the fields of a schedule that the body has, and return its new state."""
    changes = _read(ScheduleChange, body).model_dump(exclude_none=True)
    if "timeZone" in changes:
        changes["time_zone"] = changes.pop("timeZone")
    changed = services_of(request).schedules.change(id, changes, caller_of(request), request_actor(request))
    return json_response(schedule_response(changed))


@router.delete(
    "/{id}",
    status_code=204,
    **openapi.operation("removeSchedule", summary="Delete a schedule; its runs are kept"),
)
def delete_schedule(request: Request, id: str) -> Response:
    """Delete a schedule."""
    services_of(request).schedules.remove(id, caller_of(request), request_actor(request))
    return Response(status_code=204)


@router.post(
    "/{id}/run",
    **openapi.operation(
        "runSchedule",
        summary="Start a run of the schedule's report now",
        responses={200: {"model": TaskResultDetails, "description": "The current state of the run."}},
    ),
)
def run_schedule(request: Request, id: str) -> Response:
    """Start a run of the report of a schedule now, in addition to the times of its cron expression."""
    schedules, context = services_of(request).schedules, request_context(request.scope)
    run = schedules.start_now(id, caller_of(request), context, request_actor(request))
    return json_response(task_result_details(run))


def _read(model: type[Model], body: dict[str, Any]) -> Model:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))[:100]}: {fault['msg']}" for fault in error.errors())
        raise InvalidArguments(f"The body is wrong. {faults}. Correct these fields.") from None


def schedule_response(schedule: Schedule) -> ScheduleResponse:
    """Return a schedule as a response body."""
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
