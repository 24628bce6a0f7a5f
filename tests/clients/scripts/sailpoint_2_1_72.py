"""As a user of the official Python SDK 2.1.72 writes it: `SAIL_*` in the environment, an empty working folder."""

import json
import os
import sys
import time

from sailpoint.configuration import Configuration
from sailpoint.reports_data_extraction.api.reports_data_extraction_api import ReportsDataExtractionApi
from sailpoint.reports_data_extraction.api_client import ApiClient
from sailpoint.reports_data_extraction.exceptions import ApiException, BadRequestException
from sailpoint.reports_data_extraction.models.accountsexportreportarguments import Accountsexportreportarguments
from sailpoint.reports_data_extraction.models.report_details import ReportDetails
from sailpoint.reports_data_extraction.models.report_details_arguments import ReportDetailsArguments
from sailpoint.reports_data_extraction.models.searchexportreportarguments import Searchexportreportarguments

application, source_name = sys.argv[1:]
seen = {}

with ApiClient(Configuration()) as client:
    api = ReportsDataExtractionApi(client)
    arguments = ReportDetailsArguments(Accountsexportreportarguments(application=application, sourceName=source_name))
    details = ReportDetails(reportType="ACCOUNTS", arguments=arguments)

    run = api.start_report_v1(details)
    seen["start"] = run.to_dict()

    result = api.get_report_result_v1(run.id)
    while result.status is None:
        time.sleep(0.1)
        result = api.get_report_result_v1(run.id, completed=False)
    seen["result"] = result.to_dict()

    seen["file"] = api.get_report_v1(run.id, "csv", name="Directory accounts", auditable=True)
    seen["default file"] = api.get_report_v1(run.id, "csv")
    pdf = api.get_report_v1_with_http_info(run.id, "pdf", name="My Rep/../é")
    seen["pdf"] = {"file": pdf.data, "type": pdf.headers["content-type"]}

    cancelled = api.start_report_v1(details)
    seen["cancel"] = api.cancel_report_v1_with_http_info(cancelled.id).status_code
    result = api.get_report_result_v1(cancelled.id)
    while result.status is None:
        time.sleep(0.1)
        result = api.get_report_result_v1(cancelled.id)
    seen["cancelled"] = result.status

    search = Searchexportreportarguments(
        indices=["identities"], query="name:a* AND @access(type:ROLE)", columns="name,access.spread", sort=["-name"]
    )
    run = api.start_report_v1(ReportDetails(reportType="SEARCH_EXPORT", arguments=ReportDetailsArguments(search)))
    seen["search"] = run.to_dict()
    result = api.get_report_result_v1(run.id)
    while result.status is None:
        time.sleep(0.1)
        result = api.get_report_result_v1(run.id)
    seen["search result"] = result.to_dict()
    seen["search file"] = api.get_report_v1(run.id, "csv")

    try:
        text = '{"reportType": "SEARCH_EXPORT", "arguments": {"indices": ["identities"], "query": "name:a*"}}'
        api.start_report_v1(ReportDetails.from_json(text))
    except BadRequestException as error:
        seen["from_json"] = {"status": error.status, "body": json.loads(error.body)}

    try:
        api.get_report_result_v1("0" * 32)
    except ApiException as error:
        seen["unknown"] = {"status": error.status, "body": json.loads(error.body)}

    for wrong in ("a/b", "../../etc/passwd", "x" * 500):
        try:
            api.get_report_result_v1(wrong)
        except ApiException as error:
            seen.setdefault("odd ids", []).append(error.status)

os.environ["SAIL_CLIENT_SECRET"] = "wrong"
try:
    ReportsDataExtractionApi(ApiClient(Configuration())).get_report_result_v1("0" * 32)
except Exception as error:
    seen["wrong secret"] = getattr(error, "status", type(error).__name__)

print(json.dumps(seen, default=str))
