// A hundred thousand runs: each page of the list has fifty, whatever is filtered and sorted.
import { check, equal, open, server, signIn } from "./browser.mjs";

const RUNS = Number(process.env.RUNS);
const PAGE = 50;
const counted = new Intl.NumberFormat("en").format(RUNS);
const seen = await open();
const { browser, page } = seen;
const rows = () => page.getByRole("table").getByRole("rowheader").count();
try {
  await signIn(page, "ann", "correct horse battery");
  await page.getByText("Needs attention").waitFor();
  await check(seen, "many-start");
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await page.getByText(new RegExp(`${counted} runs`)).first().waitFor();
  equal(await rows(), PAGE, "the rows of the first page");
  await check(seen, "many-runs");
  await page.getByRole("columnheader", { name: "Rows" }).getByRole("link").click();
  await page.waitForURL(/order=-rows/);
  equal(await page.getByRole("row").nth(1).getByRole("cell").nth(1).textContent(), counted, "the most rows");
  await page.selectOption("#filter-state", "failed");
  await page.waitForURL(/state=failed/);
  await page.getByText(`${new Intl.NumberFormat("en").format(RUNS / 4)} runs`).first().waitFor();
  equal(await rows(), PAGE, "the rows of the failed ones");
  await check(seen, "many-runs-failed");
  await page.fill("#filter-text", `number ${RUNS - 4}`);
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=number/);
  await page.getByText(/^1 run$/).first().waitFor();
  await page.goto(`${server}/console/runs?page=${RUNS / PAGE}`);
  equal(await rows(), PAGE, "the rows of the last page");
  await check(seen, "many-runs-last");
  await page.getByRole("rowheader").last().getByRole("link").click();
  await page.getByRole("heading", { name: "About this run" }).waitFor();
} finally {
  await browser.close();
}
