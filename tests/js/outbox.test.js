import assert from "node:assert/strict";
import { test } from "node:test";

import { createOutbox, waitMs } from "../../static/labeling/outbox.js";

class Shelf {
  constructor(limit = Infinity) {
    this.map = new Map();
    this.limit = limit;
  }
  get length() {
    return this.map.size;
  }
  key(place) {
    return [...this.map.keys()][place] ?? null;
  }
  getItem(key) {
    return this.map.get(key) ?? null;
  }
  setItem(key, value) {
    if (!this.map.has(key) && this.map.size >= this.limit) throw new Error("QuotaExceededError");
    this.map.set(key, value);
  }
  removeItem(key) {
    this.map.delete(key);
  }
}

/** An outbox on a shelf with a sender that answers from a list (the last answer repeats). */
function setUp({ storage = new Shelf(), answers = [{ kind: "ok", body: {} }], lock = (work) => work() } = {}) {
  const sent = [];
  const timers = [];
  const done = [];
  const refused = [];
  let clock = 1000;
  const outbox = createOutbox({
    storage,
    prefix: "test.",
    send: async (op, doneOf) => {
      sent.push(op);
      await null;
      const answer = answers[Math.min(sent.length, answers.length) - 1];
      return typeof answer === "function" ? answer(op, doneOf) : answer;
    },
    now: () => (clock += 1),
    random: () => 0.5,
    schedule: (work, ms) => {
      const timer = { work, ms };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    },
    lock,
    onChange: () => {},
    onDone: (op, body) => done.push([op.id, body]),
    onRefused: (op, error) => refused.push([op.id, error]),
  });
  return { outbox, sent, timers, done, refused, storage };
}

const submit = (id, assignment = 1) => ({ type: "submit", id, assignment, body: { value: "x", client_id: id } });
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("an act is sent and forgotten once the server has it", async () => {
  const { outbox, sent, done, storage } = setUp({ answers: [{ kind: "ok", body: { annotation: { id: 7 } } }] });
  outbox.add(submit("a"));
  assert.equal(outbox.status().waiting, 1);
  await settle();
  assert.deepEqual(sent.map((op) => op.id), ["a"]);
  assert.deepEqual(done, [["a", { annotation: { id: 7 } }]]);
  assert.equal(outbox.status().waiting, 0);
  assert.deepEqual(outbox.done("a"), { annotation: { id: 7 } });
  assert.ok([...storage.map.keys()].every((key) => key.startsWith("test.done.")));
});

test("acts are sent in the order in which they were made, one at a time", async () => {
  const { outbox, sent } = setUp();
  for (const id of ["a", "b", "c"]) outbox.add(submit(id));
  await settle();
  assert.deepEqual(sent.map((op) => op.id), ["a", "b", "c"]);
});

test("without a network acts wait, back off, and go out when somebody wakes the outbox", async () => {
  const { outbox, sent, timers } = setUp({ answers: [{ kind: "retry" }, { kind: "retry" }, { kind: "ok", body: {} }] });
  outbox.add(submit("a"));
  await settle();
  assert.deepEqual([outbox.status().waiting, outbox.status().condition], [1, "offline"]);
  assert.equal(timers.length, 1);
  timers[0].work();
  await settle();
  assert.equal(sent.length, 2);
  assert.ok(timers.at(-1).ms > 1500, "the second wait is longer");
  outbox.wake();
  await settle();
  assert.deepEqual([outbox.status().waiting, outbox.status().condition], [0, "clear"]);
  assert.ok(sent.every((op) => op.id === "a"), "the same client id each time");
});

test("the server's own wait is obeyed", async () => {
  const { outbox, timers } = setUp({ answers: [{ kind: "retry", afterMs: 12000 }] });
  outbox.add(submit("a"));
  await settle();
  assert.equal(timers[0].ms, 12000);
});

test("acts survive a reload: a new outbox on the same storage sends them", async () => {
  const storage = new Shelf();
  const before = setUp({ storage, answers: [{ kind: "retry" }] });
  before.outbox.add(submit("a"));
  before.outbox.add(submit("b", 2));
  await settle();
  const after = setUp({ storage });
  assert.equal(after.outbox.status().waiting, 2);
  await after.outbox.flush();
  assert.deepEqual(after.sent.map((op) => op.id), ["a", "b"]);
  assert.equal(after.outbox.status().waiting, 0);
});

test("a refused act is kept and shown, and does not hold up the others", async () => {
  const error = { code: "already_answered", message: "You have already answered this item.", status: 409 };
  const { outbox, sent, refused } = setUp({ answers: [{ kind: "refused", error }, { kind: "ok", body: {} }] });
  outbox.add(submit("a"));
  outbox.add(submit("b", 2));
  await settle();
  assert.deepEqual(sent.map((op) => op.id), ["a", "b"]);
  assert.deepEqual(refused, [["a", error]]);
  assert.deepEqual(outbox.status().refused.map((entry) => [entry.op.id, entry.error.message]), [["a", error.message]]);
  assert.equal(outbox.status().waiting, 0);
});

