// A virtual table: of any number of rows only those in view are elements. It gets its rows from the server in blocks,
// sorted and filtered there.
//
// The first rows come with the page, in the plain table of browsers without scripts. Its `noscript` is a mere text for this
// browser, which therefore does not lay out 24 columns of rows only to have them replaced.
//
// Browsers limit the height of an element (Firefox to 17.9 million pixels). Beyond MAX_HEIGHT the position of the scroll bar
// is scaled: with 1,000,000 rows of 30 pixels, 30 million pixels are shown as 15, and one pixel of scrolling is two of rows.
"use strict";

(() => {
  const ROW = 30, BLOCK = 100, MAX_HEIGHT = 15_000_000, KEPT_BLOCKS = 60, EXTRA = 6, WAIT = 80, RETRY = 2000;
  const root = document.getElementById("grid");
  if (!root) return;
  const table = new DOMParser().parseFromString(root.querySelector("noscript").textContent, "text/html").querySelector("table");
  const columns = [...table.querySelectorAll("thead th")].map((th) => ({
    name: th.textContent.trim(), title: th.title, number: th.classList.contains("number"), width: 0, left: 0,
  }));
  const state = {
    total: Number(root.dataset.total), sort: root.dataset.sort, desc: root.dataset.desc === "1",
    text: document.getElementById("grid-text").value.trim(), row: 0, column: 0, generation: 0,
  };
  const blocks = new Map();
  const loading = new Map();

  // widths by the first rows: 7 to 40 characters; on a phone the second column begins in view, so that one sees there are more
  const widest = Math.max(160, Math.round(root.clientWidth * 0.7));
  const sample = [...table.querySelectorAll("tbody tr")].slice(0, 50);
  const empty = sample.length === 1 && sample[0].cells.length !== columns.length;
  let left = 0;
  columns.forEach((column, index) => {
    const cells = empty ? [] : sample.map((tr) => tr.cells[index]?.textContent.length ?? 0);
    const length = Math.min(40, Math.max(7, column.name.length + 3, ...cells));
    Object.assign(column, { width: Math.min(widest, Math.round(length * 7.6 + 24)), left });
    left += column.width;
  });
  const width = left;
  // the rows of the page itself are shown until those of the server come
  const seed = empty ? [] : [...table.querySelectorAll("tbody tr")].map((tr) => [...tr.cells].map((td) => td.textContent || null));
  const seedStart = Number(root.dataset.start);

  const make = (tag, attributes = {}, text = "") => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  };
  root.textContent = "";
  root.setAttribute("role", "grid");
  root.removeAttribute("tabindex");
  root.classList.add("grid");
  root.setAttribute("aria-colcount", columns.length);
  const head = make("div", { class: "grid-head", role: "rowgroup" });
  const headRow = make("div", { class: "grid-row", role: "row", "aria-rowindex": 1 });
  const body = make("div", { class: "grid-body", role: "rowgroup" });
  head.append(headRow);
  root.append(head, body);
  for (const part of [headRow, body]) part.style.width = `${width}px`;
  columns.forEach((column, index) => {
    const cell = make("div", { class: `grid-cell${column.number ? " number" : ""}`, role: "columnheader", "aria-colindex": index + 1 });
    const button = make("button", { type: "button", class: "grid-sort", tabindex: "-1", "data-column": index, ...(column.title && { title: column.title }) }, column.name);
    cell.style.width = `${column.width}px`;
    cell.style.left = `${column.left}px`;
    cell.append(button);
    headRow.append(cell);
  });

  const height = () => Math.min(state.total * ROW, MAX_HEIGHT);
  const inView = () => Math.max(1, Math.floor((root.clientHeight - head.offsetHeight) / ROW));
  // the first row in view, with a fraction, for the position of the scroll bar
  const firstRow = () => {
    const most = Math.max(0, state.total - inView());
    if (state.total * ROW <= MAX_HEIGHT) return root.scrollTop / ROW;
    const range = height() + head.offsetHeight - root.clientHeight;
    return range > 0 ? (root.scrollTop / range) * most : 0;
  };
  const scrollTo = (row) => {
    const most = Math.max(0, state.total - inView());
    const wanted = Math.min(row, most);
    if (state.total * ROW <= MAX_HEIGHT) root.scrollTop = wanted * ROW;
    else root.scrollTop = (wanted / most) * (height() + head.offsetHeight - root.clientHeight);
  };

  const rowAt = (number) => blocks.get(Math.floor(number / BLOCK))?.[number % BLOCK] ?? (state.generation ? undefined : seed[number - seedStart]);

  function load(block) {
    if (blocks.has(block)) return Promise.resolve();
    if (!loading.has(block)) {
      const loaded = fetchBlock(block).finally(() => loading.get(block) === loaded && loading.delete(block));
      loading.set(block, loaded);
    }
    return loading.get(block);
  }

  async function fetchBlock(block) {
    const generation = state.generation;
    const address = new URL(root.dataset.url, location.href);
    const asked = { start: block * BLOCK, count: BLOCK, sort: state.sort, desc: state.desc ? 1 : 0, text: state.text };
    for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value);
    try {
      const response = await fetch(address);
      if (generation !== state.generation) return;
      if (!response.ok) {
        count.textContent = response.status === 403 ? "Your session has ended. Load the page again." : "The rows cannot be read now. Try again.";
        return;
      }
      const page = await response.json();
      if (generation !== state.generation) return;
      blocks.set(block, page.rows);
      if (isLost) resize();
      if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
      if (page.total !== state.total || generation !== state.shown) {
        state.total = page.total;
        state.shown = generation;
        resize();
      }
      draw();
    } catch {
      if (generation !== state.generation) return;
      isLost = true;
      count.textContent = "The server does not answer. The rows come as soon as it does.";
      setTimeout(() => generation === state.generation && load(block), RETRY);
    }
  }

  const count = document.getElementById("grid-count");
  const numbers = new Intl.NumberFormat("en");
  let isLost = false; // whether the server did not answer, and the page says so
  function resize() {
    isLost = false;
    const all = Number(root.dataset.rows);
    body.style.height = `${Math.max(height(), ROW)}px`;
    root.setAttribute("aria-rowcount", state.total + 1);
    count.textContent = `${numbers.format(state.total)} ${state.total === 1 ? "row" : "rows"}${state.text ? ` of ${numbers.format(all)}` : ""}`;
    state.row = Math.min(state.row, Math.max(0, state.total - 1));
  }

  function draw() {
    const first = firstRow();
    const from = Math.max(0, Math.floor(first) - EXTRA);
    const to = Math.min(state.total, Math.ceil(first) + inView() + EXTRA);
    const visible = columns.map((column, index) => index).filter((index) =>
      columns[index].left + columns[index].width > root.scrollLeft - 200 && columns[index].left < root.scrollLeft + root.clientWidth + 200);
    const wasFocused = body.contains(document.activeElement);
    const fragment = document.createDocumentFragment();
    const base = root.scrollTop - first * ROW; // where row 0 would be
    const scaled = state.total * ROW > MAX_HEIGHT;
    for (let number = from; number < to; number++) {
      const cells = rowAt(number);
      const row = make("div", { class: "grid-row", role: "row", "aria-rowindex": number + 2 });
      row.style.transform = `translateY(${scaled ? base + number * ROW : number * ROW}px)`;
      if (!cells) row.classList.add("waiting");
      for (const index of visible) {
        const column = columns[index];
        const cell = make("div", {
          class: `grid-cell${column.number ? " number" : ""}`, role: "gridcell", "aria-colindex": index + 1, tabindex: "-1",
        }, cells ? cells[index] ?? "" : "");
        cell.dataset.row = number;
        cell.dataset.column = index;
        cell.style.width = `${column.width}px`;
        cell.style.left = `${column.left}px`;
        if (number === state.row && index === state.column) cell.tabIndex = 0;
        row.append(cell);
      }
      fragment.append(row);
    }
    if (!state.total) {
      const row = make("div", { class: "grid-row", role: "row", "aria-rowindex": 2 });
      row.append(make("div", { class: "grid-cell none", role: "gridcell", tabindex: "0" }, state.text ? "No row contains this text." : "No rows."));
      fragment.append(row);
    }
    body.replaceChildren(fragment);
    // a grid always has one cell that the Tab key reaches
    if (!body.querySelector("[tabindex='0']") && body.querySelector(".grid-cell")) body.querySelector(".grid-cell").tabIndex = 0;
    if (wasFocused) focusCell();
    const wanted = new Set();
    for (let block = Math.floor(from / BLOCK); block * BLOCK < to; block++) wanted.add(block);
    for (const block of wanted) load(block);
  }

  function focusCell() {
    const cell = body.querySelector(`[data-row="${state.row}"][data-column="${state.column}"]`);
    cell?.focus({ preventScroll: true });
  }

  function moveTo(row, column) {
    state.row = Math.max(0, Math.min(state.total - 1, row));
    state.column = Math.max(0, Math.min(columns.length - 1, column));
    const first = firstRow();
    const view = inView();
    if (state.row < first) scrollTo(state.row);
    else if (state.row > first + view - 1) scrollTo(state.row - view + 1);
    const { left: start, width: wide } = columns[state.column];
    if (start < root.scrollLeft) root.scrollLeft = start;
    else if (start + wide > root.scrollLeft + root.clientWidth) root.scrollLeft = start + wide - root.clientWidth;
    draw();
    focusCell();
  }

  function restart() {
    state.generation += 1;
    blocks.clear();
    loading.clear();
    root.scrollTop = 0;
    state.row = 0;
    showSort();
    const address = new URL(location.href);
    for (const [name, value] of [["sort", state.sort], ["desc", state.sort && state.desc ? "1" : ""], ["text", state.text], ["page", ""]]) {
      if (value === "") address.searchParams.delete(name);
      else address.searchParams.set(name, value);
    }
    history.replaceState(null, "", address);
    root.setAttribute("aria-busy", "true");
    load(0).finally(() => root.removeAttribute("aria-busy"));
  }

  function showSort() {
    headRow.querySelectorAll("[role=columnheader]").forEach((cell, index) => {
      if (String(index) === state.sort) cell.setAttribute("aria-sort", state.desc ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }

  headRow.querySelector("button").tabIndex = 0;
  headRow.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const column = button.dataset.column;
    if (state.sort !== column) Object.assign(state, { sort: column, desc: false });
    else if (!state.desc) state.desc = true;
    else Object.assign(state, { sort: "", desc: false });
    restart();
  });
  headRow.addEventListener("keydown", (event) => {
    const buttons = [...headRow.querySelectorAll("button")];
    const index = buttons.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && buttons[index + step]) {
      buttons[index].tabIndex = -1;
      buttons[index + step].tabIndex = 0;
      buttons[index + step].focus();
      event.preventDefault();
    } else if (event.key === "ArrowDown" && state.total) {
      moveTo(state.row, Math.max(0, index));
      event.preventDefault();
    }
  });
  body.addEventListener("keydown", (event) => {
    const { row, column } = state;
    const page = inView();
    const last = state.total - 1;
    const wanted = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      PageDown: [row + page, column], PageUp: [row - page, column],
      Home: event.ctrlKey ? [0, 0] : [row, 0], End: event.ctrlKey ? [last, columns.length - 1] : [row, columns.length - 1],
    }[event.key];
    if (wanted) {
      moveTo(...wanted);
      event.preventDefault();
    } else if (event.key === "Enter") {
      openRow(row);
      event.preventDefault();
    }
  });
  body.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-row]");
    if (!cell) return;
    moveTo(Number(cell.dataset.row), Number(cell.dataset.column));
    openRow(state.row);
  });

  // all cells of a row, with their whole texts
  const dialog = document.getElementById("grid-row");
  async function openRow(number) {
    if (!rowAt(number)) await load(Math.floor(number / BLOCK));
    const cells = rowAt(number);
    if (!cells) return;
    document.getElementById("grid-row-title").textContent = `Row ${numbers.format(number + 1)}`;
    const facts = document.getElementById("grid-row-facts");
    facts.replaceChildren(...columns.flatMap((column, index) => [make("dt", {}, column.name), make("dd", {}, cells[index] ?? "—")]));
    dialog.showModal();
  }
  document.getElementById("grid-row-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", focusCell);

  let waiting = 0;
  root.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  document.getElementById("grid-filter").addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  const input = document.getElementById("grid-text");
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 4 * WAIT);
  });
  function filter() {
    clearTimeout(waiting);
    const text = input.value.trim();
    if (text === state.text) return;
    state.text = text;
    restart();
  }
  new ResizeObserver(() => draw()).observe(root);
  resize();
  showSort();
  if (seedStart) scrollTo(seedStart);
  draw();
})();
