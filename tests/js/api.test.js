import assert from "node:assert/strict";
import { test } from "node:test";

import { createApi, sortAnswer } from "../../static/labeling/api.js";

const error = (code, message = "words") => ({ error: { code, message, fields: {} } });

function setUp(...answers) {
  const calls = [];
  const fetch = async (url, options) => {
    calls.push({ url, ...options, body: options.body && JSON.parse(options.body) });
    const answer = answers[Math.min(calls.length, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    const [status, body] = answer;
    return { status, headers: new Map(), json: async () => (body === undefined ? Promise.reject(new Error("no JSON")) : body) };
  };
  return { calls, api: createApi({ fetch, root: "/api/v1/", project: "tweets", csrf: () => "token" }) };
}

test("answers are sorted by what can be done about them", () => {
  assert.equal(sortAnswer(201, {}).kind, "ok");
  assert.equal(sortAnswer(200, {}).kind, "ok");
  assert.equal(sortAnswer(401, error("not_authenticated")).kind, "auth");
  assert.equal(sortAnswer(403, error("permission_denied", "CSRF Failed: CSRF token missing.")).kind, "auth");
  for (const status of [403, 404, 409, 413, 422]) assert.equal(sortAnswer(status, error("x")).kind, "refused", status);
  for (const status of [408, 429, 500, 502, 503]) assert.equal(sortAnswer(status, null).kind, "retry", status);
});

test("a refusal carries the server's words", () => {
  assert.deepEqual(sortAnswer(409, error("already_answered", "You have answered.")).error, {
    code: "already_answered",
    message: "You have answered.",
    fields: {},
    status: 409,
  });
  assert.match(sortAnswer(404, null).error.message, /404/);
});

test("a page that is not ours is no answer, even with status 200", () => {
  assert.equal(sortAnswer(200, null).kind, "retry");
});

test("the server says how long to wait", () => {
  assert.equal(sortAnswer(429, error("throttled"), "7").afterMs, 7000);
  assert.equal(sortAnswer(503, null, null).afterMs, undefined);
});

test("acts go to the address of their assignment with the CSRF token", async () => {
  const { calls, api } = setUp([201, { annotation: { id: 1 } }]);
  const op = { type: "submit", id: "a", assignment: 5, project: "tweets", body: { value: "x", client_id: "a" } };
  assert.equal((await api.send(op, () => null)).kind, "ok");
  assert.equal(calls[0].url, "/api/v1/assignments/5/submit/");
  assert.equal(calls[0].headers["X-CSRFToken"], "token");
  assert.deepEqual(calls[0].body, { value: "x", client_id: "a" });
});

test("an undo finds its annotation: given, answered before, or in the history", async () => {
  const undo = { type: "undo", id: "u", of: "a", assignment: 5, project: "tweets" };
  const given = setUp([200, {}]);
  await given.api.send({ ...undo, annotation: 3 }, () => null);
  assert.equal(given.calls[0].url, "/api/v1/annotations/3/undo/");
  const answered = setUp([200, {}]);
  await answered.api.send(undo, () => ({ annotation: { id: 4 } }));
  assert.equal(answered.calls[0].url, "/api/v1/annotations/4/undo/");
  const looked = setUp([200, { annotations: [{ id: 8, assignment: 6 }, { id: 9, assignment: 5 }] }], [200, {}]);
  await looked.api.send(undo, () => null);
  assert.deepEqual(looked.calls.map((call) => call.url), ["/api/v1/projects/tweets/history/?n=100", "/api/v1/annotations/9/undo/"]);
});

test("an undo of an answer that never arrived has nothing to do", async () => {
  const { calls, api } = setUp([200, { annotations: [] }]);
  const answer = await api.send({ type: "undo", id: "u", of: "a", assignment: 5, project: "tweets" }, () => null);
  assert.deepEqual([answer.kind, calls.length], ["ok", 1]);
});

test("no network is a reason to wait, not to forget", async () => {
  const { api } = setUp(new TypeError("Failed to fetch"));
  assert.equal((await api.progress()).kind, "retry");
});
