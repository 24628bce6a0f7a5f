// One try of `bench.console`: pages in a new browser with an empty cache, and the table of a run. Prints JSON.
import { open, server, signIn } from "../tests/browser/browser.mjs";

const { RUN, WORD } = process.env;
const PAGES = { start: "/console", runs: "/console/runs", run: `/console/runs/${RUN}`, rows: `/console/runs/${RUN}/rows` };
const { browser, page } = await open();
const context = page.context();
const figures = {};

// In the page: milliseconds from the start of an act until the row of a number is there.
function waitForRow({ row, act }) {
  return new Promise((resolve) => {
    const began = performance.now();
    const grid = document.getElementById("grid");
    if (act === "jump") grid.scrollTop = (row / Number(grid.dataset.rows)) * (grid.scrollHeight - grid.clientHeight);
    if (act === "sort") grid.querySelector('[role=columnheader] button[data-column="2"]').click();
    if (act === "filter") document.getElementById("grid-filter").requestSubmit();
    const look = () => {
      const cell = grid.querySelector(`[data-row="${row}"]`);
      if (cell && !grid.hasAttribute("aria-busy") && !cell.closest(".waiting")) resolve(performance.now() - began);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}

try {
  await signIn(page, "ann", "correct horse battery");
  for (const [name, path] of Object.entries(PAGES)) {
    // a new context has an empty cache; its first page is the measured one
    const fresh = await browser.newContext({ viewport: { width: 1280, height: 900 }, storageState: await context.storageState() });
    const tab = await fresh.newPage();
    const wire = await fresh.newCDPSession(tab);
    await wire.send("Network.enable");
    let [sent, whole] = [0, 0];
    wire.on("Network.loadingFinished", (event) => { sent += event.encodedDataLength; });
    wire.on("Network.dataReceived", (event) => { whole += event.dataLength; });
    await tab.goto(`${server}${path}`, { waitUntil: "networkidle" });
    if (name === "rows") await tab.locator('[data-row="0"]').first().waitFor();
    const paint = () => tab.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
    const answered = await tab.evaluate(() => performance.getEntriesByType("navigation")[0].responseEnd);
    figures[name] = { paint: await paint(), answered, sent, whole };
    await tab.reload({ waitUntil: "networkidle" });
    figures[name].again = await paint();
    await fresh.close();
  }
  await page.addInitScript(() => {
    const seen = new MutationObserver(() => {
      const cell = document.querySelector('[role=gridcell][data-row="0"]');
      if (!cell || !cell.textContent) return;
      window.firstRows = performance.now();
      seen.disconnect();
    });
    seen.observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${server}${PAGES.rows}`, { waitUntil: "networkidle" });
  figures.firstRows = await page.evaluate(() => window.firstRows);
  const total = await page.evaluate(() => Number(document.getElementById("grid").dataset.rows));
  figures.jump = await page.evaluate(waitForRow, { row: total - 10, act: "jump" });
  await page.goto(`${server}${PAGES.rows}`, { waitUntil: "networkidle" });
  figures.sort = await page.evaluate(waitForRow, { row: 0, act: "sort" });
  await page.goto(`${server}${PAGES.rows}`, { waitUntil: "networkidle" });
  // set without an event, which would start the filter after a moment
  await page.evaluate((word) => { document.getElementById("grid-text").value = word; }, WORD);
  figures.filter = await page.evaluate(waitForRow, { row: 0, act: "filter" });
  figures.version = browser.version();
  process.stdout.write(`${JSON.stringify(figures)}\n`);
} finally {
  await browser.close();
}
