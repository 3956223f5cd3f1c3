// What every page has: theme switch, help dialog, relative times, copy buttons, and a word when a fragment fails to load.

import { relativeTime } from "./time.js";

const THEMES = ["auto", "light", "dark"];

function storedTheme() {
  try {
    return localStorage.getItem("touchstone.theme") ?? "auto";
  } catch {
    return "auto";
  }
}

function applyTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const name of document.querySelectorAll("[data-theme-name]")) name.textContent = theme;
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length];
  try {
    localStorage.setItem("touchstone.theme", theme);
  } catch {
    // Storage refused: the choice lasts until the page is left.
  }
  applyTheme(theme);
}

function refreshTimes(root = document) {
  const now = Date.now();
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const then = Date.parse(time.dateTime);
    if (Number.isNaN(then)) continue;
    if (!time.title) time.title = new Date(then).toLocaleString();
    time.textContent = relativeTime(then, now);
  }
}

/** A message that floats for a while. `kind` is good, warn, bad or info. */
export function toast(kind, message) {
  const box = document.getElementById("toasts");
  const notice = document.createElement("div");
  notice.className = `notice notice-${kind}`;
  const words = document.createElement("span");
  words.textContent = message;
  notice.append(words);
  box.append(notice);
  setTimeout(() => notice.remove(), 8000);
}

// A field of a dialog that was just closed keeps the focus until the next frame: nobody types there any more.
function isTyping(target) {
  if (!(target instanceof HTMLElement) || target.closest("dialog:not([open])")) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("button, a") : null;
  if (!button) return;
  if (button.matches("[data-theme-switch]")) nextTheme();
  if (button.dataset.opens) document.getElementById(button.dataset.opens)?.showModal();
  if (button.dataset.copy !== undefined) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      toast("good", "Copied.");
    } catch {
      toast("warn", "The browser refused to copy. Select the text and copy it by hand.");
    }
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  event.preventDefault();
  document.getElementById("help").showModal();
});

// A click on the backdrop closes the dialog, like Escape.
document.addEventListener("click", (event) => {
  if (event.target instanceof HTMLDialogElement && event.detail > 0) {
    const box = event.target.getBoundingClientRect();
    const inside =
      event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) event.target.close();
  }
});

document.addEventListener("htmx:afterSwap", (event) => refreshTimes(event.target));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  const polled = event.detail.requestConfig?.triggeringEvent === undefined;
  if (polled) return;
  toast("bad", status === 403 ? "You may not do that here." : `The server answered ${status}. Nothing was changed; try again.`);
});
document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.requestConfig?.triggeringEvent) toast("warn", "No connection to the server. Try again when you are back.");
});

applyTheme(storedTheme());
for (const button of document.querySelectorAll("[data-theme-switch]")) button.hidden = false;
refreshTimes();
setInterval(refreshTimes, 5000);
