// The review inbox by keyboard: a key presses the button, link or field that carries it as data-key.

const KEEP_NAMES = "touchstone.review.names";

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage refused: letters, and single keys act
  }
}

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

/** The key that was pressed; where the digit row types other characters (French) the physical key counts. */
function keyOf(press) {
  const key = press.key.toLowerCase();
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(press.code ?? "");
  return digit && !press.shiftKey && !/^[a-z0-9]$/.test(key) ? digit[1] : key;
}

// A box or a circle takes no text: the keys go on working after one was clicked.
function isTyping(target) {
  return target instanceof HTMLElement && target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
}

// The act that the server has not answered yet: a key pressed meanwhile was not meant for the item that comes.
let underWay = null;

document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey || press.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  const key = keyOf(press);
  if (isTyping(press.target)) {
    if (key === "escape") press.target.blur();
    // A list of labels takes no Enter of its own.
    if (key !== "enter" || !press.target.matches("select")) return;
  }
  if (stored("touchstone.shortcuts") === "off") return;
  // Enter on a button or link is the browser's; on a box it would press the form's first button.
  if (key === "enter" && press.target instanceof HTMLElement && press.target.closest("a, button, summary")) return;
  if (!/^[\w]+$/.test(key)) return;
  const found = document.querySelector(`#review [data-key~="${key}"]`);
  if (!found) return;
  press.preventDefault();
  if (press.repeat || underWay) return;
  if (found.matches("textarea, select")) found.focus();
  else found.click();
});

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
