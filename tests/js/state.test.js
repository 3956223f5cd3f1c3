import assert from "node:assert/strict";
import { test } from "node:test";

import { HISTORY_LENGTH, currentCard, initialState, reduce, spentMs } from "../../static/labeling/state.js";

const CHOICE = { kind: "choice", submitOnChoice: true, typed: false, min: 0, max: 3 };
const card = (assignment) => ({
  assignment,
  item: { id: assignment * 10, data: { text: `text ${assignment}` } },
  suggestion: null,
  title: `text ${assignment}`,
  heldUntil: 0,
  isLost: false,
});

/** Plays actions one after the other: the last state and every effect. */
function play(rules, ...actions) {
  let state = initialState(rules);
  const effects = [];
  for (const action of actions) {
    const moved = reduce(state, action);
    state = moved.state;
    effects.push(...moved.effects);
  }
  return { state, effects };
}

const leased = (...ids) => ({ type: "leased", cards: ids.map(card), now: 1000 });
const choose = (value, id, now = 3000) => ({ type: "choose", value, id, now });

test("choosing submits at once and the next item is in front", () => {
  const { state, effects } = play(CHOICE, leased(1, 2), choose("neg", "c1"));
  assert.equal(currentCard(state).assignment, 2);
  assert.equal(effects.length, 1);
  assert.deepEqual(effects[0].op, {
    type: "submit",
    id: "c1",
    assignment: 1,
    body: { value: "neg", seconds: 2, client_id: "c1" },
    title: "text 1",
  });
  assert.deepEqual(state.history.map((entry) => [entry.id, entry.status]), [["c1", "waiting"]]);
});

test("without submit on choice the answer waits for enter", () => {
  const rules = { ...CHOICE, submitOnChoice: false };
  const chosen = play(rules, leased(1, 2), choose("neg", "x"));
  assert.equal(chosen.effects.length, 0);
  assert.equal(chosen.state.draft, "neg");
  const sent = play(rules, leased(1, 2), choose("neg", "x"), choose("pos", "y"), { type: "submit", id: "c1", now: 5000 });
  assert.equal(sent.effects[0].op.body.value, "pos");
});

test("enter without an answer says what is missing and sends nothing", () => {
  const { state, effects } = play({ ...CHOICE, submitOnChoice: false }, leased(1), { type: "submit", id: "c1", now: 5000 });
  assert.equal(effects.length, 0);
  assert.match(state.complaint, /Choose an answer/);
  assert.equal(currentCard(state).assignment, 1);
});

test("several labels are toggled, kept sorted and bounded", () => {
  const rules = { kind: "choices", submitOnChoice: true, typed: false, min: 1, max: 2 };
  const toggled = play(rules, leased(1), choose("b"), choose("a"), choose("c"));
  assert.deepEqual(toggled.state.draft, ["a", "b"]);
  assert.match(toggled.state.complaint, /At most 2/);
  const none = play(rules, leased(1), choose("b"), choose("b"), { type: "submit", id: "c1", now: 2000 });
  assert.equal(none.effects.length, 0);
  assert.match(none.state.complaint, /at least 1 label\./);
  const sent = play(rules, leased(1, 2), choose("b"), choose("a"), { type: "submit", id: "c1", now: 2000 });
  assert.deepEqual(sent.effects[0].op.body.value, ["a", "b"]);
  assert.deepEqual(sent.state.draft, []);
});

test("a typed rating is a whole number within its bounds", () => {
  const rules = { kind: "rating", submitOnChoice: true, typed: true, min: -50, max: 100 };
  const type = (...texts) => texts.map((text) => ({ type: "type", text }));
  const submit = { type: "submit", id: "c1", now: 2000 };
  assert.equal(play(rules, leased(1), ...type("4", "2"), submit).effects[0].op.body.value, 42);
  assert.equal(play(rules, leased(1), ...type("7", "-"), submit).state.complaint, "");
  assert.equal(play(rules, leased(1), ...type("4", "2", "-"), submit).effects[0].op.body.value, -42);
  assert.match(play(rules, leased(1), ...type("4", "2", "0"), submit).state.complaint, /outside/);
  assert.match(play(rules, leased(1), submit).state.complaint, /Type a whole number/);
  assert.equal(play(rules, leased(1), ...type("4", "2"), { type: "erase" }).state.draft, "4");
});

