// What administrators do: schedules, webhooks, clients, users, and the verification of the audit log.
import { check, equal, open, server, signIn } from "./browser.mjs";

const seen = await open([/status of 400/]);
const { browser, page } = seen;
page.on("dialog", (dialog) => dialog.accept());
const follow = (name) => page.getByRole("navigation", { name: "Main" }).getByRole("link", { name }).click();
try {
  await signIn(page, "ann", "correct horse battery");
  await follow("Schedules");
  await check(seen, "schedules-empty");
  await page.getByRole("link", { name: "New schedule" }).first().click();
  await page.getByLabel("Report").selectOption("ORPHAN_IDENTITIES");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Name").fill("Orphans of the week");
  await page.getByLabel("When").fill("99 6 * * MON");
  await page.getByRole("button", { name: "Create the schedule" }).click();
  await page.getByText("The schedule was not created").waitFor();
  await check(seen, "schedule-new");
  await page.getByLabel("When").fill("0 6 * * MON");
  await page.getByRole("button", { name: "Create the schedule" }).click();
  await page.getByRole("status").filter({ hasText: "was created" }).waitFor();
  await check(seen, "schedules");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("is paused").waitFor();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByText("was removed").waitFor();

  await follow("Webhooks");
  await page.getByRole("textbox", { name: "Address" }).fill("https://127.0.0.1:9/x");
  await page.getByRole("button", { name: "Add the webhook" }).click();
  await page.getByText("on this machine or a private network").waitFor();
  await check(seen, "webhooks-refused");
  await page.getByRole("textbox", { name: "Address" }).fill("https://hooks.invalid/whohas");
  await page.getByRole("button", { name: "Add the webhook" }).click();
  await page.getByText("it is not shown again").waitFor();
  await check(seen, "webhook-secret");
  await page.getByRole("link", { name: "Done" }).click();
  await page.getByRole("button", { name: "Send a test" }).click();
  await page.getByText("did not accept the test message").waitFor();
  await check(seen, "webhooks");
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByText("There is no webhook yet.").waitFor();

  await follow("Clients");
  await page.getByRole("textbox", { name: "Name" }).fill("nightly export");
  await page.getByRole("button", { name: "Create the client" }).click();
  await page.getByText("it is not shown again").waitFor();
  await page.getByRole("link", { name: "Done" }).click();
  await check(seen, "clients");
  await page.getByRole("row").filter({ hasText: "nightly export" }).filter({ hasText: "Active" }).first().getByRole("button", { name: "Revoke" }).click();
  await page.getByText("its tokens are over").waitFor();

  await follow("Users");
  const name = `viv ${Math.random()}`;
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  await page.getByRole("button", { name: "Create the user" }).click();
  await page.getByText("it is not shown again").waitFor();
  await check(seen, "user-secret");
  await page.getByRole("link", { name: "Done" }).click();
  await check(seen, "users");
  await page.getByRole("row").filter({ hasText: name }).getByRole("button", { name: "Disable" }).click();
  await page.getByRole("status").filter({ hasText: "is disabled" }).waitFor();

  await follow("Audit log");
  await check(seen, "audit");
  await page.getByLabel("What").selectOption("user.created");
  await page.waitForURL(/type=user.created/);
  equal(await page.getByRole("rowheader").first().textContent(), "user.created", "the first event of the type");
  await page.getByText("The event", { exact: true }).first().click();
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText(/Verified: .* in order and unchanged/).waitFor();
  await check(seen, "audit-verified");
} finally {
  await browser.close();
}
