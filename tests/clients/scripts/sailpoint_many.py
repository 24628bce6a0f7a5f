"""As a user of the official Python SDK 2.1.72 polls a little too often; prints how often, and how long it took."""

import json
import sys
import time

from sailpoint.configuration import Configuration
from sailpoint.reports_data_extraction.api.reports_data_extraction_api import ReportsDataExtractionApi
from sailpoint.reports_data_extraction.api_client import ApiClient
from sailpoint.reports_data_extraction.exceptions import ApiException
from sailpoint.reports_data_extraction.models.report_details import ReportDetails

api = ReportsDataExtractionApi(ApiClient(Configuration()))
run = api.start_report_v1(ReportDetails(reportType="ORPHAN_IDENTITIES"))
begun = time.monotonic()
for _ in range(int(sys.argv[1])):
    result = api.get_report_result_v1(run.id)
waited = time.monotonic() - begun

refused = None
try:
    while True:
        api.start_report_v1(ReportDetails(reportType="ORPHAN_IDENTITIES"))
except ApiException as error:
    refused = {"status": error.status, "body": json.loads(error.body), "retry": error.headers["retry-after"]}

print(json.dumps({"waited": waited, "id": result.id, "refused": refused}))