test("flag and comment go with the answer and do not cling to the next item", () => {
  const { state, effects } = play(CHOICE, leased(1, 2), { type: "flag" }, { type: "comment", text: " odd " }, choose("neg", "c1"));
  assert.deepEqual([effects[0].op.body.comment, effects[0].op.body.flag], ["odd", true]);
  assert.deepEqual([state.flagged, state.comment], [false, ""]);
});

test("a skipped item keeps its remark: it is part of the skip", () => {
  const { effects } = play(CHOICE, leased(1), { type: "flag" }, { type: "skip", reason: "broken", id: "c1", now: 2000 });
  assert.deepEqual(effects.map(({ op }) => [op.type, op.body]), [["skip", { reason: "broken", flag: true }]]);
});

test("undo brings the last item back in front with the old answer", () => {
  const { state, effects } = play(CHOICE, leased(1, 2), choose("neg", "c1"), { type: "undo", now: 9000 });
  assert.deepEqual(state.cards.map((one) => one.assignment), [1, 2]);
  assert.equal(state.draft, "neg");
  assert.equal(state.history.length, 0);
  assert.deepEqual(effects[1].do, "take-back");
  assert.equal(effects[1].entry.id, "c1");
});

test("undo without history does nothing", () => {
  const { state, effects } = play(CHOICE, leased(1), { type: "undo", now: 1 });
  assert.equal(effects.length, 0);
  assert.equal(currentCard(state).assignment, 1);
});

test("any of the last ten can be gone back to, older ones are gone", () => {
  const ids = Array.from({ length: 12 }, (_, i) => i + 1);
  const { state } = play(CHOICE, leased(...ids), ...ids.map((id) => choose("neg", `c${id}`)));
  assert.equal(state.history.length, HISTORY_LENGTH);
  const moved = reduce(state, { type: "go-back", id: "c5", now: 1 }).state;
  assert.equal(currentCard(moved).assignment, 5);
  assert.ok(!moved.history.some((entry) => entry.id === "c5"));
  assert.equal(reduce(state, { type: "go-back", id: "c1", now: 1 }).state, state);
});

test("an unsent remark comes back with its answer, a sent one stays with the server", () => {
  const unsent = play(CHOICE, leased(1, 2), { type: "flag" }, choose("neg", "c1"), { type: "undo", now: 1 });
  assert.equal(unsent.state.flagged, true);
  const sent = play(CHOICE, leased(1, 2), { type: "flag" }, choose("neg", "c1"), { type: "sent", id: "c1", annotation: 7 }, { type: "undo", now: 1 });
  assert.equal(sent.state.flagged, false);
  assert.equal(sent.effects.at(-1).entry.annotation, 7);
});

test("the server's answer may change only the tail, never what is on screen", () => {
  const { state } = play(CHOICE, leased(1, 2), leased(2, 3));
  assert.deepEqual(state.cards.map((one) => one.assignment), [1, 2, 3]);
});

test("a lost lease drops items that were not seen; the one on screen stays and says so", () => {
  const { state } = play(CHOICE, leased(1, 2, 3), { type: "lost", assignment: 1 }, { type: "lost", assignment: 2 });
  assert.deepEqual(state.cards.map((one) => [one.assignment, one.isLost]), [[1, true], [3, false]]);
});

test("the clock counts only while the page is visible, and starts anew with each item", () => {
  const hidden = play(CHOICE, leased(1, 2), { type: "hidden", now: 2000 }, { type: "visible", now: 60000 });
  assert.equal(spentMs(hidden.state, 61000), 2000);
  const next = reduce(hidden.state, choose("neg", "c1", 61000));
  assert.equal(next.effects[0].op.body.seconds, 2);
  assert.equal(spentMs(next.state, 61500), 500);
});

