// From the reports to the rows: a wrong argument, a run that is watched to its end, its page, its table, a download.
import { check, equal, fail, open, server, signIn } from "./browser.mjs";

const seen = await open([/status of 400/]);
const { browser, page } = seen;
try {
  await signIn(page, "ann", "correct horse battery");
  await page.goto(`${server}/console/reports`);
  await check(seen, "reports");
  await page.getByRole("link", { name: "Search Export" }).click();
  await check(seen, "report-search");
  await page.fill("#field-query", "name:(");
  await page.getByRole("button", { name: "Run the report" }).click();
  await page.locator("#field-query[aria-invalid]").waitFor();
  equal(await page.inputValue("#field-query"), "name:(", "what was entered");
  await check(seen, "report-wrong");
  // completion, the check and the first hits while the query is typed; columns by a click; a schedule
  await page.goto(`${server}/console/reports/SEARCH_EXPORT`);
  equal(await page.locator("[name=indices]:checked").getAttribute("value"), "identities", "the index that is ticked");
  const query = page.locator("#field-query");
  await query.pressSequentially("@accounts(source.na");
  await page.locator("#query-options [role=option]").filter({ hasText: "source.name" }).first().waitFor();
  await query.press("ArrowDown");
  await query.press("Enter");
  await query.pressSequentially("act");
  await page.locator("#query-options [role=option]").filter({ hasText: "Active Directory" }).waitFor();
  await query.press("ArrowDown");
  await query.press("Tab");
  equal(await query.inputValue(), '@accounts(source.name:"Active Directory"', "the query after two choices");
  await page.locator("#preview").getByText(/The query breaks at column/).waitFor();
  await check(seen, "report-query-broken");
  await query.press("End");
  await query.pressSequentially(" AND disabled:true)");
  await page.locator("#preview").getByText("20 found").waitFor();
  await page.locator("summary", { hasText: "Columns to choose from" }).click();
  for (const name of ["email", "displayName", "email", "email"]) await page.getByRole("button", { name, exact: true }).click();
  equal(await page.inputValue("#field-columns"), "displayName,email", "the columns that were clicked");
  // the first hits follow: these two columns alone
  await page.locator("#preview th:nth-child(2):last-child", { hasText: "Email" }).waitFor();
  await page.getByLabel("Roles").check();
  await page.locator("#columns button", { hasText: "accessProfileCount" }).first().waitFor();
  equal(await page.getByRole("button", { name: "email", exact: true }).getAttribute("aria-pressed"), "true", "a chosen column");
  await page.locator("summary", { hasText: "Run on a schedule" }).click();
  await check(seen, "report-query-hits");
  await page.goto(`${server}/console/reports/ACCOUNTS`);
  await page.selectOption("#field-application", { label: "Active Directory" });
  await page.getByLabel("PARQUET").check();
  await page.getByLabel("CSV", { exact: true }).check();
  await page.locator("summary", { hasText: "Options of the files" }).click();
  await check(seen, "report-accounts");
  await page.getByRole("button", { name: "Run the report" }).click();
  await page.waitForURL(/\/runs\/[0-9a-f]{32}$/);
  const run = page.url();
  // live: the files come without a reload
  await page.getByRole("link", { name: "Download CSV" }).waitFor();
  equal(await page.locator("#announce").textContent(), "Succeeded.", "what a screen reader is told");
  await check(seen, "run");
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download CSV" }).click();
  equal((await download).suggestedFilename(), "Accounts Report - Active Directory.csv", "the name of the download");
  await page.getByRole("link", { name: "Show the rows" }).click();
  await page.locator("[role=gridcell]").first().waitFor();
  await check(seen, "rows");
  const count = () => page.locator("#grid-count").textContent();
  equal(await count(), "304 rows", "the rows");
  const cell = (row, column) => page.locator(`[data-row="${row}"][data-column="${column}"]`);
  await page.getByRole("columnheader", { name: "Account", exact: true }).getByRole("button").click();
  await page.locator('[aria-sort="ascending"]').waitFor();
  await cell(0, 1).waitFor();
  await page.locator("#grid:not([aria-busy])").waitFor();
  const lowest = await cell(0, 1).textContent();
  await page.getByRole("columnheader", { name: "Account", exact: true }).getByRole("button").click();
  await page.locator('[aria-sort="descending"]').waitFor();
  await page.locator("#grid:not([aria-busy])").waitFor();
  const highest = await cell(0, 1).textContent();
  if (!(lowest.toLowerCase() < highest.toLowerCase())) fail(`sorted: ${lowest} is not before ${highest}`);
  // by keyboard to the last cell, and into the row
  await cell(0, 1).focus();
  await page.keyboard.press("Control+End");
  const last = page.locator(":focus");
  equal(await last.getAttribute("data-row"), "303", "the row of Control+End");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Row 304" }).waitFor();
  await page.locator(".grid-row.waiting").first().waitFor({ state: "detached" });
  await check(seen, "row");
  await page.keyboard.press("Escape");
  await page.fill("#grid-text", lowest);
  await page.locator("#grid-count", { hasText: "of 304" }).waitFor();
  await page.fill("#grid-text", "no such text");
  await page.locator("#grid-count", { hasText: "0 rows of 304" }).waitFor();
  await check(seen, "rows-none");
  await page.goto(run);
  await page.getByRole("button", { name: "Run again" }).click();
  await page.getByRole("status").filter({ hasText: "Started again" }).waitFor();
  await page.goto(`${server}/console`);
  await check(seen, "start-with-runs");
} finally {
  await browser.close();
}
