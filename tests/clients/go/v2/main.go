// As a user of the official Go SDK v2 writes it: the four examples of its page on reports, with ids put in.
// The first argument names the example, the second is the id of a run or a source; what was seen comes out as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	sailpoint "github.com/sailpoint-oss/golang-sdk/v2"
	v2025 "github.com/sailpoint-oss/golang-sdk/v2/api_v2025"
)

func main() {
	configuration := sailpoint.NewDefaultConfiguration()
	apiClient := sailpoint.NewAPIClient(configuration)
	api := apiClient.V2025.ReportsDataExtractionAPI

	switch example, id := os.Args[1], os.Args[2]; example {
	case "start":
		reportdetails := []byte(fmt.Sprintf(
			`{"reportType": "ACCOUNTS", "arguments": {"application": %q, "sourceName": %q}}`, id, os.Args[3]))
		var reportDetails v2025.ReportDetails
		if err := json.Unmarshal(reportdetails, &reportDetails); err != nil {
			fmt.Println("Error:", err)
			os.Exit(1)
		}
		resp, r, err := api.StartReport(context.Background()).ReportDetails(reportDetails).Execute()
		show(resp, r, err)
	case "search":
		arguments := v2025.NewSearchExportReportArguments("name:a* AND @access(type:ROLE)")
		arguments.SetIndices([]v2025.Index{"identities"})
		arguments.SetColumns("name,access.spread")
		details := v2025.ReportDetails{}
		details.SetReportType("SEARCH_EXPORT")
		details.SetArguments(v2025.ReportDetailsArguments{SearchExportReportArguments: arguments})
		resp, r, err := api.StartReport(context.Background()).ReportDetails(details).Execute()
		show(resp, r, err)
	case "result":
		resp, r, err := api.GetReportResult(context.Background(), id).Execute()
		show(resp, r, err)
	case "completed result":
		resp, r, err := api.GetReportResult(context.Background(), id).Completed(true).Execute()
		show(resp, r, err)
	case "file":
		resp, r, err := api.GetReport(context.Background(), id).FileFormat("csv").Execute()
		showFile(resp, r, err)
	case "named file":
		name := "Identities Details Report"
		resp, r, err := api.GetReport(context.Background(), id).FileFormat("csv").Name(name).Auditable(true).Execute()
		showFile(resp, r, err)
	case "cancel":
		r, err := api.CancelReport(context.Background(), id).Execute()
		show(nil, r, err)
	default:
		panic("no example " + example)
	}
}

func showFile(file *os.File, r *http.Response, err error) {
	if file == nil {
		show(nil, r, err)
		return
	}
	content, unread := io.ReadAll(file)
	if unread != nil {
		panic(unread)
	}
	os.Remove(file.Name())
	show(content, r, err)
}

// A []byte comes out as base64.
func show(seen any, r *http.Response, err error) {
	out := map[string]any{"seen": seen}
	if err != nil {
		out["error"] = err.Error()
		if withBody, ok := err.(interface{ Body() []byte }); ok {
			out["body"] = string(withBody.Body())
		}
	}
	if r != nil {
		out["status"] = r.StatusCode
		out["disposition"] = r.Header.Get("Content-Disposition")
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
}
