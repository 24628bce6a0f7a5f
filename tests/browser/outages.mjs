// The server ends while pages are open, and comes back: what they say, that they go on without being loaded again, and that
// what was entered is still there. Then a run that fails.
import { act, check, equal, open, server, signIn } from "./browser.mjs";

const seen = await open([/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/, /Failed to fetch|network error/, /status of 404/]);
const { browser, page } = seen;
try {
  await signIn(page, "ann", "correct horse battery");
  await page.goto(`${server}/console/reports/ORPHAN_IDENTITIES`);
  await page.getByRole("button", { name: "Run the report" }).click();
  await page.getByText("Waiting for a free worker").waitFor();
  const run = page.url();
  await check(seen, "run-queued");
  const list = await page.context().newPage();
  await list.goto(`${server}/console/runs`);
  await list.getByRole("row").filter({ hasText: "Queued" }).waitFor();
  await list.fill("#filter-text", "entered before");
  const form = await page.context().newPage();
  await form.goto(`${server}/console/reports/SEARCH_EXPORT`);
  await form.fill("#field-columns", "name");
  await act("kill");
  await form.fill("#field-query", "name:a*");
  await form.locator("#preview").getByText("The server does not answer.").waitFor();
  for (const one of [page, list]) await one.getByText("The server does not answer.").waitFor();
  await check(seen, "run-interrupted");
  await act("start");
  // no page was loaded again
  await page.getByRole("heading", { name: "Files" }).waitFor();
  await list.getByRole("row").filter({ hasText: "Succeeded" }).waitFor();
  for (const one of [page, list]) equal(await one.getByText("The server does not answer.").count(), 0, "the message");
  equal(page.url(), run, "the page");
  equal(await list.inputValue("#filter-text"), "entered before", "what was entered");
  await form.locator("#preview").getByText(/\d found/).waitFor();
  equal(await form.getByText("The server does not answer.").count(), 0, "the message of the form");
  for (const [field, text] of [["query", "name:a*"], ["columns", "name"]]) equal(await form.inputValue(`#field-${field}`), text, field);
  await list.close();
  await form.close();

  // rows that cannot be fetched, and then can
  await page.goto(`${server}/console/reports/ACCOUNTS`);
  await page.selectOption("#field-application", { label: "Active Directory" });
  await page.getByRole("button", { name: "Run the report" }).click();
  await page.getByRole("link", { name: "Show the rows" }).click();
  await page.locator("[role=gridcell]").first().waitFor();
  await page.locator("#grid:not([aria-busy])").waitFor();
  await act("kill");
  await page.fill("#grid-text", "a");
  await page.getByText("The server does not answer. The rows come as soon as it does.").waitFor();
  await check(seen, "rows-interrupted");
  await act("start");
  await page.locator("#grid-count", { hasText: /rows? of 304$/ }).waitFor();
  equal(await page.inputValue("#grid-text"), "a", "what was entered");
  await page.fill("#grid-text", "");
  await page.locator("#grid-count", { hasText: /^304 rows$/ }).waitFor();
  await page.locator("[role=gridcell]").first().focus();
  await page.keyboard.press("Control+End");
  await page.locator('[data-row="303"]').first().waitFor();

  // a run that fails: seen where it happens, in the list and at the start; then it is repaired and run again
  await act("spoil");
  await page.goto(`${server}/console/reports/ACCOUNTS`);
  await page.selectOption("#field-application", { label: "Active Directory" });
  await page.getByRole("button", { name: "Run the report" }).click();
  await page.locator(".badge", { hasText: "Failed" }).waitFor();
  const failed = page.url();
  await check(seen, "run-failed");
  equal((await page.goto(`${failed}/rows`)).status(), 404, "the status of the rows of a failed run");
  await check(seen, "rows-failed");
  await page.goto(`${server}/console/runs?state=failed`);
  await page.getByRole("row").filter({ hasText: "Failed" }).first().waitFor();
  await check(seen, "runs-failed");
  await page.goto(`${server}/console`);
  await page.getByRole("region", { name: "Needs attention" }).getByRole("link", { name: "Accounts Report" }).waitFor();
  await check(seen, "start-failed-run");
  await act("mend");
  await page.getByRole("region", { name: "Needs attention" }).getByRole("link", { name: "Accounts Report" }).click();
  await page.getByRole("button", { name: "Run again" }).click();
  await page.getByRole("heading", { name: "Files" }).waitFor();
} finally {
  await browser.close();
}
