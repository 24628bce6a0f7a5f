"""Routes of the four report operations: start a run, read its result, download its file, cancel it.

They are mounted under the prefix of each API version (`PREFIXES`), and are the same under all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from whohas.api import openapi
from whohas.api.actors import request_actor
from whohas.api.dependencies import caller_of
from whohas.api.downloads import Download, file_response
from whohas.api.errors import MethodNotAllowed, json_response, request_context
from whohas.api.mappers import report_results, task_result_details
from whohas.api.requests import BoolParameter, FileFormatParameter, json_object, validate_run_id
from whohas.contract import ReportDetails, ReportResults, ReportType, TaskResultDetails
from whohas.errors import InvalidArguments
from whohas.formats.registry import find_format
from whohas.storage import ZIP_MEDIA_TYPE

if TYPE_CHECKING:
    from whohas.services import Services

PREFIXES = (
    "/v3/reports",
    "/v2024/reports",
    "/v2025/reports",
    "/v2026/reports",
    "/latest/reports",
    "/reports/v1",
)

Body = Annotated[dict[str, Any], Depends(json_object)]


def report_routes(services: Services) -> APIRouter:
    """Return the routes of the four operations, to be mounted under each of `PREFIXES`.

    The endpoints are plain functions, so that FastAPI runs each in a thread: database queries block.
    """
    router = APIRouter(tags=["Reports Data Extraction"])
    runs = services.runs

    def start(request: Request, body: Body) -> Response:
        caller = caller_of(request)
        with services.tracing.span("start"):
            run = runs.start(
                _report_type(body),
                _arguments(body),
                caller.name,
                caller,
                request_context(request.scope),
                request_actor(request),
            )
        return json_response(task_result_details(run))

    def result(
        request: Request,
        id: str,
        completed: Annotated[BoolParameter, Query(description=openapi.COMPLETED)] = False,
    ) -> Response:
        caller = caller_of(request)
        run = runs.get(validate_run_id(id), caller)
        if runs.is_report_disabled(run.report_type):
            return JSONResponse({})
        if completed and not run.state.is_over:
            run = runs.newest_completed(run, caller) or run
        return json_response(report_results(run))

    def file(
        request: Request,
        id: str,
        fileFormat: Annotated[FileFormatParameter, Query(description=openapi.FILE_FORMAT)],  # noqa: N803 - the contract's name
        name: Annotated[str | None, Query(description=openapi.NAME)] = None,
        auditable: Annotated[BoolParameter, Query(description=openapi.AUDITABLE)] = False,
    ) -> Response:
        run, artefact = runs.get_artifact(validate_run_id(id), fileFormat, caller_of(request))
        request.state.download = (run.report_type, artefact.format)
        default = services.settings.csv_media_type if fileFormat == "csv" else find_format(fileFormat).media_type
        media_type = artefact.media_type or default

        def begin(file_name: str, span: tuple[int, int] | None) -> None:
            if auditable or services.settings.audit_downloads == "all":
                runs.record_download(run, artefact, request_actor(request), file_name, span)

        return file_response(
            request,
            Download(
                path=services.artefacts.path(run.id, artefact),
                media_type=media_type,
                sha256=artefact.sha256,
                preferred_name=name,
                default_name=run.report_name,
                extension="zip" if media_type == ZIP_MEDIA_TYPE else artefact.format,
                on_start=begin,
            ),
        )

    def cancel(request: Request, id: str) -> Response:
        runs.cancel(validate_run_id(id), caller_of(request), request_actor(request))
        return Response(status_code=204)

    def only_post() -> Response:
        raise MethodNotAllowed("Runs are started and cancelled with POST.", allow="POST")

    refusals = openapi.ERROR_RESPONSES
    router.add_api_route(
        "/run",
        start,
        methods=["POST"],
        name="startReport",
        dependencies=openapi.security_dependencies("startReport"),
        summary="Start a report, or get the active run of the same report and arguments",
        openapi_extra={
            **openapi.request_body(ReportDetails, openapi.START_EXAMPLES),
            **openapi.user_levels("startReport"),
        },
        responses={200: {"model": TaskResultDetails, "description": "The current state of the run."}, **refusals},
    )
    router.add_api_route("/run", only_post, methods=["GET", "HEAD"], name="startReport", include_in_schema=False)
    router.add_api_route(
        "/{id:path}/result",
        result,
        methods=["GET"],
        name="getReportResult",
        dependencies=openapi.security_dependencies("getReportResult"),
        summary="The result of a run, or its progress",
        responses={
            200: {"model": ReportResults, "description": "The result; `status` is null until the run is over."},
            **refusals,
        },
    )
    router.add_api_route(
        "/{id:path}/cancel",
        cancel,
        methods=["POST"],
        status_code=204,
        name="cancelReport",
        dependencies=openapi.security_dependencies("cancelReport"),
        summary="Cancel a run; no effect if it is over",
        responses=refusals,
    )
    router.add_api_route(
        "/{id:path}/cancel", only_post, methods=["GET", "HEAD"], name="cancelReport", include_in_schema=False
    )
    router.add_api_route(
        "/{id:path}",
        file,
        methods=["GET"],
        name="getReport",
        dependencies=openapi.security_dependencies("getReport"),
        summary="Download a finished file",
        response_class=Response,
        responses={200: openapi.FILE_RESPONSE, **refusals},
    )
    for path, endpoint, name in (("/{id:path}/result", result, "getReportResult"), ("/{id:path}", file, "getReport")):
        router.add_api_route(path, endpoint, methods=["HEAD"], name=name, include_in_schema=False)
    return router


def _report_type(body: dict[str, Any]) -> str:
    report_type = body.get("reportType")
    if not isinstance(report_type, str) or not report_type.strip():
        fault = "is missing" if report_type in (None, "") else "must be a text"
        raise InvalidArguments(f"reportType {fault}. Choose from {', '.join(ReportType)}.")
    return report_type.strip()


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    arguments = body.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise InvalidArguments('arguments must be a JSON object, such as {"sourceName": "Active Directory"}.')
    return arguments
