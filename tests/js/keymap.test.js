import assert from "node:assert/strict";
import { test } from "node:test";

import { actionFor, answersOf, colourOfValue, isTyped, nameOf } from "../../static/labeling/keymap.js";

const labels = (...names) => ({ labels: names.map((name) => ({ value: name, name })) });
const many = (n) => labels(...Array.from({ length: n }, (_, i) => `label ${i}`));
const TONES = labels("negative", "neutral", "positive");

function press(key, facts = {}) {
  return { key, code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, repeat: false, ...facts };
}

function screen(facts = {}) {
  const kind = facts.kind ?? "choice";
  const config = facts.config ?? TONES;
  return {
    kind,
    answers: answersOf(kind, config),
    typed: isTyped(kind, config),
    hasTyped: false,
    panel: null,
    isTyping: false,
    isNumberField: false,
    isFilterField: false,
    onControl: false,
    shortcuts: true,
    hasItem: true,
    ...facts,
  };
}

test("digits choose the labels in order", () => {
  assert.deepEqual(actionFor(press("1"), screen()), { type: "choose", value: "negative" });
  assert.deepEqual(actionFor(press("3"), screen()), { type: "choose", value: "positive" });
  assert.equal(actionFor(press("4"), screen()), null);
});

test("the commands have the keys that the page prints", () => {
  const keys = { s: "skip", f: "flag", c: "comment", z: "undo", Backspace: "undo", g: "guidelines", h: "history" };
  for (const [key, type] of Object.entries({ ...keys, ArrowLeft: "history", e: "explain", "/": "filter", Enter: "submit" })) {
    assert.deepEqual(actionFor(press(key), screen()), { type }, key);
  }
});

test("caps lock does not matter, and the question mark is left to the shell", () => {
  assert.deepEqual(actionFor(press("S"), screen()), { type: "skip" });
  assert.equal(actionFor(press("?", { shiftKey: true }), screen()), null);
});

test("keys of the browser stay with the browser", () => {
  for (const modifier of ["ctrlKey", "metaKey", "altKey"]) {
    assert.equal(actionFor(press("z", { [modifier]: true }), screen()), null, modifier);
    assert.equal(actionFor(press("1", { [modifier]: true }), screen()), null, modifier);
  }
  assert.equal(actionFor(press("Tab"), screen()), null);
  assert.equal(actionFor(press("1", { isComposing: true }), screen()), null);
});

test("a key held down answers once, not item after item", () => {
  assert.deepEqual(actionFor(press("1", { repeat: true }), screen()), { type: "ignore" });
  assert.deepEqual(actionFor(press("z", { repeat: true }), screen()), { type: "ignore" });
  assert.equal(actionFor(press("Enter", { repeat: true }), screen()), null);
  assert.equal(actionFor(press("ArrowDown", { repeat: true }), screen()), null);
});

test("the digit row counts by its place where it types other characters", () => {
  assert.deepEqual(actionFor(press("&", { code: "Digit1" }), screen()), { type: "choose", value: "negative" });
  assert.deepEqual(actionFor(press("é", { code: "Digit2" }), screen()), { type: "choose", value: "neutral" });
  assert.equal(actionFor(press("!", { code: "Digit1", shiftKey: true }), screen()), null);
});

test("nothing is answered while somebody types, or a dialog is open", () => {
  assert.equal(actionFor(press("1"), screen({ isTyping: true })), null);
  assert.deepEqual(actionFor(press("Escape"), screen({ isTyping: true })), { type: "leave-field" });
  assert.equal(actionFor(press("1"), screen({ panel: "guidelines" })), null);
  assert.equal(actionFor(press("z"), screen({ panel: "comment" })), null);
  assert.deepEqual(actionFor(press("Enter", { ctrlKey: true }), screen({ panel: "comment" })), { type: "save-comment" });
});

test("enter on a button presses the button, elsewhere it submits", () => {
  assert.equal(actionFor(press("Enter"), screen({ onControl: true })), null);
  assert.deepEqual(actionFor(press("Enter"), screen()), { type: "submit" });
});

test("with an empty queue the keys that still make sense work", () => {
  const empty = screen({ hasItem: false });
  assert.deepEqual(actionFor(press("z"), empty), { type: "undo" });
  assert.deepEqual(actionFor(press("Enter"), empty), { type: "retry" });
  assert.equal(actionFor(press("1"), empty), null);
  assert.equal(actionFor(press("s"), empty), null);
});

