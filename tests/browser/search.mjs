// Searching: completion by keyboard, the check while typing, the hits, and a query that is broken.
import { check, equal, open, server, signIn } from "./browser.mjs";

// a broken query is answered with 400
const seen = await open([/status of 400/]);
const { browser, page } = seen;
try {
  await signIn(page, "ann", "correct horse battery");
  await page.getByRole("link", { name: "Search" }).click();
  await check(seen, "search");
  const query = page.getByRole("combobox", { name: "Query" });
  await query.pressSequentially("@accounts(source.na");
  const options = page.getByRole("option");
  await options.filter({ hasText: "source.name" }).first().waitFor();
  await check(seen, "search-names");
  await query.press("ArrowDown");
  await query.press("Enter");
  equal(await query.inputValue(), "@accounts(source.name:", "the query after a name was chosen");
  await query.pressSequentially("act");
  await options.filter({ hasText: "Active Directory" }).waitFor();
  await query.press("ArrowDown");
  equal(await query.getAttribute("aria-activedescendant"), "query-option-0", "the option that is active");
  await check(seen, "search-values");
  await query.press("Enter");
  equal(await query.inputValue(), '@accounts(source.name:"Active Directory"', "the query after a value was chosen");
  await page.getByText(/The query breaks at column/).waitFor();
  await check(seen, "search-broken");
  await query.press("End");
  await query.pressSequentially(" AND disabled:true)");
  await page.getByText("The query is valid").waitFor();
  await query.press("Escape");
  await query.press("Enter");
  await page.getByRole("heading", { name: "20 found" }).waitFor();
  await check(seen, "search-hits");
  await page.getByText("The query is valid").click();
  await page.getByText("one object of accounts").waitFor();
  await page.getByRole("combobox", { name: "Query" }).fill('name:"ada');
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("this quotation mark is never closed").waitFor();
  await page.goto(`${server}/console/search?query=lastName:nobody`);
  await page.getByText("Nothing in the data matches.").waitFor();
  await check(seen, "search-empty");
} finally {
  await browser.close();
}
