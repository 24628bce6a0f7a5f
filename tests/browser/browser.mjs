// What the journeys share: a browser, the sign-in, and the check of a page.
//
// `check` is called on each page as it is to be seen. It fails on a violation that axe finds, on an error of the console
// of the browser, and on a page that is wider than the window; and it leaves a picture for each width and colour scheme.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";

const { MODULES, PICTURES, CHROMIUM, URL: SERVER, PATIENCE } = process.env;
const require = createRequire(`${MODULES}/`);
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = (process.env.WIDTHS ?? "360,1280").split(",").map(Number);
const SCHEMES = ["light", "dark"];

export const server = SERVER;

export function fail(text) {
  throw new Error(text);
}

export function equal(found, expected, what) {
  const [one, other] = [found, expected].map((value) => JSON.stringify(value));
  if (one !== other) fail(`${what}: ${one}, not ${other}`);
}

// Has the test do something that a browser cannot, such as end the server, and waits until it is done.
export async function act(name) {
  process.stdout.write(`act: ${name}\n`);
  process.stdin.resume(); // it was paused by the act before
  await new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdin.pause(); // else Node would wait for more and not end
}

// Presses Tab until the focus is on an element, as a user without a mouse does; fails after `most` of them.
export async function tabTo(page, locator, what, most = 60) {
  for (let pressed = 0; pressed < most; pressed++) {
    if (await locator.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  fail(`${what} is not reached by ${most} presses of Tab`);
}

// A page in a new browser. `expected` are errors of the browser's console that belong to the journey.
export async function open(expected = []) {
  mkdirSync(PICTURES, { recursive: true });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(Number(PATIENCE) * 1000);
  const page = await context.newPage();
  const errors = [];
  const wanted = (text) => expected.some((pattern) => pattern.test(text));
  page.on("console", (message) => message.type() === "error" && !wanted(message.text()) && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  return { browser, page, errors };
}

export async function signIn(page, user, password) {
  await page.goto(`${server}/console/sign-in`);
  await page.fill("#user", user);
  await page.fill("#password", password);
  await page.click("button");
  await page.waitForURL(/\/console$/);
}

// Looks at a page in two widths and two colour schemes. axe is evaluated by the debugger, which the policy of the page
// (no foreign script) does not stop.
export async function check({ page, errors }, name) {
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width < 500 ? 780 : 900 });
      await page.screenshot({ path: `${PICTURES}/${name}-${width}-${scheme}.png`, fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) fail(`${name}: the page is ${wide} pixels wider than a window of ${width}`);
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => window.axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      }));
      if (violations.length) {
        const list = violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.html}\n    ${n.failureSummary}`).join("\n  ")}`);
        fail(`${name}, ${width} pixels, ${scheme}: ${list.join("\n")}`);
      }
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.setViewportSize({ width: 1280, height: 900 });
  if (errors.length) fail(`${name}: errors in the console of the browser: ${errors.join("; ")}`);
}