test("single keys can be turned off; enter stays", () => {
  assert.equal(actionFor(press("1"), screen({ shortcuts: false })), null);
  assert.equal(actionFor(press("z"), screen({ shortcuts: false })), null);
  assert.deepEqual(actionFor(press("Enter"), screen({ shortcuts: false })), { type: "submit" });
});

test("the skip picker has its own keys, and s again skips without a reason", () => {
  assert.deepEqual(actionFor(press("3"), screen({ panel: "skip" })), { type: "skip-because", reason: "broken" });
  assert.deepEqual(actionFor(press("s"), screen({ panel: "skip" })), { type: "skip-because", reason: "" });
  assert.deepEqual(actionFor(press("s", { repeat: true }), screen({ panel: "skip" })), { type: "ignore" });
  assert.equal(actionFor(press("Escape"), screen({ panel: "skip" })), null);
});

test("labels beyond ten get letters that no command uses, and none get a key twice", () => {
  const keys = answersOf("choices", many(29)).map((answer) => answer.key);
  assert.equal(keys[9], "0");
  assert.equal(keys[10], "a");
  assert.equal(new Set(keys).size, 29);
  for (const command of [..."sfczgeh"]) assert.ok(!keys.includes(command), command);
  assert.equal(answersOf("choices", many(40)).at(-1).key, "");
});

test("a label without a key of its own does not answer to the empty key", () => {
  assert.equal(actionFor(press("é"), screen({ kind: "choices", config: many(40) })), null);
});

test("ratings of digits answer to themselves, others to their place", () => {
  const stars = { min: 1, max: 5 };
  assert.deepEqual(answersOf("rating", stars).map((one) => [one.value, one.key]), [[1, "1"], [2, "2"], [3, "3"], [4, "4"], [5, "5"]]);
  const tones = { min: -4, max: 4, labels: { "-4": "very negative" } };
  assert.deepEqual(actionFor(press("1"), screen({ kind: "rating", config: tones })), { type: "choose", value: -4 });
  assert.equal(answersOf("rating", tones)[0].hint, "very negative");
  const zero = { min: 0, max: 3 };
  assert.deepEqual(actionFor(press("0"), screen({ kind: "rating", config: zero })), { type: "choose", value: 0 });
});

test("a long rating is typed", () => {
  const percent = screen({ kind: "rating", config: { min: 0, max: 100 } });
  assert.deepEqual(actionFor(press("7"), percent), { type: "type", text: "7" });
  assert.deepEqual(actionFor(press("Backspace"), { ...percent, hasTyped: true }), { type: "erase" });
  assert.deepEqual(actionFor(press("Backspace"), percent), { type: "undo" });
  assert.deepEqual(actionFor(press("s"), percent), { type: "skip" });
  assert.deepEqual(actionFor(press("Enter"), { ...percent, isTyping: true, isNumberField: true }), { type: "submit" });
});

test("a pair answers to 1 and 2, a tie to 3 or 0, where ties are allowed", () => {
  const withTie = screen({ kind: "pair", config: { tie: true } });
  assert.deepEqual(["1", "2", "3", "0"].map((key) => actionFor(press(key), withTie)?.value), ["a", "b", "tie", "tie"]);
  assert.equal(actionFor(press("3"), screen({ kind: "pair", config: { tie: false } })), null);
  assert.equal(actionFor(press("0"), screen({ kind: "pair", config: { tie: false } })), null);
});

test("values are said by their names and keep their colour", () => {
  const config = { labels: [{ value: "neg", name: "negative", color: "7" }, { value: "pos", name: "positive" }] };
  assert.equal(nameOf("neg", "choice", config), "negative");
  assert.equal(nameOf(["neg", "pos"], "choices", config), "negative, positive");
  assert.equal(nameOf([], "choices", config), "none");
  assert.equal(nameOf(-3, "rating", { min: -4, max: 4 }), "−3");
  assert.equal(nameOf("gone", "choice", config), "gone");
  assert.equal(colourOfValue("neg", "choice", config), 7);
  assert.equal(colourOfValue("pos", "choice", config), 2);
  assert.equal(colourOfValue("label 3", "choice", many(9)), 0);
});

test("escape puts a note away and leaves every other key to the work", () => {
  assert.deepEqual(actionFor(press("Escape"), screen({ hasNote: true })), { type: "read" });
  assert.deepEqual(actionFor(press("Escape"), screen({ hasNote: true, shortcuts: false, hasItem: false })), { type: "read" });
  assert.equal(actionFor(press("Escape"), screen()), null);
  assert.deepEqual(actionFor(press("1"), screen({ hasNote: true })), { type: "choose", value: "negative" });
  assert.equal(actionFor(press("Escape"), screen({ hasNote: true, panel: "guidelines" })), null);
});
