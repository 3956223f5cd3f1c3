// What is always visible around the item: saved or waiting, how far, why nothing comes. Words only; nothing decides here.

import { relativeTime } from "../time.js";
import { count, el, setText } from "./draw.js";

const $ = (id) => document.getElementById(id);

const EMPTY_TITLES = {
  done: "Nothing left for you",
  locked: "The rest is with other people",
  limit: "Your part is done",
  paused: "You are paused",
  training: "The next items are being prepared",
  empty: "No items yet",
  held: "The last items are still held for you",
};

/** [mood, words] of the saved state. outbox: its status(); link: {needsLogin, isOffline}. */
export function savedWords({ waiting, condition, isSending }, { needsLogin, isOffline }) {
  const answers = waiting === 1 ? "1 answer waits" : `${waiting} answers wait`;
  if (needsLogin) return ["warn", waiting ? `${answers} here: log in to send` : "logged out"];
  if (waiting && condition === "offline") return ["warn", `${answers} here, sent when you are back`];
  if (isOffline) return ["warn", "no connection"];
  if (waiting && isSending) return ["busy", waiting > 2 ? `sending ${waiting}` : "sending"];
  return ["good", "saved"];
}

/** Draws the saved state and the door to refused answers. */
export function renderSaved(outbox, link) {
  const [mood, words] = savedWords(outbox, link);
  $("saved").dataset.mood = mood;
  setText($("saved-words"), words);
  $("login").hidden = !link.needsLogin;
  const n = outbox.refused.length;
  $("trouble-open").hidden = n === 0;
  setText($("trouble-open"), n === 1 ? "1 answer was refused" : `${n} answers were refused`);
  $("not-durable").hidden = outbox.isDurable;
}

/** The refused acts, each with what can be done about it. */
export function renderTrouble(refused, { nameOfValue, onRetry, onDiscard }) {
  $("trouble").replaceChildren(
    ...refused.map(({ op, error, at }) => {
      const what = op.type === "submit" ? nameOfValue(op.body.value) : op.type;
      const again = el("button", { type: "button", class: "btn btn-small" }, "Try again");
      const drop = el("button", { type: "button", class: "btn btn-small btn-danger" }, "Throw away");
      again.addEventListener("click", () => onRetry(op.id));
      drop.addEventListener("click", () => onDiscard(op.id));
      return el(
        "li",
        { class: "card stack-small" },
        el("p", {}, el("strong", {}, what), ` for “${op.title ?? ""}”, ${relativeTime(at, Date.now())}`),
        el("p", { class: "bad" }, error.message),
        el("div", { class: "cluster" }, again, drop),
      );
    }),
  );
}

/** The lease of the item on screen and how many are ready behind it. */
export function renderLease(cards) {
  const [card, ...behind] = cards;
  const n = behind.length;
  setText($("ahead"), n ? ` · next ${n} ${n === 1 ? "is" : "are"} ready` : "");
  if (!card) return;
  setText($("lease"), card.isLost ? "lease ran out: your answer still counts" : "held for you");
  $("lease").classList.toggle("warn", card.isLost);
  const until = new Date(card.heldUntil).toLocaleTimeString();
  $("lease").title = card.isLost ? "Somebody else may have it too by now." : `Until ${until}, renewed while this page is open`;
}

/** How far the project and the person are, and when the model last learned. nUncounted: answers not yet at the server. */
export function renderProgress(progress, nUncounted) {
  const { mine, model } = progress;
  const total = progress.items - progress.excluded;
  const judged = progress.resolved + progress.disputed;
  const limit = mine.limit ? ` of ${count(mine.limit)}` : "";
  const pace = mine.median_seconds === null ? "" : ` · ${mine.median_seconds.toFixed(1)} s each`;
  setText($("position"), `${count(judged)} of ${count(total)}`);
  setText($("mine"), `judged · you ${count(mine.annotations + nUncounted)}${limit}${pace}`);
  $("judged").max = Math.max(1, total);
  $("judged").value = judged;
  setText($("model"), modelWords(progress, Date.now()));
  $("model").title = model
    ? `Learned ${new Date(model.learned_at).toLocaleString()}`
    : "It learns as soon as there are enough answers.";
  $("no-worker").hidden = progress.worker_alive;
}

/** "model v4, 20 s ago", "no model yet", with what is being learned at the moment. */
export function modelWords({ model, training }, now) {
  if (!model) return training ? "the first model is learning" : "no model yet";
  const name = typeof model.version === "number" ? `model v${model.version}` : model.version;
  return `${name}, ${relativeTime(Date.parse(model.learned_at), now)}${training ? ", learning again" : ""}`;
}

/** Why there is no item: {title, words, mayRetry}. */
export function emptyWords({ empty, waiting, isOffline, needsLogin, refusal }) {
  const kept = waiting === 1 ? "1 of your answers waits here and is sent" : `${waiting} of your answers wait here and are sent`;
  if (needsLogin) {
    const words = waiting ? `${kept} when you have logged in.` : "Log in to go on.";
    return { title: "You are logged out", words, mayRetry: false };
  }
  if (refusal) return { title: "The queue cannot be read", words: refusal, mayRetry: true };
  if (isOffline) {
    const words = waiting ? `${kept} when you are back.` : "The next items come when you are back.";
    return { title: "No connection", words, mayRetry: true };
  }
  if (waiting) {
    return { title: "Sending your last answers", words: "The next items come when they have arrived.", mayRetry: true };
  }
  if (!empty) return { title: "Fetching items", words: "", mayRetry: false };
  return { title: EMPTY_TITLES[empty.why] ?? "Nothing to do", words: empty.message, mayRetry: true };
}

/** Draws the panel that stands in the item's place. lookAgainAt: milliseconds, or null. */
export function renderEmpty(facts, lookAgainAt) {
  const { title, words, mayRetry } = emptyWords(facts);
  setText($("empty-title"), title);
  setText($("empty-words"), words);
  const isCounting = lookAgainAt !== null && facts.empty && mayRetry && !facts.waiting;
  const seconds = isCounting ? Math.ceil((lookAgainAt - Date.now()) / 1000) : 0;
  setText($("empty-countdown"), seconds > 0 ? `Looks again by itself in ${seconds} s.` : "");
  $("empty-login").hidden = !facts.needsLogin;
  $("empty-retry").hidden = !mayRetry;
  $("empty-import").hidden = facts.empty?.why !== "empty";
}
