// Small helpers of all pages. Everything also works without them.
(() => {
  "use strict";

  // a question before an action that cannot be undone: <form data-confirm="Cancel this run?">
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  }, true);

  // a menu closes with Escape, and when the focus or a click goes elsewhere
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector("details.account[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
  for (const kind of ["click", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const open = document.querySelector("details.account[open]");
      if (open && !open.contains(event.target)) open.open = false;
    });
  }

  // in a narrow window the navigation scrolls sideways: the entry of the page is in view
  document.querySelector("nav.side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // <select data-submit> sends its form when another value is chosen
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  // <button data-copy="#id"> copies the text of an element
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
    const text = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = text; }, 2000);
  });

  // the progress of a run for screen readers: its state, and each quarter of the way, instead of every change
  const live = document.querySelector("[data-announce]");
  if (live) {
    const announced = document.getElementById(live.dataset.announce);
    const announce = () => {
      const state = live.querySelector(".badge")?.textContent ?? "";
      const percent = live.querySelector("progress")?.value;
      const text = percent === undefined ? `${state}.` : `${state}, ${Math.floor(percent / 25) * 25} percent.`;
      if (announced.textContent !== text) announced.textContent = text;
    };
    new MutationObserver(announce).observe(live, { attributes: true, childList: true, subtree: true });
  }

  // a server that does not answer: the page says so until it does, and keeps what was entered
  const lostNote = () => {
    const text = document.createElement("p");
    text.className = "warning";
    text.dataset.lost = "";
    text.setAttribute("role", "status");
    text.textContent = "The server does not answer. This page is up to date again as soon as it does.";
    return text;
  };
  // live updates; htmx connects again by itself
  document.addEventListener("htmx:sse:error", (event) => {
    if (event.detail.status === 403) location.reload(); // the session has ended
    const source = event.target;
    if (!source.previousElementSibling?.matches("[data-lost]")) source.before(lostNote());
  });
  document.addEventListener("htmx:sse:after:connection", (event) => {
    const shown = event.target.previousElementSibling;
    if (shown?.matches("[data-lost]")) shown.remove();
  });
  // a part of a page, such as the preview of a query; its next answer replaces the note
  document.addEventListener("htmx:error", (event) => {
    const { ctx } = event.detail;
    if (!ctx || ctx.response || ctx.sourceElement.hasAttribute("hx-sse:connect")) return;
    const note = lostNote();
    ctx.target.replaceChildren(note);
    setTimeout(() => note.isConnected && ctx.sourceElement.dispatchEvent(new Event("recheck")), 3000);
  });
})();
