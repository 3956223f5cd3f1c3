// The review inbox: letters instead of names, one act at a time, and the next item after it.

import { holdKeys, stored } from "./keys.js";

const KEEP_NAMES = "touchstone.review.names";

let hasNames = stored(KEEP_NAMES) === "on";

function showNames() {
  document.documentElement.classList.toggle("with-names", hasNames);
  document.querySelector("[data-names]")?.setAttribute("aria-pressed", String(hasNames));
}

function switchNames() {
  hasNames = !hasNames;
  try {
    localStorage.setItem(KEEP_NAMES, hasNames ? "on" : "off");
  } catch {
    // The choice lasts until the page is left.
  }
  showNames();
}

// The act that the server has not answered yet: a key pressed meanwhile was not meant for the item that comes.
let underWay = null;
holdKeys(() => underWay !== null);

document.addEventListener("click", (event) => {
  if (event.target instanceof Element && event.target.closest("[data-names]")) switchNames();
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.closest("#review")) underWay = event.detail.xhr;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr === underWay) underWay = null;
});

// A refusal (somebody else was faster, a value that is not allowed) answers with the page that says so.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status === 409 || xhr.status === 422) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "review") return;
  showNames();
  // Whoever listens hears the next item; the keys work from here.
  document.getElementById("item-title")?.focus({ preventScroll: true });
});

showNames();
