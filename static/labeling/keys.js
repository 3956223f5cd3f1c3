// A page by keyboard: a key presses the button or link that carries it as data-key, and goes to a field that does.

export function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage refused: what it would have said is not known
  }
}

/** The key that was pressed; where the digit row types other characters (French) the physical key counts. */
export function keyOf(press) {
  const key = press.key.toLowerCase();
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(press.code ?? "");
  return digit && !press.shiftKey && !/^[a-z0-9]$/.test(key) ? digit[1] : key;
}

// A box or a circle takes no text: the keys go on working after one was clicked.
function isTyping(target) {
  return target instanceof HTMLElement && target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
}

let isHeld = () => false;

/** While `test()` the keys of this page do nothing. */
export function holdKeys(test) {
  isHeld = test;
}

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
  const found = document.querySelector(`main [data-key~="${key}"]`);
  if (!found) return;
  press.preventDefault();
  if (press.repeat || isHeld()) return;
  if (found.matches("textarea, select")) found.focus();
  else found.click();
});
