// What this person has done and the server has not confirmed yet. Survives a reload, a lost network and a closed tab.
//
// Each act is one entry of its own in the storage, so that two tabs never overwrite each other's; they are sent in the
// order in which they were made, one at a time, by whichever tab holds the lock. Sending twice does no harm (a tab may
// see only late what another one has written): an answer carries a client id that the server knows again. Pure but for
// what it is given: storage, sender, clock, timer, lock.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const DONE_KEPT = 30;

/** How long to wait before the next try: 1, 2, 4 ... 30 s, give or take a quarter. `random` in [0, 1). */
export function waitMs(attempts, random) {
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.max(0, attempts - 1));
  return Math.round(wait * (0.75 + random / 2));
}

/**
 * storage: like localStorage (getItem, setItem, removeItem, key, length).
 * prefix: names this person's entries, e.g. "touchstone.outbox.7."
 * send(op, done): promise of {kind: "ok", body} | {kind: "retry", afterMs?, why} | {kind: "auth"} | {kind: "refused", error}.
 *   done(id) is the body that the server answered to an earlier act, or null.
 * lock(work): runs `work` while no other tab runs its own.
 * schedule(work, ms) -> a function that cancels it.
 * onChange(): anything is different now. onDone(op, body), onRefused(op, error).
 */
export function createOutbox({ storage, prefix, send, now, random, schedule, lock, onChange, onDone, onRefused }) {
  const entryPrefix = `${prefix}entry.`;
  const donePrefix = `${prefix}done.`;
  const memory = new Map(); // entries that the storage had no room for
  let counter = 0;
  let isFlushing = false;
  let isAgainWanted = false;
  let attempts = 0;
  let cancelTimer = null;
  let condition = "clear"; // clear | offline | auth
  let isDurable = true;

  function stored(withPrefix) {
    const found = [];
    for (let place = 0; place < storage.length; place += 1) {
      const key = storage.key(place);
      if (key !== null && key.startsWith(withPrefix)) found.push(key);
    }
    return found.sort();
  }

  function read(key) {
    try {
      return JSON.parse(storage.getItem(key) ?? "null");
    } catch {
      return null;
    }
  }

  function write(entry) {
    try {
      storage.setItem(entry.key, JSON.stringify(entry));
      memory.delete(entry.key);
    } catch {
      isDurable = false;
      memory.set(entry.key, entry);
    }
  }

  function remove(entry) {
    storage.removeItem(entry.key);
    memory.delete(entry.key);
  }

  /** Everything kept here, oldest first. */
  function entries() {
    const kept = stored(entryPrefix).map(read).filter((entry) => entry !== null && entry.op);
    return [...kept, ...memory.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  const waiting = () => entries().filter((entry) => !entry.error);
  const refused = () => entries().filter((entry) => entry.error);
  const find = (id) => entries().find((entry) => entry.op.id === id) ?? null;

  function done(id) {
    return read(donePrefix + id)?.body ?? null;
  }

  // What an undo needs later; the rest of an answer (whole items) would fill the storage.
  function rememberDone(id, { annotation }) {
    if (!annotation) return;
    const at = now();
    try {
      storage.setItem(donePrefix + id, JSON.stringify({ at, body: { annotation } }));
    } catch {
      return; // an undo then asks the server's history
    }
    const keys = stored(donePrefix);
    if (keys.length <= DONE_KEPT) return;
    const byAge = keys.map((key) => [read(key)?.at ?? 0, key]).sort((one, other) => one[0] - other[0]);
    for (const [, key] of byAge.slice(0, keys.length - DONE_KEPT)) storage.removeItem(key);
  }

  /** Keeps an act (an object with type and id) and sends it as soon as possible. */
  function add(op) {
    counter += 1;
    const order = `${String(now()).padStart(15, "0")}.${String(counter).padStart(6, "0")}`;
    write({ key: `${entryPrefix}${order}.${op.id}`, op, at: now(), isSending: false, error: null });
    onChange();
    flush();
  }

  /** Drops an act that was never sent. False when it is on its way or gone: it must then be undone. */
  function cancel(id) {
    const entry = find(id);
    if (!entry || entry.isSending) return false;
    remove(entry);
    onChange();
    return true;
  }

  /** Sends a refused act once more. */
  function retry(id) {
    const entry = find(id);
    if (!entry) return;
    write({ ...entry, error: null });
    onChange();
    flush();
  }

  /** Forgets a refused act for good. */
  function discard(id) {
    const entry = find(id);
    if (entry) remove(entry);
    onChange();
  }

  /** Tries now, whatever the back-off says: the network came back, or the person did. */
  function wake() {
    attempts = 0;
    flush();
  }

  async function flush() {
    if (isFlushing) {
      isAgainWanted = true;
      return;
    }
    isFlushing = true;
    cancelTimer?.();
    cancelTimer = null;
    try {
      do {
        isAgainWanted = false;
        await lock(sendAll);
      } while (isAgainWanted && condition === "clear");
    } finally {
      isFlushing = false;
      onChange();
    }
  }

  async function sendAll() {
    for (let entry = waiting()[0]; entry; entry = waiting()[0]) {
      // Written down first: from here on the server may know of it, so it can only be undone, not dropped.
      write({ ...entry, isSending: true });
      onChange();
      const answer = await send(entry.op, done);
      if (answer.kind === "ok") {
        condition = "clear";
        attempts = 0;
        rememberDone(entry.op.id, answer.body);
        remove(entry);
        onDone(entry.op, answer.body);
      } else if (answer.kind === "refused") {
        condition = "clear";
        attempts = 0;
        write({ ...entry, isSending: false, error: answer.error });
        onRefused(entry.op, answer.error);
      } else if (answer.kind === "auth") {
        condition = "auth";
        return;
      } else {
        condition = "offline";
        attempts += 1;
        cancelTimer = schedule(flush, answer.afterMs ?? waitMs(attempts, random()));
        return;
      }
    }
    condition = "clear";
  }

  /** {waiting, refused: [entry], condition, isSending, isDurable} for the page. */
  function status() {
    return { waiting: waiting().length, refused: refused(), condition, isSending: isFlushing, isDurable };
  }

  return { add, cancel, retry, discard, wake, flush, entries, find, done, status };
}
