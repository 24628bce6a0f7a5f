// Signing in at Keycloak and out again, in a browser: the way of a user, the pages, and what the browser keeps.
import { check, equal, fail, open, server } from "../../browser/browser.mjs";

const { KEYCLOAK, USER, PASSWORD } = process.env;
const seen = await open();
const { browser, page } = seen;
const atKeycloak = () => page.waitForURL((url) => url.origin === KEYCLOAK);

async function fillIn(password) {
  await page.fill("#username", USER);
  await page.fill("#password", password);
  await page.click("#kc-login");
}

try {
  // a page of the console leads to Keycloak, and back to that page
  await page.goto(`${server}/console/runs`);
  await atKeycloak();
  const asked = new URL(page.url()).searchParams;
  equal([asked.get("response_type"), asked.get("code_challenge_method")], ["code", "S256"], "the flow");
  await fillIn("a wrong password");
  await page.getByText("Invalid username or password").waitFor();
  await fillIn(PASSWORD);
  await page.waitForURL(`${server}/console/runs`);
  await page.locator("details.account summary").click();
  await page.getByText("ORG_ADMIN").waitFor();
  await check(seen, "keycloak-signed-in");
  const cookies = (await page.context().cookies(server)).filter(({ name }) => name.startsWith("whohas"));
  equal(cookies.map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]), [["whohas-session", true, "Lax"]], "the cookies");
  equal(await page.evaluate(() => Object.keys(localStorage).length + Object.keys(sessionStorage).length), 0, "what the page stores");

  // signed out of whohas alone: Keycloak asks for no password
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await check(seen, "keycloak-signed-out");
  await page.getByRole("main").getByRole("link", { name: "Sign in", exact: true }).click();
  await page.waitForURL(`${server}/console`);

  // signed out of both: it does
  await page.locator("details.account summary").click();
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("link", { name: "Sign out there too" }).click();
  await atKeycloak();
  await page.click("#kc-logout");
  await page.getByRole("heading", { name: "You are logged out" }).waitFor();
  await page.goto(`${server}/console/sign-in`);
  await atKeycloak();
  await page.locator("#password").waitFor();
  if (await page.locator("#username").count() !== 1) fail("Keycloak does not ask who signs in");
} finally {
  await browser.close();
}
