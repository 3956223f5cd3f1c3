import assert from "node:assert/strict";
import { test } from "node:test";

import { AHEAD, createStream, dueForRenewal, lookAgainMs, wanted } from "../../static/labeling/stream.js";

const settle = () => new Promise((resolve) => setImmediate(resolve));
const items = (n, from = 1) => Array.from({ length: n }, (_, i) => ({ id: from + i }));

function setUp({ answers, resume = false, isDraining = () => false }) {
  const asked = [];
  const empties = [];
  const troubles = [];
  const timers = [];
  const page = { cards: 0 };
  const stream = createStream({
    ask: async (n, fromBefore) => {
      asked.push([n, fromBefore]);
      await null;
      return answers[Math.min(asked.length, answers.length) - 1];
    },
    nCards: () => page.cards,
    isDraining,
    onCards: (assignments) => (page.cards += assignments.length),
    onEmpty: (empty) => empties.push(empty),
    onTrouble: (answer) => troubles.push(answer),
    schedule: (work, ms) => {
      const timer = { work, ms };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    },
    resume,
  });
  return { stream, asked, empties, troubles, timers, page };
}

const ok = (assignments, empty = null) => ({ kind: "ok", body: { assignments, empty } });

test("one on screen and five ahead", async () => {
  const { stream, asked, page } = setUp({ answers: [ok(items(6)), ok(items(1, 7))], resume: true });
  await stream.fill();
  assert.equal(page.cards, AHEAD + 1);
  await stream.fill();
  assert.equal(asked.length, 1, "nothing is missing");
  page.cards -= 1;
  await stream.fill();
  assert.deepEqual(asked, [[6, true], [1, false]], "what was held before is taken up once");
});

test("two presses in a row ask once at a time", async () => {
  const { stream, asked } = setUp({ answers: [ok(items(6))] });
  stream.fill();
  stream.fill();
  await settle();
  assert.equal(asked.length, 1);
});

test("an empty queue is told and looked at again later, not on every key", async () => {
  const empty = { why: "done", message: "Everything is judged." };
  const { stream, asked, empties, timers, page } = setUp({ answers: [ok([], empty), ok(items(2))] });
  await stream.fill();
  await stream.fill();
  assert.deepEqual([asked.length, empties], [1, [empty]]);
  timers[0].work();
  await settle();
  assert.deepEqual([asked.length, page.cards], [2, 2]);
});

test("somebody who asks is answered at once", async () => {
  const { stream, asked } = setUp({ answers: [ok([], { why: "done", message: "" })] });
  await stream.fill();
  stream.wake();
  await settle();
  assert.equal(asked.length, 2);
});

test("with answers still on their way the server is not asked what is left", async () => {
  let draining = true;
  const { stream, asked } = setUp({ answers: [ok(items(6))], isDraining: () => draining });
  await stream.fill();
  assert.equal(asked.length, 0);
  draining = false;
  await stream.fill();
  assert.equal(asked.length, 1);
});

test("items held from another visit are asked for by name", async () => {
  const { stream, asked, timers } = setUp({ answers: [ok([], { why: "held", message: "" }), ok(items(3))] });
  await stream.fill();
  timers[0].work();
  await settle();
  assert.deepEqual(asked, [[6, false], [6, true]]);
});

test("a failed look is reported and repeated with growing patience", async () => {
  const { stream, troubles, timers } = setUp({ answers: [{ kind: "retry" }, { kind: "retry" }, ok(items(6))] });
  await stream.fill();
  timers.at(-1).work();
  await settle();
  assert.deepEqual([troubles.length, timers[0].ms, timers[1].ms], [2, 1000, 2000]);
});

test("a look that was on its way when the last answers arrived is taken again", async () => {
  const held = { why: "held", message: "You hold 1." };
  const done = { why: "done", message: "Everything is judged." };
  const { stream, asked, empties } = setUp({ answers: [ok([], held), ok([], done)] });
  const first = stream.fill();
  stream.wake();
  await first;
  await settle();
  assert.equal(asked.length, 2);
  assert.deepEqual(empties, [done], "what was true before is not shown");
});

test("a refusal and a lost log-in are not repeated by themselves", async () => {
  for (const kind of ["refused", "auth"]) {
    const { stream, troubles, timers } = setUp({ answers: [{ kind, error: { message: "no" } }] });
    await stream.fill();
    assert.deepEqual([troubles.length, timers.length], [1, 0], kind);
  }
});

test("a queue locked by others is looked at when its first lease ends", () => {
  assert.equal(lookAgainMs({ why: "locked", free_in_seconds: 12 }), 13000);
  assert.equal(lookAgainMs({ why: "locked", free_in_seconds: 3600 }), 60000);
  assert.equal(lookAgainMs({ why: "training" }), 5000);
  assert.equal(lookAgainMs({ why: "something new" }), 20000);
});

test("how many are wanted", () => {
  assert.deepEqual([0, 1, 5, 6, 9].map(wanted), [6, 5, 1, 0, 0]);
});

test("leases are renewed when a third of their time is gone, lost ones are not", () => {
  const cards = [
    { assignment: 1, heldUntil: 300, isLost: false },
    { assignment: 2, heldUntil: 150, isLost: false },
    { assignment: 3, heldUntil: -5, isLost: true },
  ];
  assert.deepEqual(dueForRenewal(cards, 0, 300).map((one) => one.assignment), [2]);
});
