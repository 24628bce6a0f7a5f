// Each of the seven reports, from its form to a downloaded file, as a new user finds them on the page of reports.
import { equal, open, server, signIn } from "./browser.mjs";

const FILLED = {
  Accounts: (page) => page.selectOption("#field-application", { label: "Finance App" }),
  "Identity Profile Identity Error": (page) => page.selectOption("#field-authoritativeSource", { index: 1 }),
  "Search Export": (page) => page.fill("#field-query", "@access(name:POST) AND @access(name:APPROVE)"),
};

const { browser, page, errors } = await open();
try {
  const began = Date.now();
  await signIn(page, "ann", "correct horse battery");
  await page.goto(`${server}/console/reports`);
  const names = await page.locator("main h2 a").allTextContents();
  equal(names.length, 7, "the number of reports");
  for (const name of names.map((text) => text.trim())) {
    await page.getByRole("link", { name: "Reports", exact: true }).first().click();
    await page.getByRole("link", { name, exact: true }).click();
    await FILLED[name]?.(page);
    await page.getByLabel("CSV", { exact: true }).check();
    await page.getByRole("button", { name: "Run the report" }).click();
    const link = page.getByRole("link", { name: "Download CSV" });
    await link.waitFor();
    const download = page.waitForEvent("download");
    await link.click();
    console.log(`${name}: ${(await download).suggestedFilename()}, ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
  equal(errors, [], "errors in the console of the browser");
} finally {
  await browser.close();
}