test("a refused act can be tried again or thrown away by the person, by nobody else", async () => {
  const error = { code: "invalid", message: "no", status: 422 };
  const { outbox, sent, storage } = setUp({ answers: [{ kind: "refused", error }, { kind: "refused", error }, { kind: "ok", body: {} }] });
  outbox.add(submit("a"));
  outbox.add(submit("b", 2));
  await settle();
  await outbox.flush();
  assert.equal(setUp({ storage }).outbox.status().refused.length, 2);
  outbox.retry("a");
  await settle();
  assert.deepEqual(sent.map((op) => op.id), ["a", "b", "a"]);
  outbox.discard("b");
  assert.equal(outbox.entries().length, 0);
});

test("a lost log-in stops sending and keeps everything", async () => {
  const { outbox, sent } = setUp({ answers: [{ kind: "auth" }, { kind: "ok", body: {} }] });
  outbox.add(submit("a"));
  outbox.add(submit("b", 2));
  await settle();
  assert.deepEqual([outbox.status().waiting, outbox.status().condition], [2, "auth"]);
  assert.equal(sent.filter((op) => op.id === "b").length, 0);
  outbox.wake();
  await settle();
  assert.equal(outbox.status().waiting, 0);
});

test("an act that was never sent can be dropped, one on its way cannot", async () => {
  const held = setUp({ lock: () => new Promise(() => {}) });
  held.outbox.add(submit("a"));
  assert.equal(held.outbox.cancel("a"), true);
  assert.equal(held.outbox.entries().length, 0);
  const { outbox } = setUp({ answers: [{ kind: "retry" }] });
  outbox.add(submit("b"));
  assert.equal(outbox.cancel("b"), false);
  await settle();
  assert.equal(outbox.cancel("b"), false, "the server may have it although no answer came");
  assert.equal(outbox.cancel("unknown"), false);
});

test("an undo made offline goes out after its answer and learns its number from it", async () => {
  let seen = null;
  const answers = [{ kind: "retry" }, { kind: "ok", body: { annotation: { id: 7 } } }, (op, doneOf) => ({ kind: "ok", body: (seen = doneOf(op.of)) })];
  const { outbox, sent } = setUp({ answers });
  outbox.add(submit("a"));
  await settle();
  outbox.add({ type: "undo", id: "u", assignment: 1, of: "a" });
  await settle();
  outbox.wake();
  await settle();
  assert.deepEqual(sent.map((op) => op.id), ["a", "a", "u"]);
  assert.deepEqual(seen, { annotation: { id: 7 } });
});

test("two tabs on one storage send each act once", async () => {
  const storage = new Shelf();
  let queue = Promise.resolve();
  const lock = (work) => (queue = queue.then(work));
  const one = setUp({ storage, lock });
  const other = setUp({ storage, lock });
  one.outbox.add(submit("a"));
  other.outbox.add(submit("b", 2));
  one.outbox.add(submit("c", 3));
  await settle();
  await Promise.all([one.outbox.flush(), other.outbox.flush()]);
  assert.deepEqual([...one.sent, ...other.sent].map((op) => op.id).sort(), ["a", "b", "c"]);
});

test("a full storage is said, and the act is sent all the same", async () => {
  const { outbox, sent } = setUp({ storage: new Shelf(0) });
  outbox.add(submit("a"));
  assert.equal(outbox.status().isDurable, false);
  assert.equal(outbox.status().waiting, 1);
  await settle();
  assert.deepEqual(sent.map((op) => op.id), ["a"]);
  assert.equal(outbox.status().waiting, 0);
});

test("foreign and broken entries in the storage do no harm", async () => {
  const storage = new Shelf();
  storage.setItem("other.thing", "1");
  storage.setItem("test.entry.000.x", "{broken");
  const { outbox, sent } = setUp({ storage });
  outbox.add(submit("a"));
  await settle();
  assert.deepEqual(sent.map((op) => op.id), ["a"]);
  assert.equal(storage.getItem("other.thing"), "1");
});

test("what the server answered is remembered for the last thirty only", async () => {
  const { outbox, storage } = setUp({ answers: [{ kind: "ok", body: { annotation: { id: 1 } } }] });
  for (let n = 0; n < 40; n += 1) outbox.add(submit(`a${n}`, n));
  await settle();
  await outbox.flush();
  assert.equal(storage.length, 30);
  assert.equal(outbox.done("a0"), null);
  assert.deepEqual(outbox.done("a39"), { annotation: { id: 1 } });
});

test("waits double from one second to thirty, give or take a quarter", () => {
  assert.deepEqual([1, 2, 3, 6, 60].map((attempts) => waitMs(attempts, 0.5)), [1000, 2000, 4000, 30000, 30000]);
  assert.equal(waitMs(1, 0), 750);
  assert.ok(waitMs(1, 0.999) < 1251);
});
