"""Routes of the four report operations: start a run, read its result, download its file, cancel it.

They are mounted under the prefix of each API version (`PREFIXES`), and are the same under all of them.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from whohas.api import openapi
from whohas.api.actors import request_actor
from whohas.api.dependencies import caller_of, services_of
from whohas.api.downloads import artifact_response
from whohas.api.errors import MethodNotAllowed, json_response, request_context
from whohas.api.mappers import report_results, task_result_details
from whohas.api.requests import BoolParameter, FileFormatParameter, json_object, validate_run_id
from whohas.contract import ReportDetails, ReportResults, TaskResultDetails
from whohas.errors import InvalidArguments, MissingArgument
from whohas.reports import report_type_names

PREFIXES = (
    "/v3/reports",
    "/v2024/reports",
    "/v2025/reports",
    "/v2026/reports",
    "/latest/reports",
    "/reports/v1",
)

_ONLY_POST = "Runs are started and cancelled with POST."

_SDK_HINT = (
    "With the Python SDK: ReportDetails.from_json and from_dict replace the arguments of this report by those of "
    "another one before they are sent. Construct ReportDetails with a ReportDetailsArguments of this report's own "
    "class instead."
)

Body = Annotated[dict[str, Any], Depends(json_object)]


router = APIRouter(tags=["Reports Data Extraction"])

# The endpoints are plain functions, so that FastAPI runs each in a thread: database queries block.


@router.post(
    "/run",
    **openapi.operation(
        "startReport",
        summary="Start a report, or get the active run of the same report and arguments",
        responses={200: {"model": TaskResultDetails, "description": "The current state of the run."}},
        openapi_extra=openapi.request_body(ReportDetails, openapi.START_EXAMPLES),
    ),
)
def start_report(request: Request, body: Body) -> Response:
    """Start a run, or join the active run of the same report and arguments."""
    caller, services = caller_of(request), services_of(request)
    report_type = _report_type(body)
    with services.tracing.span("start"):
        try:
            run = services.runs.start(
                report_type,
                _arguments(body),
                caller.name,
                caller,
                request_context(request.scope),
                request_actor(request),
            )
        except MissingArgument as error:
            hint = "" if report_type == "ACCOUNTS" else f" {_SDK_HINT}"
            raise MissingArgument(f"{error.message}{hint}") from None
    return json_response(task_result_details(run))


@router.api_route("/run", methods=["GET", "HEAD"], name="startReport", include_in_schema=False)
def reject_get_of_run() -> Response:
    """Answer 405. Without this route, `run` would be taken for the id of a run to download."""
    raise MethodNotAllowed(_ONLY_POST, allow="POST")


@router.get(
    "/{id:path}/result",
    **openapi.operation(
        "getReportResult",
        summary="The result of a run, or its progress",
        responses={200: {"model": ReportResults, "description": "The result; `status` is null until the run is over."}},
    ),
)
def get_report_result(
    request: Request,
    id: str,
    completed: Annotated[BoolParameter, Query(description=openapi.COMPLETED)] = False,
) -> Response:
    """Return the result of a run; an empty object if the report is disabled."""
    caller, runs = caller_of(request), services_of(request).runs
    run = runs.get(validate_run_id(id), caller)
    if runs.is_report_disabled(run.report_type):
        return JSONResponse({})
    if completed and not run.state.is_over:
        run = runs.newest_completed(run, caller) or run
    return json_response(report_results(run))


@router.post(
    "/{id:path}/cancel",
    status_code=204,
    **openapi.operation("cancelReport", summary="Cancel a run; no effect if it is over"),
)
def cancel_report(request: Request, id: str) -> Response:
    """Cancel a run."""
    services_of(request).runs.cancel(validate_run_id(id), caller_of(request), request_actor(request))
    return Response(status_code=204)


@router.api_route("/{id:path}/cancel", methods=["GET", "HEAD"], name="cancelReport", include_in_schema=False)
def reject_get_of_cancel() -> Response:
    """Answer 405. Without this route, the path would be taken for the id of a run to download."""
    raise MethodNotAllowed(_ONLY_POST, allow="POST")


@router.get(
    "/{id:path}",
    response_class=Response,
    **openapi.operation("getReport", summary="Download a finished file", responses={200: openapi.FILE_RESPONSE}),
)
def download_report(
    request: Request,
    id: str,
    fileFormat: Annotated[FileFormatParameter, Query(description=openapi.FILE_FORMAT)],  # noqa: N803 - the contract's name
    name: Annotated[str | None, Query(description=openapi.NAME)] = None,
    auditable: Annotated[BoolParameter, Query(description=openapi.AUDITABLE)] = False,
) -> Response:
    """Send a file of a run, whole or in part, and record the download if the caller or a setting asks for that."""
    services = services_of(request)
    run, artefact = services.runs.get_artifact(validate_run_id(id), fileFormat, caller_of(request))
    request.state.download = (run.report_type, artefact.format)
    return artifact_response(
        request,
        services,
        run,
        artefact,
        by=request_actor(request),
        is_audited=auditable or services.settings.audit_downloads == "all",
        preferred_name=name,
    )


# HEAD is rare, and routes are compared in this order
router.head("/{id:path}/result", name="getReportResult", include_in_schema=False)(get_report_result)
router.head("/{id:path}", name="getReport", include_in_schema=False)(download_report)


def _report_type(body: dict[str, Any]) -> str:
    report_type = body.get("reportType")
    if not isinstance(report_type, str) or not report_type.strip():
        fault = "is missing" if report_type in (None, "") else "must be a text"
        raise InvalidArguments(f"reportType {fault}. Choose from {report_type_names()}.")
    return report_type.strip()


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    arguments = body.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise InvalidArguments('arguments must be a JSON object, such as {"sourceName": "Active Directory"}.')
    return arguments
