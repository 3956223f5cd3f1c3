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
  // Of half an element, or half a screen of one that is higher than two: each hundredth is asked about.
  const STEPS = Array.from({ length: 51 }, (_, n) => n / 100);
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
  const track = (element, name, value, token = element.getAttribute("token")) => {
    const key = element.getAttribute("key");
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
  const enter = (element, seen) => {
    leave(element, seen);
    if (!seen.isInView || document.visibilityState === "hidden") return;
    seen.pause = setTimeout(() => {
      const token = element.getAttribute("token");
      seen.since = Date.now();
      if (seen.token !== token) track(element, "shown");
      seen.token = token;
    }, SEEN_AFTER);
  };
  const leave = (element, seen) => {
    clearTimeout(seen.pause);
    if (seen.since) track(element, "dwell", (Date.now() - seen.since) / 1000, seen.token);
    seen.since = 0;
  };
  const watch = (element) => {
    forget();
    if (watched.has(element)) return;
    const selector = element.getAttribute("watch");
    const target = (selector && element.getRootNode().querySelector(selector)) || element;
    const ended = new AbortController();
    const seen = { since: 0, token: "", pause: 0, isInView: false, ended };
    watched.set(element, seen);
    // What is copied out of the widget is the user's own comment.
    const copied = (event) => event.target !== element && track(element, "copied");
    target.addEventListener("copy", copied, { signal: ended.signal });
    const eye = new IntersectionObserver((entries) => {
      const { intersectionRatio, intersectionRect } = entries[entries.length - 1];
      const isInView = intersectionRatio >= 0.5 || intersectionRect.height >= innerHeight / 2;
      if (isInView === seen.isInView) return;
      seen.isInView = isInView;
      enter(element, seen);
    }, { threshold: STEPS });
    eye.observe(target);
    // Another token is another suggestion.
    const page = new MutationObserver(() => enter(element, seen));
    page.observe(element, { attributeFilter: ["token"] });
    ended.signal.addEventListener("abort", () => {
      eye.disconnect();
      page.disconnect();
    });
  };
  // Those that the page has taken away.
  const forget = () => {
    for (const [element, seen] of watched) {
      if (element.isConnected) continue;
      leave(element, seen);
      seen.ended.abort();
      watched.delete(element);
    }
  };

  const end = () => {
    for (const [element, seen] of watched) leave(element, seen);
    flush();
  };
  addEventListener("pagehide", end);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") end();
    else for (const [element, seen] of watched) enter(element, seen);
  });
  document.addEventListener("touchstone:ready", (event) => watch(event.composedPath()[0]));
  document.querySelectorAll("touchstone-feedback").forEach(watch);
  globalThis.touchstoneSignals = {
    track: (element, name, value) => track(element, name, value),
    flush,
    optOut() {
      isOut = true;
      waiting = [];
    },
  };
})();
