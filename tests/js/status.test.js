import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyWords, modelWords, savedWords } from "../../static/labeling/status.js";
import { relativeTime } from "../../static/time.js";

const clear = { waiting: 0, condition: "clear", isSending: false };
const linked = { needsLogin: false, isOffline: false };

test("the saved state says where the answers are", () => {
  assert.deepEqual(savedWords(clear, linked), ["good", "saved"]);
  assert.deepEqual(savedWords({ ...clear, waiting: 1, isSending: true }, linked), ["busy", "sending"]);
  const offline = { waiting: 12, condition: "offline", isSending: false };
  assert.deepEqual(savedWords(offline, linked), ["warn", "12 answers wait here, sent when you are back"]);
  assert.deepEqual(savedWords({ ...offline, waiting: 1 }, { ...linked, needsLogin: true }), ["warn", "1 answer waits here: log in to send"]);
});

test("an empty place says why and what to do", () => {
  const facts = { empty: null, waiting: 0, isOffline: false, needsLogin: false, refusal: null };
  assert.equal(emptyWords(facts).title, "Fetching items");
  const locked = emptyWords({ ...facts, empty: { why: "locked", message: "The first is free in 12 s." } });
  assert.deepEqual(locked, { title: "The rest is with other people", words: "The first is free in 12 s.", mayRetry: true });
  assert.equal(emptyWords({ ...facts, isOffline: true }).title, "No connection");
  assert.match(emptyWords({ ...facts, needsLogin: true, waiting: 2 }).words, /2 of your answers wait here/);
  assert.equal(emptyWords({ ...facts, refusal: "You are not a member." }).words, "You are not a member.");
});

test("when the model last learned", () => {
  const now = Date.parse("2026-01-01T00:00:20Z");
  const model = { version: 4, learned_at: "2026-01-01T00:00:00Z" };
  assert.equal(modelWords({ model, training: false }, now), "model v4, 20 s ago");
  assert.equal(modelWords({ model: { ...model, version: "model 5" }, training: true }, now), "model 5, 20 s ago, learning again");
  assert.equal(modelWords({ model: null, training: false }, now), "no model yet");
});

test("times are told in the unit that fits", () => {
  const now = 1_000_000_000;
  const ago = [0, 20, 200, 8000, 200_000].map((seconds) => relativeTime(now - seconds * 1000, now));
  assert.deepEqual(ago, ["now", "20 s ago", "3 min ago", "2 h ago", "2 d ago"]);
  assert.equal(relativeTime(now + 90_000, now), "in 1 min");
});
