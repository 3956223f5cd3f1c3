import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const source = (name) => readFileSync(new URL(`../../static/embed/v1/${name}-1.0.0.js`, import.meta.url), "utf8");

/** As much of a browser as signals.js asks for. */
function browser({ privacy = {}, beaconTakes = true } = {}) {
  const beacons = [];
  const fetched = [];
  const timers = [];
  const listeners = {};
  const listen = (name, act) => (listeners[name] = [...(listeners[name] || []), act]);
  const observers = [];
  const document = {
    currentScript: { src: "https://touchstone.example/embed/v1/signals-1.0.0.js" },
    visibilityState: "visible",
    addEventListener: listen,
    querySelector: () => null,
    querySelectorAll: () => [],
  };
  const world = {
    URL,
    crypto: globalThis.crypto,
    document,
    addEventListener: listen,
    navigator: { ...privacy, sendBeacon: (url, body) => beaconTakes && beacons.push({ url, body: JSON.parse(body) }) > 0 },
    fetch: async (url, options) => fetched.push({ url, options }),
    setTimeout: (act) => timers.push(act),
    clearTimeout: () => {},
    IntersectionObserver: class {
      constructor(act) {
        observers.push(act);
      }
      observe() {}
    },
  };
  vm.createContext(world);
  vm.runInContext(source("signals"), world);
  const fire = (name, event = {}) => (listeners[name] || []).forEach((act) => act(event));
  return { world, beacons, fetched, timers, observers, fire, signals: world.touchstoneSignals };
}

const element = (attributes = {}) => ({
  getAttribute: (name) => ({ key: "pk_a", token: "t1", ...attributes })[name] ?? null,
  addEventListener() {},
});

test("events wait, and go out together as text", () => {
  const { signals, beacons, timers } = browser();
  signals.track(element(), "accepted");
  signals.track(element(), "edited", 0.4);
  assert.equal(beacons.length, 0);
  timers.at(-1)();
  assert.equal(beacons.length, 1);
  assert.equal(beacons[0].url, "https://touchstone.example/api/v1/events/");
  const { key, events } = beacons[0].body;
  assert.equal(key, "pk_a");
  assert.deepEqual(events.map((one) => [one.name, one.value]), [["accepted", undefined], ["edited", 0.4]]);
  assert.notEqual(events[0].client_id, events[1].client_id);
});

test("twenty go out at once, and those of two keys apart", () => {
  const { signals, beacons } = browser();
  for (let n = 0; n < 20; n++) signals.track(element({ key: n % 2 ? "pk_a" : "pk_b" }), "accepted");
  assert.deepEqual(beacons.map((one) => [one.body.key, one.body.events.length]).sort(), [["pk_a", 10], ["pk_b", 10]]);
});

test("a page that is left sends what waits; a beacon that is refused is sent otherwise", () => {
  const { signals, beacons, fetched, fire } = browser({ beaconTakes: false });
  signals.track(element(), "copied");
  fire("pagehide");
  assert.equal(beacons.length, 0);
  assert.equal(fetched.length, 1);
  assert.equal(fetched[0].options.credentials, "omit");
  assert.equal(fetched[0].options.keepalive, true);
});

for (const privacy of [{ globalPrivacyControl: true }, { doNotTrack: "1" }]) {
  test(`${Object.keys(privacy)[0]} keeps it silent`, () => {
    const { signals, beacons } = browser({ privacy });
    signals.track(element(), "accepted");
    signals.flush();
    assert.equal(beacons.length, 0);
  });
}

test("opting out drops what waits", () => {
  const { signals, beacons } = browser();
  signals.track(element(), "accepted");
  signals.optOut();
  signals.track(element(), "accepted");
  signals.flush();
  assert.equal(beacons.length, 0);
});

test("shown is said once for each suggestion, after it was seen for a while", () => {
  const { signals, beacons, timers, observers, fire } = browser();
  const target = element();
  fire("touchstone:ready", { target });
  fire("touchstone:ready", { target });
  assert.equal(observers.length, 1);
  observers[0]([{ isIntersecting: true }]);
  timers.at(-1)();
  observers[0]([{ isIntersecting: false }]);
  observers[0]([{ isIntersecting: true }]);
  timers.at(-1)();
  signals.flush();
  const names = beacons.flatMap((one) => one.body.events.map((event) => event.name));
  assert.equal(names.filter((name) => name === "shown").length, 1);
});

test("the widget carries no privilege: no cookie, no storage, no markup from text", () => {
  for (const name of ["widget", "signals"]) {
    assert.doesNotMatch(source(name), /innerHTML|document\.cookie|Storage|eval\(/);
    assert.match(source(name), /credentials: "omit"/);
  }
});
