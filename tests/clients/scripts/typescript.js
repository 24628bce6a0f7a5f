// As a user of the official TypeScript SDK writes it: `SAIL_*` in the environment, an empty working folder.
const sdk = require("sailpoint-api-client");

const [application, sourceName] = process.argv.slice(2);
const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

async function lifecycle(api, wrap) {
  const seen = {};
  const until = async (id) => {
    let result = (await api.getReportResult({ taskResultId: id })).data;
    while (result.status == null) {
      await pause();
      result = (await api.getReportResult({ taskResultId: id, completed: false })).data;
    }
    return result;
  };
  const details = { reportType: "ACCOUNTS", arguments: { application, sourceName } };
  const run = (await api.startReport(wrap(details))).data;
  seen.start = run;
  seen.result = await until(run.id);
  const file = await api.getReport({ taskResultId: run.id, fileFormat: "csv", name: "My Rep/../é", auditable: true });
  seen.file = file.data;
  seen.disposition = file.headers["content-disposition"];
  const pdf = await api.getReport({ taskResultId: run.id, fileFormat: "pdf" }, { responseType: "arraybuffer" });
  seen.pdf = Buffer.from(pdf.data).subarray(0, 5).toString();
  const search = { query: "name:a*", indices: ["identities"], columns: "name", sort: ["-name"] };
  const searched = (await api.startReport(wrap({ reportType: "SEARCH_EXPORT", arguments: search }))).data;
  seen.search = searched;
  seen.searchResult = await until(searched.id);
  const zip = await api.getReport({ taskResultId: searched.id, fileFormat: "csv" }, { responseType: "arraybuffer" });
  seen.zip = Buffer.from(zip.data).toString("base64");
  seen.zipType = zip.headers["content-type"];
  seen.cancel = (await api.cancelReport({ id: run.id })).status;
  try {
    await api.getReportResult({ taskResultId: "0".repeat(32) });
  } catch (error) {
    seen.unknown = { status: error.response.status, body: error.response.data };
  }
  return seen;
}

async function main() {
  const configuration = new sdk.Configuration();
  const seen = {};
  const apis = [
    ["v3", sdk.ReportsDataExtractionApi, (details) => ({ reportDetails: details })],
    ["v2024", sdk.ReportsDataExtractionV2024Api, (details) => ({ reportDetailsV2024: details })],
  ];
  for (const [version, Api, wrap] of apis) seen[version] = await lifecycle(new Api(configuration), wrap);
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error.message, error.response && error.response.data);
  process.exit(1);
});
