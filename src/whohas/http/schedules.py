"""Schedules over HTTP, at a path of our own: the published API has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse, Response

from whohas.contract import TaskResultDetails, WireTime
from whohas.errors import InvalidArguments
from whohas.http import description
from whohas.http.access import caller_of
from whohas.http.audited import who
from whohas.http.errors import json_response, origin
from whohas.http.requests import json_object
from whohas.http.wire import task_result_details
from whohas.runs.schedules import Schedule

if TYPE_CHECKING:
    from whohas.services import Services

PREFIX = "/whohas/schedules"

Model = TypeVar("Model", bound=BaseModel)

Body = Annotated[dict[str, Any], Depends(json_object)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewSchedule(_Asked):
    """The order for a schedule. `cron` has five fields, `timeZone` is an IANA name; the caller is its launcher."""

    name: str
    reportType: str
    arguments: dict[str, Any] = {}
    cron: str
    timeZone: str = "UTC"


class ScheduleChange(_Asked):
    """What is to change; what is absent stays."""

    name: str | None = None
    arguments: dict[str, Any] | None = None
    cron: str | None = None
    timeZone: str | None = None
    paused: bool | None = None


class ScheduleAnswer(BaseModel):
    """A schedule as it stands; `next` is null while it is paused."""

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
    """The routes, to be mounted under `PREFIX`."""
    router = APIRouter(tags=["Schedules"])
    schedules = services.schedules

    def every(request: Request) -> Response:
        return JSONResponse([_answer(one).model_dump(mode="json") for one in schedules.list(caller_of(request))])

    def one(request: Request, id: str) -> Response:
        return json_response(_answer(schedules.get(id, caller_of(request))))

    def add(request: Request, body: Body) -> Response:
        caller = caller_of(request)
        new = _read(NewSchedule, body)
        made = schedules.add(
            new.name, new.reportType, new.arguments, new.cron, new.timeZone, caller.name, caller, who(request)
        )
        return json_response(_answer(made), 201, {"Location": f"{PREFIX}/{made.id}"})

    def change(request: Request, id: str, body: Body) -> Response:
        asked = _read(ScheduleChange, body).model_dump(exclude_none=True)
        if "timeZone" in asked:
            asked["time_zone"] = asked.pop("timeZone")
        return json_response(_answer(schedules.change(id, asked, caller_of(request), who(request))))

    def remove(request: Request, id: str) -> Response:
        schedules.remove(id, caller_of(request), who(request))
        return Response(status_code=204)

    def run(request: Request, id: str) -> Response:
        return json_response(
            task_result_details(schedules.run(id, caller_of(request), origin(request.scope), who(request)))
        )

    def route(path: str, method: str, endpoint: Callable[..., Response], summary: str, **more: Any) -> None:
        responses = {**more.pop("responses", {}), **description.REFUSALS}
        name = f"{endpoint.__name__}Schedule"
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=name,
            dependencies=description.secured(name),
            summary=summary,
            responses=responses,
            openapi_extra={**more.pop("openapi_extra", {}), **description.levels(name)},
            **more,
        )

    single = {200: {"model": ScheduleAnswer, "description": "The schedule as it stands."}}
    several = {200: {"model": list[ScheduleAnswer], "description": "All of them, by name."}}
    made = {201: {"model": ScheduleAnswer, "description": "The schedule; Location has its path."}}
    started = {200: {"model": TaskResultDetails, "description": "The run as it stands."}}
    new = description.body(NewSchedule, description.SCHEDULE_EXAMPLES)
    changed = description.body(ScheduleChange, {"pause": {"value": {"paused": True}}})
    route("", "GET", every, "All schedules", responses=several)
    route("", "POST", add, "Make a schedule", responses=made, status_code=201, openapi_extra=new)
    route("/{id}", "GET", one, "A schedule, by its id or name", responses=single)
    route("/{id}", "PATCH", change, "Change, pause or resume a schedule", responses=single, openapi_extra=changed)
    route("/{id}", "DELETE", remove, "Remove a schedule; its runs stay", status_code=204)
    route("/{id}/run", "POST", run, "Start its report now", responses=started)
    return router


def _read(model: type[Model], body: dict[str, Any]) -> Model:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))[:100]}: {fault['msg']}" for fault in error.errors())
        raise InvalidArguments(f"The body is wrong. {faults}.") from None


def _answer(one: Schedule) -> ScheduleAnswer:
    return ScheduleAnswer(
        id=one.id,
        name=one.name,
        reportType=one.report_type,
        arguments=cast("dict[str, Any]", one.arguments),
        cron=one.cron,
        timeZone=one.time_zone,
        launcher=one.launcher,
        paused=one.paused,
        created=one.created,
        next=None if one.paused else one.next_at,
        last=one.last_at,
        lastRun=one.last_run,
        lastError=one.last_error or None,
    )