test("waiting for items costs no time", () => {
  const { state } = play(CHOICE, { type: "visible", now: 0 }, { ...leased(1), now: 50000 });
  assert.equal(spentMs(state, 51000), 1000);
});

test("the server's history comes behind the page's own, without doubles", () => {
  const remembered = [{ id: "annotation-9", assignment: 9 }, { id: "annotation-1", assignment: 1 }, { id: "annotation-2", assignment: 2 }];
  const { state } = play(CHOICE, leased(1, 2), choose("neg", "c1"), { type: "history", entries: remembered });
  assert.deepEqual(state.history.map((entry) => entry.id), ["c1", "annotation-9"]);
});

test("what an undo brought back replaces the card of history", () => {
  const full = { ...card(1), suggestion: { value: "pos" } };
  const { state } = play(CHOICE, leased(1, 2), { type: "returned", assignment: 1, card: full });
  assert.equal(currentCard(state).suggestion.value, "pos");
});

test("an unknown action is a bug, not a shrug", () => {
  assert.throws(() => reduce(initialState(CHOICE), { type: "chose" }), /No such action/);
});

// Known answers

const told = (facts = {}) => ({ said: "neg", value: "pos", is_right: false, note: "irony", ...facts });
const sent = (id, feedback = null) => ({ type: "sent", id, annotation: 7, feedback });

test("the known answer is noted and takes nothing from the item on screen", () => {
  const { state } = play(CHOICE, leased(1, 2), choose("neg", "c1"), { type: "flag" }, sent("c1", told()));
  assert.equal(currentCard(state).assignment, 2);
  assert.equal(state.flagged, true);
  assert.deepEqual(state.notes, [
    { kind: "known", title: "text 1", said: "neg", known: "pos", isRight: false, passes: false, why: "irony" },
  ]);
  assert.deepEqual(reduce(state, { type: "read" }).state.notes, []);
});

test("a wrong answer's note waits while others are given; praise passes with the next answer", () => {
  const right = told({ said: "pos", is_right: true });
  const first = [leased(1, 2, 3, 4), choose("neg", "c1"), sent("c1", told())];
  const { state } = play(CHOICE, ...first, choose("pos", "c2"), sent("c2", right));
  assert.deepEqual(state.notes.map((note) => note.isRight), [false, true]);
  const answered = reduce(state, choose("pos", "c3")).state;
  assert.deepEqual(answered.notes.map((note) => note.isRight), [false]);
});

test("an answer after which the known one was told cannot be taken back; others can", () => {
  const { state, effects } = play(CHOICE, leased(1, 2), choose("neg", "c1"), sent("c1", told()), { type: "undo", now: 1 });
  assert.equal(currentCard(state).assignment, 2);
  assert.equal(state.notes.at(-1).kind, "stands");
  assert.equal(effects.filter((effect) => effect.do === "take-back").length, 0);
  const again = play(CHOICE, leased(1, 2), choose("neg", "c1"), sent("c1"), { type: "undo", now: 1 });
  assert.equal(currentCard(again.state).assignment, 1);
});

test("an undo that crossed the known answer leaves the next item in front", () => {
  const crossing = [leased(1, 2), choose("neg", "c1"), { type: "undo", now: 1 }];
  const stood = { type: "stood", id: "u1", assignment: 1, now: 9000 };
  const { state } = play(CHOICE, ...crossing, stood);
  assert.equal(currentCard(state).assignment, 2);
  assert.equal(spentMs(state, 9500), 500);
  const anew = play(CHOICE, ...crossing, choose("pos", "c2"), { ...stood, id: "c2" });
  assert.deepEqual([currentCard(anew.state).assignment, anew.state.history.length], [2, 0]);
});

test("the end of practice is noted once", () => {
  const over = { type: "practised", practice: { done: 2, of: 2, share: null, is_over: true, paused: "" } };
  const { state } = play(CHOICE, leased(1), over, { type: "read" }, over);
  assert.deepEqual(state.notes, []);
});
