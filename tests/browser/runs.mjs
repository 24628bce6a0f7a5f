// The list of runs: filtered, sorted, with nothing that matches.
import { check, equal, open, server, signIn } from "./browser.mjs";

const seen = await open([/status of 40[04]/]);
const { browser, page } = seen;
try {
  await signIn(page, "ann", "correct horse battery");
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await page.getByRole("heading", { name: "Runs" }).waitFor();
  await check(seen, "runs");
  await page.selectOption("#filter-state", "failed");
  await page.waitForURL(/state=failed/);
  await page.getByText("No run matches.").waitFor();
  await check(seen, "runs-none");
  await page.getByRole("link", { name: "Show all runs" }).click();
  await page.fill("#filter-text", "active dir");
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=active/);
  await page.getByRole("columnheader", { name: "Rows" }).getByRole("link").click();
  await page.waitForURL(/order=-rows/);
  equal(await page.getByRole("columnheader", { name: "Rows" }).getAttribute("aria-sort"), "descending", "the order");
  await page.goto(`${server}/console/runs/${"0".repeat(32)}`);
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await check(seen, "no-run");
} finally {
  await browser.close();
}
