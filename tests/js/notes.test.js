import assert from "node:assert/strict";
import { test } from "node:test";

import { noteWords } from "../../static/labeling/notes.js";

const name = (value) => `<${value}>`;
const share = { value: 0.8, low: 0.49, high: 0.943, n: 10 };

test("a note says what was said, what is known, and why", () => {
  const note = { kind: "known", title: "Great, Monday", said: "pos", known: "neg", isRight: false, why: "Irony." };
  assert.deepEqual(noteWords(note, name), {
    mood: "warn",
    head: "Great, Monday",
    words: "You said <pos>; the known answer is <neg>.",
    why: "Irony.",
  });
  assert.equal(noteWords({ ...note, said: "neg", isRight: true }, name).words, "<neg> is right.");
});

test("the end of practice says how it went, with its interval, and whether they go on", () => {
  const good = noteWords({ kind: "practice", share, paused: "" }, name);
  assert.equal(good.words, "8 of 10 right (95 % interval 49 % to 94 %).");
  assert.match(good.why, /^You go on/);
  const paused = noteWords({ kind: "practice", share: { value: 0, low: 0, high: 0.43, n: 5 }, paused: "0 of 5 right." }, name);
  assert.equal(paused.words, "0 of 5 right (95 % interval 0 % to 43 %).");
  assert.match(paused.why, /^You are paused: 0 of 5 right\./);
  assert.match(noteWords({ kind: "practice", share: null, paused: "" }, name).words, /^You skipped all of it\./);
});
