// The welcome, the sign-in, the start page, and the sign-out.
import { check, equal, open, server, signIn } from "./browser.mjs";

const seen = await open();
const { browser, page } = seen;
try {
  await page.goto(`${server}/`);
  equal(new URL(page.url()).pathname, "/console", "where a browser is sent");
  await check(seen, "welcome");
  await page.goto(`${server}/console/sign-in`);
  await check(seen, "sign-in");
  await signIn(page, "ann", "correct horse battery");
  await check(seen, "start");
  const cookies = await page.context().cookies();
  equal(cookies.map((c) => [c.name, c.httpOnly, c.sameSite]).filter(([name]) => name === "whohas-session"), [["whohas-session", true, "Lax"]], "the cookie");
  equal(await page.evaluate(() => Object.keys(localStorage).length + Object.keys(sessionStorage).length), 0, "what the page stores");
  // by keyboard: the first tab leads to the skip link, and the menu opens and closes
  await page.keyboard.press("Tab");
  equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content", "the first stop");
  await page.locator("details.account summary").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out", exact: true }).waitFor();
  await check(seen, "menu");
  await page.keyboard.press("Escape");
  equal(await page.locator("details.account").getAttribute("open"), null, "the menu after Escape");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("link", { name: "Sign in" }).first().waitFor();
} finally {
  await browser.close();
}
