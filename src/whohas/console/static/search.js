// The completion of the query: an editable combobox with a list (ARIA authoring practices), or a field of several lines
// with a list. The options come from the server; each has the text that replaces the typed one before the cursor. Without
// scripts the field is a plain one.
"use strict";

const input = document.querySelector("[data-complete]");
if (input) {
  const list = document.getElementById(input.getAttribute("aria-controls"));
  const form = input.form;
  const isCombobox = input.getAttribute("role") === "combobox";
  const expand = (open) => isCombobox && input.setAttribute("aria-expanded", String(open));
  const index = () => form.elements.namedItem("index")?.value ?? form.querySelector("[name=indices]:checked")?.value ?? "identities";
  let timer = 0;
  let asked = 0;

  const options = () => [...list.querySelectorAll("[role=option]")];
  const current = () => list.querySelector("[aria-selected=true]");

  const close = () => {
    asked += 1; // an answer that is still on its way opens nothing
    list.hidden = true;
    expand(false);
    input.removeAttribute("aria-activedescendant");
  };

  const select = (option) => {
    for (const one of options()) one.setAttribute("aria-selected", String(one === option));
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  };

  const choose = (option) => {
    const before = input.value.slice(0, input.selectionStart);
    const start = before.length - option.dataset.typed.length;
    const { text } = option.dataset;
    input.setRangeText(text, start, input.selectionStart, "end");
    close();
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const ask = async () => {
    const mine = ++asked;
    const before = input.value.slice(0, input.selectionStart);
    if (!before) return close();
    const response = await fetch(`${input.dataset.complete}?${new URLSearchParams({ index: index(), before })}`, {
      headers: { "HX-Request": "true" },
    });
    if (mine !== asked || !response.ok) return undefined;
    list.innerHTML = await response.text();
    if (mine !== asked) return undefined;
    const found = options().length > 0;
    list.hidden = !found;
    expand(found);
    input.removeAttribute("aria-activedescendant");
    return found;
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 200);
  });
  input.addEventListener("blur", () => {
    clearTimeout(timer);
    close();
  });
  input.addEventListener("keydown", async (event) => {
    const all = options();
    // in a field of several lines the arrow keys move the cursor, unless the list is open
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (isCombobox || !list.hidden)) {
      event.preventDefault();
      if (list.hidden) {
        if (!(await ask())) return;
        select(options().at(event.key === "ArrowDown" ? 0 : -1));
        return;
      }
      const step = event.key === "ArrowDown" ? 1 : -1;
      const at = all.indexOf(current());
      select(all.at(at < 0 ? (step > 0 ? 0 : -1) : (at + step) % all.length));
    } else if (!list.hidden && event.key === "Escape") {
      event.preventDefault();
      close();
    } else if (!list.hidden && (event.key === "Enter" || event.key === "Tab") && current()) {
      event.preventDefault();
      choose(current());
    }
  });
  // pointerdown, because the field loses the focus before a click
  list.addEventListener("pointerdown", (event) => {
    const option = event.target.closest("[role=option]");
    event.preventDefault();
    if (option) choose(option);
  });
  form.addEventListener("submit", close);
  // what else decides what the query finds
  form.querySelector("[data-checked-with-query]").addEventListener("change", (event) => {
    if (event.target !== input) input.dispatchEvent(new Event("recheck"));
  });
}
