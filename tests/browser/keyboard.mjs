// The main act of each page by keyboard alone: Tab, Enter, Space, the arrow keys and letters; no mouse.
import { equal, open, server, tabTo } from "./browser.mjs";

const { browser, page } = await open([/status of 400/]);
const main = page.getByRole("main");
const press = (key) => page.keyboard.press(key);
const type = (text) => page.keyboard.type(text);

async function openPage(name, heading = name) {
  const link = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name, exact: true });
  await tabTo(page, link, `the link ${name}`);
  await press("Enter");
  await main.getByRole("heading", { level: 1, name: heading }).waitFor();
}

async function activate(locator, what, key = "Enter") {
  await tabTo(page, locator, what, 200);
  await press(key);
}

try {
  await page.goto(server);
  await activate(main.getByRole("link", { name: "Sign in" }), "Sign in");
  await page.locator("#user").waitFor();
  await tabTo(page, page.locator("#user"), "the name");
  await type("ann");
  await press("Tab");
  await type("correct horse battery");
  await press("Enter");
  await page.waitForURL(/\/console$/);

  await openPage("Reports");
  await activate(main.getByRole("link", { name: "Accounts", exact: true }), "the report");
  await tabTo(page, page.locator("#field-application"), "the source");
  await type("Active");
  await activate(page.getByLabel("CSV", { exact: true }), "CSV", "Space");
  await activate(page.getByRole("button", { name: "Run the report" }), "Run the report");
  const download = page.getByRole("link", { name: "Download CSV" });
  await download.waitFor();
  const downloaded = page.waitForEvent("download");
  await activate(download, "Download CSV");
  equal((await downloaded).suggestedFilename(), "Accounts Report - Active Directory.csv", "the download");
  await activate(page.getByRole("button", { name: "Hold this run" }), "Hold this run");
  await page.getByRole("status").filter({ hasText: "The run is held" }).waitFor();
  await activate(page.getByRole("link", { name: "Show the rows" }), "Show the rows");
  await page.locator("[role=gridcell]").first().waitFor();
  await activate(page.getByRole("columnheader").first().getByRole("button"), "the first column");
  await page.locator('[aria-sort="ascending"]').waitFor();
  await tabTo(page, page.locator('[role=gridcell][tabindex="0"]'), "the rows");
  await press("Control+End");
  await page.locator('[data-row="303"]:focus').waitFor();

  await openPage("Runs");
  await activate(page.getByRole("columnheader", { name: "Launcher" }).getByRole("link"), "sort by launcher");
  await page.waitForURL(/order=-launcher/);
  await tabTo(page, page.locator("#filter-text"), "the filter");
  await type("active");
  await press("Enter");
  await page.waitForURL(/text=active/);

  await openPage("Search");
  await tabTo(page, page.locator("#field-query"), "the query");
  await type("lastName:oak*");
  await press("Escape");
  await press("Enter");
  await page.getByRole("heading", { name: / found$/ }).waitFor();
  await activate(page.getByRole("rowheader").first().getByRole("link"), "the first hit");
  await activate(page.getByRole("link", { name: /^Who has it/ }).first(), "Who has it");
  await page.getByRole("heading", { name: / found$/ }).waitFor();

  await openPage("Sources", "Sources and loads");
  await activate(page.getByRole("region", { name: /sources$/ }).getByRole("link").first(), "the first source");
  await activate(page.getByRole("link", { name: "Report its accounts" }), "Report its accounts");
  await page.getByRole("button", { name: "Run the report" }).waitFor();

  await openPage("Schedules");
  await activate(page.getByRole("link", { name: "New schedule" }).first(), "New schedule");
  await tabTo(page, page.getByLabel("Report"), "the report");
  await type("Orphan");
  await activate(page.getByRole("button", { name: "Continue" }), "Continue");
  await tabTo(page, page.getByLabel("Name"), "the name");
  await type("By keyboard");
  await tabTo(page, page.getByLabel("When"), "the time");
  await press("Control+A");
  await type("0 6 * * MON");
  await activate(page.getByRole("button", { name: "Create the schedule" }), "Create the schedule");
  await page.getByRole("status").filter({ hasText: "was created" }).waitFor();

  await openPage("Webhooks");
  await tabTo(page, page.getByRole("textbox", { name: "Address" }), "the address");
  await type("https://hooks.invalid/keyboard");
  await activate(page.getByRole("button", { name: "Add the webhook" }), "Add the webhook");
  await page.getByText("it is not shown again").waitFor();
  for (const [name, button] of [["Clients", "Create the client"], ["Users", "Create the user"]]) {
    await openPage(name);
    await tabTo(page, page.getByRole("textbox", { name: "Name" }), "the name");
    await type("By keyboard");
    await activate(page.getByRole("button", { name: button }), button);
    await page.getByText("it is not shown again").waitFor();
  }
  await openPage("Audit log");
  await activate(page.getByRole("button", { name: "Verify" }), "Verify");
  await page.getByText(/Verified: .* in order and unchanged/).waitFor();

  await activate(page.locator("details.account summary"), "the menu of the user");
  await activate(page.getByRole("button", { name: "Sign out", exact: true }), "Sign out");
  await page.getByRole("link", { name: "Sign in" }).first().waitFor();
} finally {
  await browser.close();
}
