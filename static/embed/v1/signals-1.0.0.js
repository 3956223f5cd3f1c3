// What users do with a suggestion, for pages that want to tell: a page without this script tells nothing.
// Looks at each <touchstone-feedback>, or at what its `watch` names (a selector), and sends batches by beacon.
// Silent for whoever says so by Global Privacy Control, by Do Not Track, or through touchstoneSignals.optOut().
// A version that was published is never edited: pages name it by its hash. A change is another file.
(() => {
  "use strict";
  const address = new URL(document.currentScript.src).origin + "/api/v1/events/";
  const MAX_BATCH = 20;
  const PAUSE = 5000;
  const SEEN_AFTER = 1000;
  let isOut = navigator.globalPrivacyControl === true || navigator.doNotTrack === "1";
  let waiting = [];
  let timer = 0;
  const watched = new Map();
  const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    const batch = waiting;
    waiting = [];
    for (const key of new Set(batch.map((one) => one.key))) {
      const events = batch.filter((one) => one.key === key).map((one) => one.event);
      // A string is text/plain: it asks no permission first, and no cookie gives it any authority.
      const body = JSON.stringify({ key, events });
      if (!navigator.sendBeacon || !navigator.sendBeacon(address, body)) {
        fetch(address, { method: "POST", body, keepalive: true, credentials: "omit" }).catch(() => {});
      }
    }
  };

  // name: accepted, edited (value: how far, 0 to 1), undone, dismissed, copied, converted, shown, dwell (value: seconds).
  const track = (element, name, value) => {
    const key = element.getAttribute("key");
    const token = element.getAttribute("token");
    if (isOut || !key || !token) return;
    const event = { token, name, at: Date.now(), client_id: newId() };
    if (typeof value === "number") event.value = value;
    const subject = element.getAttribute("subject");
    if (subject) Object.assign(event, { subject, subject_signature: element.getAttribute("subject-signature") || "" });
    waiting.push({ key, event });
    if (waiting.length >= MAX_BATCH) flush();
    else timer = timer || setTimeout(flush, PAUSE);
  };

  // Seen is what was half on the screen for a second; dwell, how long it was there from then on.
  const leave = (element) => {
    const seen = watched.get(element);
    clearTimeout(seen.pause);
    if (seen.since) track(element, "dwell", (Date.now() - seen.since) / 1000);
    seen.since = 0;
  };
  const watch = (element) => {
    if (watched.has(element)) return;
    const selector = element.getAttribute("watch");
    const target = (selector && document.querySelector(selector)) || element;
    const seen = { since: 0, token: "", pause: 0 };
    watched.set(element, seen);
    target.addEventListener("copy", () => track(element, "copied"));
    new IntersectionObserver((entries) => {
      if (!entries[entries.length - 1].isIntersecting) return leave(element);
      seen.pause = setTimeout(() => {
        seen.since = Date.now();
        if (seen.token !== element.getAttribute("token")) track(element, "shown");
        seen.token = element.getAttribute("token");
      }, SEEN_AFTER);
    }, { threshold: 0.5 }).observe(target);
  };

  const end = () => {
    for (const element of watched.keys()) leave(element);
    flush();
  };
  addEventListener("pagehide", end);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && end());
  document.addEventListener("touchstone:ready", (event) => watch(event.target));
  document.querySelectorAll("touchstone-feedback").forEach(watch);
  globalThis.touchstoneSignals = {
    track,
    flush,
    optOut() {
      isOut = true;
      waiting = [];
    },
  };
})();
