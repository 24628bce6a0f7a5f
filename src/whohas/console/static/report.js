// The form of a report: buttons with the names of columns, which put a name at the end of the field or take it away. Either
// way and while names are typed, the field reports its change, so that the first hits are shown in these columns.
"use strict";

const field = document.getElementById("field-columns");
if (field) {
  const names = () => field.value.split(",").map((name) => name.trim()).filter(Boolean);
  const buttons = () => document.querySelectorAll("[data-append='#field-columns']");
  const show = () => {
    const chosen = new Set(names());
    for (const button of buttons()) button.setAttribute("aria-pressed", String(chosen.has(button.dataset.text)));
  };
  const change = () => field.dispatchEvent(new Event("change", { bubbles: true }));
  let timer = 0;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-append='#field-columns']");
    if (!button) return;
    const { text } = button.dataset;
    const chosen = names();
    field.value = (chosen.includes(text) ? chosen.filter((name) => name !== text) : [...chosen, text]).join(",");
    show();
    change();
  });
  field.addEventListener("input", () => {
    show();
    clearTimeout(timer);
    timer = setTimeout(change, 700);
  });
  document.addEventListener("htmx:after:swap", show);
  show();
}
