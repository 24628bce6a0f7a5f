// The form of a report: buttons with the names of columns, which put a name at the end of the field or take it away.
"use strict";

const field = document.getElementById("field-columns");
if (field) {
  const names = () => field.value.split(",").map((name) => name.trim()).filter(Boolean);
  const buttons = () => document.querySelectorAll("[data-append='#field-columns']");
  const show = () => {
    const chosen = new Set(names());
    for (const button of buttons()) button.setAttribute("aria-pressed", String(chosen.has(button.dataset.text)));
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-append='#field-columns']");
    if (!button) return;
    const { text } = button.dataset;
    const chosen = names();
    field.value = (chosen.includes(text) ? chosen.filter((name) => name !== text) : [...chosen, text]).join(",");
    show();
  });
  field.addEventListener("input", show);
  document.addEventListener("htmx:after:swap", show);
  show();
}
