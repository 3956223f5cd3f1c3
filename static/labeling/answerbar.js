// The answers below the item: made once, afterwards only marks and pressed states change.

import { el, keyCap, percent, setText } from "./draw.js";
import { FILTER_ABOVE, nameOf } from "./keymap.js";

const FLASH_MS = 120;

/**
 * kind, config: the schema; answers: its buttons (keymap.answersOf); typed: a rating that is typed as a number.
 * onChoose(value), onNumber(text). Returns {render(state, suggestion), flash(value), first(), clearFilter()}.
 */
export function createAnswerBar({ kind, config, answers, typed, submitOnChoice, onChoose, onNumber }) {
  const box = document.getElementById("answers");
  const submit = document.getElementById("submit");
  const buttons = new Map();
  const number = typed ? buildNumber() : null;
  const filter = answers.length > FILTER_ABOVE ? buildFilter() : null;
  for (const answer of answers) buildButton(answer);
  box.classList.toggle("answers-many", answers.length > 6 && kind !== "rating");
  box.classList.toggle("answers-rating", kind === "rating" && !typed);
  submit.hidden = submitOnChoice && kind !== "choices" && !typed;

  function buildNumber() {
    const range = { min: config.min, max: config.max, step: 1 };
    const field = el("input", { id: "number", type: "number", inputmode: "numeric", autocomplete: "off", ...range });
    const slider = el("input", { type: "range", "aria-label": `From ${config.min} to ${config.max}`, ...range });
    field.addEventListener("input", () => onNumber(field.value));
    slider.addEventListener("input", () => onNumber(slider.value));
    box.classList.add("answers-typed");
    box.append(el("label", { for: "number" }, `${config.min} to ${config.max}`), field, slider);
    return { field, slider };
  }

  function buildFilter() {
    const facts = { id: "filter", type: "search", placeholder: "Find a label", "aria-label": "Find a label" };
    const field = el("input", { ...facts, autocomplete: "off" });
    field.addEventListener("input", applyFilter);
    const row = document.getElementById("filter-row");
    row.append(field, keyCap("/"));
    row.hidden = false;
    return field;
  }

  function buildButton(answer) {
    const mark = el("span", { class: "answer-mark", "aria-hidden": "true" });
    const voice = el("span", { class: "visually-hidden" });
    const colour = answer.colour ? ` c${answer.colour}` : "";
    const button = el(
      "button",
      { type: "button", class: `btn answer${colour}`, "aria-pressed": "false", "aria-keyshortcuts": answer.key || null },
      answer.key ? keyCap(answer.key) : "",
      el("span", { class: "answer-name" }, answer.name, answer.hint ? el("small", {}, answer.hint) : ""),
      mark,
      voice,
    );
    button.addEventListener("click", () => onChoose(answer.value));
    buttons.set(String(answer.value), { button, mark, voice, answer });
    box.append(button);
  }

  /** Draws the draft and, where one is shown, the model's suggestion. */
  function render({ draft }, suggestion) {
    const chosen = new Set(draft === null || draft === "" ? [] : [draft].flat().map(String));
    const suggested = new Set(suggestion ? [suggestion.value].flat().map(String) : []);
    for (const [value, { button, mark, voice }] of buttons) {
      button.setAttribute("aria-pressed", String(chosen.has(value)));
      button.classList.toggle("is-suggested", suggested.has(value));
      const p = suggested.has(value) ? chanceOf(value, suggestion) : null;
      setText(mark, suggested.has(value) ? `✦${p === null ? "" : ` ${p.toFixed(2).replace(/^0/, "")}`}` : "");
      setText(voice, suggested.has(value) ? `(suggested by the model${p === null ? "" : `, ${percent(p)}`})` : "");
    }
    if (number) renderNumber(draft, suggestion);
    if (kind === "choices") {
      const none = config.min ? "Submit" : "Submit: none of them";
      setText(document.getElementById("submit-words"), draft.length ? `Submit ${draft.length}` : none);
    }
  }

  function chanceOf(value, suggestion) {
    const p = suggestion.probabilities?.[value] ?? (Array.isArray(suggestion.value) ? null : suggestion.p);
    return typeof p === "number" ? p : null;
  }

  function renderNumber(draft, suggestion) {
    // Left alone while it says the same: rewriting it would move the caret of the person who types.
    if (number.field.value !== String(draft)) number.field.value = draft;
    number.slider.value = draft === "" || draft === "-" ? Math.round((config.min + config.max) / 2) : draft;
    const p = suggestion && typeof suggestion.p === "number" ? `, ${percent(suggestion.p)}` : "";
    const words = suggestion ? `✦ the model suggests ${nameOf(suggestion.value, kind, config)}${p}` : "";
    setText(document.getElementById("typed-suggestion"), words);
  }

  /** Shows for a moment which answer was taken: the item itself is gone already. */
  function flash(value) {
    const button = buttons.get(String(value))?.button;
    if (!button) return;
    button.classList.add("just-chosen");
    setTimeout(() => button.classList.remove("just-chosen"), FLASH_MS);
  }

  function applyFilter() {
    const words = filter.value.trim().toLowerCase();
    for (const { button, answer } of buttons.values()) button.hidden = !answer.name.toLowerCase().includes(words);
  }

  /** The first answer that the filter leaves, or undefined when nothing is filtered. */
  function first() {
    if (!filter || filter.value.trim() === "") return undefined;
    return [...buttons.values()].find(({ button }) => !button.hidden)?.answer;
  }

  function clearFilter() {
    if (!filter || filter.value === "") return;
    filter.value = "";
    applyFilter();
  }

  return { render, flash, first, clearFilter };
}
