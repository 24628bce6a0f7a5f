"""As a user of the official Python SDK 1.4.2 writes it: `SAIL_*` in the environment, an empty working folder."""

import json
import os
import sys
import time

from sailpoint.configuration import Configuration
from sailpoint.v2025.api.reports_data_extraction_api import ReportsDataExtractionApi
from sailpoint.v2025.api_client import ApiClient
from sailpoint.v2025.exceptions import ApiException, BadRequestException
from sailpoint.v2025.models.accounts_export_report_arguments import AccountsExportReportArguments
from sailpoint.v2025.models.report_details import ReportDetails
from sailpoint.v2025.models.report_details_arguments import ReportDetailsArguments
from sailpoint.v2025.models.search_export_report_arguments import SearchExportReportArguments

application, source_name = sys.argv[1:]
seen = {}

with ApiClient(Configuration()) as client:
    api = ReportsDataExtractionApi(client)
    arguments = ReportDetailsArguments(AccountsExportReportArguments(application=application, sourceName=source_name))
    details = ReportDetails(reportType="ACCOUNTS", arguments=arguments)

    run = api.start_report(details)
    seen["start"] = run.to_dict()

    result = api.get_report_result(run.id)
    while result.status is None:
        time.sleep(0.1)
        result = api.get_report_result(run.id, completed=False)
    seen["result"] = result.to_dict()

    seen["file"] = api.get_report(run.id, "csv", name="Directory accounts", auditable=True)
    seen["default file"] = api.get_report(run.id, "csv")
    pdf = api.get_report_with_http_info(run.id, "pdf", name="My Rep/../é")
    seen["pdf"] = {"file": pdf.data, "type": pdf.headers["content-type"]}

    cancelled = api.start_report(details)
    seen["cancel"] = api.cancel_report_with_http_info(cancelled.id).status_code
    result = api.get_report_result(cancelled.id)
    while result.status is None:
        time.sleep(0.1)
        result = api.get_report_result(cancelled.id)
    seen["cancelled"] = result.status

    search = SearchExportReportArguments(
        indices=["identities"], query="name:a* AND @access(type:ROLE)", columns="name,access.spread", sort=["-name"]
    )
    run = api.start_report(ReportDetails(reportType="SEARCH_EXPORT", arguments=ReportDetailsArguments(search)))
    seen["search"] = run.to_dict()
    result = api.get_report_result(run.id)
    while result.status is None:
        time.sleep(0.1)
        result = api.get_report_result(run.id)
    seen["search result"] = result.to_dict()
    seen["search file"] = api.get_report(run.id, "csv")

    try:
        text = '{"reportType": "SEARCH_EXPORT", "arguments": {"indices": ["identities"], "query": "name:a*"}}'
        api.start_report(ReportDetails.from_json(text))
    except BadRequestException as error:
        seen["from_json"] = {"status": error.status, "body": json.loads(error.body)}

    try:
        api.get_report_result("0" * 32)
    except ApiException as error:
        seen["unknown"] = {"status": error.status, "body": json.loads(error.body)}

    for wrong in ("a/b", "../../etc/passwd", "x" * 500):
        try:
            api.get_report_result(wrong)
        except ApiException as error:
            seen.setdefault("odd ids", []).append(error.status)

os.environ["SAIL_CLIENT_SECRET"] = "wrong"
try:
    ReportsDataExtractionApi(ApiClient(Configuration())).get_report_result("0" * 32)
except Exception as error:
    seen["wrong secret"] = getattr(error, "status", type(error).__name__)

print(json.dumps(seen, default=str))
