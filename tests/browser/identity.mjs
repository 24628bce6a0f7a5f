// From a search to an identity: what it has and through what, its manager, who else has an entitlement, and a wrong address.
import { check, equal, open, server, signIn } from "./browser.mjs";

const seen = await open([/status of 404/]);
const { browser, page } = seen;
try {
  await signIn(page, "ann", "correct horse battery");
  await page.goto(`${server}/console/search?query=${encodeURIComponent('@access(type:ROLE) AND accountCount:[4 TO *]')}`);
  await page.getByRole("rowheader").first().getByRole("link").click();
  await page.getByRole("heading", { name: "Access, and through what" }).waitFor();
  await page.getByRole("img", { name: /^Access of/ }).waitFor();
  await check(seen, "identity");
  const manager = page.getByRole("region", { name: "State and manager" }).getByRole("link").first();
  const name = await manager.textContent();
  await manager.click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  await check(seen, "identity-manager");
  await page.getByRole("link", { name: /^Who has it/ }).first().click();
  await page.getByRole("heading", { name: / found$/ }).waitFor();
  const response = await page.goto(`${server}/console/identities/nobody`);
  equal(response.status(), 404, "the status of an unknown identity");
  await page.getByRole("link", { name: "Search for the name" }).waitFor();
  await check(seen, "identity-missing");
} finally {
  await browser.close();
}
