// A load that was stopped: seen on the start page, understood on its own, with the command that repairs it. Then a source.
import { check, equal, open, server, signIn } from "./browser.mjs";

const seen = await open([/status of 404/]);
const { browser, page } = seen;
try {
  await signIn(page, "ann", "correct horse battery");
  await check(seen, "start-failed-load");
  await page.getByRole("link", { name: "Understand and repair it" }).last().click();
  await page.getByText("to protect data").first().waitFor();
  await page.getByText(/whohas load --accept-loss \//).waitFor();
  await check(seen, "load-stopped");
  await page.getByRole("link", { name: "Sources and loads" }).click();
  await check(seen, "sources");
  await page.getByRole("region", { name: "Loads" }).getByRole("row").filter({ hasText: "Published with losses" }).getByRole("link").first().click();
  await page.getByRole("heading", { name: "Rejected rows and emptied cells" }).waitFor();
  await check(seen, "load-rejects");
  await page.getByRole("region", { name: "Accounts by source" }).getByRole("link").first().click();
  await page.getByRole("heading", { name: "Missing from its data" }).waitFor();
  await check(seen, "source");
  const response = await page.goto(`${server}/console/sources/nothing`);
  equal(response.status(), 404, "the status of an unknown source");
} finally {
  await browser.close();
}
