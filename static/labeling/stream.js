// Keeps the next items leased and ready, and the leases alive. Pure but for what it is given.

// One on screen and this many behind it.
export const AHEAD = 5;
const LOOK_AGAIN_MS = { training: 5000, held: 5000, done: 20000, empty: 20000, limit: 60000, locked: 15000 };
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;

/** How many items to ask for now. */
export function wanted(nCards) {
  return Math.max(0, AHEAD + 1 - nCards);
}

/** Milliseconds until the queue is worth another look, given why it was empty. */
export function lookAgainMs(empty) {
  if (empty.why === "locked" && empty.free_in_seconds) return Math.min(60000, (empty.free_in_seconds + 1) * 1000);
  return LOOK_AGAIN_MS[empty.why] ?? 20000;
}

/** Leases that should be renewed: those with less than two thirds of their time left. */
export function dueForRenewal(cards, now, leaseMs) {
  return cards.filter((card) => !card.isLost && card.heldUntil - now < (leaseMs * 2) / 3);
}

/**
 * ask(n, resume): promise of {kind: "ok", body: {assignments, empty}} | {kind: "retry", afterMs?} | {kind: "auth"} |
 *   {kind: "refused", error}.
 * nCards(), isDraining(): how many items the page holds; whether answers are still on their way.
 * onCards(assignments), onEmpty(empty), onTrouble(answer), schedule(work, ms) -> cancel, now().
 */
export function createStream({ ask, nCards, isDraining, onCards, onEmpty, onTrouble, schedule, resume }) {
  let isAsking = false;
  let cancelTimer = null;
  let failures = 0;
  let isResuming = resume;
  // Why the last look found nothing: until the next look is due, answering must not make more of them.
  let drained = null;
  // Something changed while the question was on its way: an answer of "nothing" would be about the past.
  let isOutdated = false;

  function later(ms) {
    cancelTimer?.();
    cancelTimer = schedule(() => {
      cancelTimer = null;
      drained = null;
      fill();
    }, ms);
  }

  /** Asks for items when some are missing, unless it is already known that there are none. */
  async function fill() {
    const n = wanted(nCards());
    if (n === 0 || isAsking || drained) return;
    // What is still in the outbox counts as held on the server: its answer would be about the past.
    if (nCards() === 0 && isDraining()) return;
    isAsking = true;
    isOutdated = false;
    const answer = await ask(n, isResuming);
    isAsking = false;
    if (answer.kind !== "ok") {
      failures += 1;
      onTrouble(answer);
      if (answer.kind === "retry") later(answer.afterMs ?? Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)));
      return;
    }
    failures = 0;
    isResuming = false;
    const { assignments } = answer.body;
    if (assignments.length) {
      onCards(assignments);
      if (nCards() === 0) fill(); // all of them are answered already, and wait in the outbox
      return;
    }
    if (isOutdated) {
      fill();
      return;
    }
    const empty = answer.body.empty ?? { why: "done", message: "There is nothing for you at the moment." };
    drained = empty;
    // "held" can mean items that another visit of this page left leased: they are asked for by name.
    if (empty.why === "held" && nCards() === 0) isResuming = true;
    onEmpty(empty);
    later(lookAgainMs(empty));
  }

  /** Looks now: the person asked, or the network came back, or the last answers have arrived. */
  function wake() {
    cancelTimer?.();
    cancelTimer = null;
    drained = null;
    failures = 0;
    isOutdated = true;
    fill();
  }

  return { fill, wake };
}
