// The annotator's screen: wires keys, state, outbox and stream to the page. What decides is in those modules.

import { createAnswerBar } from "./answerbar.js";
import { createApi } from "./api.js";
import { titleOf } from "./content.js";
import { drawItem, el, keyCap, percent, setText, underline } from "./draw.js";
import { SKIP_REASONS, actionFor, answersOf, colourOfValue, isTyped, nameOf } from "./keymap.js";
import { noteWords, renderNotes } from "./notes.js";
import { createOutbox } from "./outbox.js";
import { currentCard, initialState, reduce } from "./state.js";
import { renderEmpty, renderLease, renderProgress, renderSaved, renderTrouble, savedWords } from "./status.js";
import { createStream, dueForRenewal, wanted } from "./stream.js";

const PROGRESS_MS = 5000;

const $ = (id) => document.getElementById(id);
const page = JSON.parse($("page-data").textContent);
const { kind, config } = page;
const typed = isTyped(kind, config);
const answers = answersOf(kind, config);
const leaseMs = page.lease_seconds * 1000;
const nameOfValue = (value) => nameOf(value, kind, config);

const rules = {
  kind,
  typed,
  submitOnChoice: page.submit_on_choice,
  min: config.min ?? 0,
  max: config.max ?? answers.length,
};
let state = initialState(rules);
// How the page stands to the server. refusal: why the queue cannot be read at all.
const link = { needsLogin: false, isOffline: false, refusal: null };
let progress = null;
// Answers less undos that the server has confirmed since it last counted.
let nSinceCount = 0;
let lookAgainAt = null;
let stream = null;

const bar = createAnswerBar({
  ...{ kind, config, answers, typed, submitOnChoice: page.submit_on_choice },
  onChoose: (value) => perform({ type: "choose", value }),
  onNumber: (text) => dispatch({ type: "set-number", text }),
});

// Things of the browser

const storage = usableStorage();
let hasShortcuts = storage.getItem("touchstone.shortcuts") !== "off";

// Storage can be refused altogether (private windows): the outbox then keeps answers as long as the page lives.
function usableStorage() {
  try {
    localStorage.setItem("touchstone.probe", "1");
    localStorage.removeItem("touchstone.probe");
    return localStorage;
  } catch {
    const refuse = () => {
      throw new Error("This browser refuses storage.");
    };
    return { length: 0, key: () => null, getItem: () => null, removeItem: () => {}, setItem: refuse };
  }
}

function newId() {
  // randomUUID exists on https and localhost only.
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function csrf() {
  // The cookie is renewed by a log-in in another tab; the page's own token is not.
  return /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? page.csrf;
}

function schedule(work, ms) {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

function say(words) {
  setText($("announce"), words);
}

// The server

const api = createApi({ fetch: window.fetch.bind(window), root: page.api, project: page.slug, csrf });

const outbox = createOutbox({
  storage,
  prefix: `touchstone.outbox.${page.user}.`,
  send: api.send,
  now: Date.now,
  random: Math.random,
  schedule,
  // Without locks (plain http) two tabs may both send an act: its client id makes the second one harmless.
  lock: (work) => (navigator.locks ? navigator.locks.request(`touchstone.outbox.${page.user}`, work) : work()),
  onChange: outboxChanged,
  onDone: acted,
  onRefused: (op, error) => {
    if (error.code === "answer_shown") return stood(op);
    dispatch({ type: "refused", id: op.id });
    say(`The server refused an answer: ${error.message}`);
  },
});

let wasWaiting = outbox.status().waiting > 0;
let isHistoryStale = false;

function outboxChanged() {
  const status = outbox.status();
  if (status.condition === "auth") link.needsLogin = true;
  // "Nothing left" was said before these answers had arrived: worth asking again.
  if (wasWaiting && status.waiting === 0) {
    if (wanted(state.cards.length) > 0) stream?.wake();
    if (isHistoryStale) readHistory();
  }
  wasWaiting = status.waiting > 0;
  drawStatus();
}

function acted(op, body) {
  link.needsLogin = link.isOffline = false;
  if (op.type === "submit" || op.type === "skip") {
    // An act from before a reload: the server's history knows it now.
    if (!state.history.some((entry) => entry.id === op.id)) isHistoryStale = true;
    if (op.type === "submit" && op.project === page.slug) nSinceCount += 1;
    const feedback = body.feedback ? { ...body.feedback, said: body.annotation.value } : null;
    const entry = state.history.find(({ id }) => id === op.id);
    dispatch({ type: "sent", id: op.id, annotation: body.annotation?.id ?? null, feedback });
    if (entry?.card.reason.code === "practice") readProgress();
  } else if (body.assignment?.item) {
    if (op.type === "undo") nSinceCount -= 1;
    dispatch({ type: "returned", assignment: op.assignment, card: cardOf(body.assignment) });
  }
}

// Taken back, or answered anew, at the very moment when the server told the known answer: what it has stands.
function stood(op) {
  outbox.discard(op.id);
  dispatch({ type: "stood", id: op.id, assignment: op.assignment, now: Date.now() });
  readHistory();
}

function cardOf(assignment) {
  return {
    assignment: assignment.id,
    item: assignment.item,
    suggestion: assignment.suggestion,
    reason: assignment.reason,
    title: titleOf(assignment.item.data, kind),
    heldUntil: Date.now() + leaseMs,
    isLost: assignment.state === "expired",
  };
}

async function readHistory() {
  isHistoryStale = false;
  const answer = await api.history(10);
  if (answer.kind !== "ok") return;
  // What waits here to be taken back is no history any more, though the server does not know it yet.
  const undos = outbox.entries().filter(({ op }) => op.type === "undo" || op.type === "unskip");
  const takenBack = new Set(undos.map(({ op }) => op.assignment));
  const answered = answer.body.annotations.map((one) => ({ ...one, act: "submit", at: one.created_at }));
  const skipped = answer.body.skips.map((one) => ({ ...one, act: "skip", at: one.skipped_at }));
  const entries = [...answered, ...skipped]
    .filter((one) => !takenBack.has(one.assignment))
    .sort((one, other) => Date.parse(other.at) - Date.parse(one.at))
    .map((one) => ({
      id: `${one.act}-${one.assignment}`,
      assignment: one.assignment,
      act: one.act,
      value: one.value ?? null,
      annotation: one.id ?? null,
      status: "sent",
      stands: one.stands ?? false,
      card: cardOf({
        id: one.assignment,
        item: { external_id: null, meta: {}, ...one.item },
        suggestion: null,
        reason: { code: "history", text: "you came back to it" },
      }),
    }));
  dispatch({ type: "history", entries });
}

async function readProgress() {
  if (document.hidden) return;
  const nCounted = nSinceCount;
  const answer = await api.progress();
  if (answer.kind === "ok") {
    nSinceCount -= nCounted;
    const hasLearned = progress?.model && answer.body.model && progress.model.version !== answer.body.model.version;
    $("model").classList.toggle("is-new", Boolean(hasLearned));
    progress = answer.body;
    const { practice } = progress.mine;
    if (practice?.is_over) dispatch({ type: "practised", practice });
    if (link.isOffline || link.needsLogin) {
      link.isOffline = link.needsLogin = false;
      outbox.wake();
      stream?.wake();
    }
  } else if (answer.kind === "auth") {
    link.needsLogin = true;
  }
  drawStatus();
}

async function renewLeases() {
  if (document.hidden) return;
  for (const card of dueForRenewal(state.cards, Date.now(), leaseMs)) {
    const answer = await api.renew(card.assignment);
    if (answer.kind === "ok") {
      dispatch({ type: "renewed", assignment: card.assignment, heldUntil: Date.now() + leaseMs });
    } else if (answer.kind === "refused") {
      // Also the answer for one that was submitted meanwhile; that one is not on the page any more.
      dispatch({ type: "lost", assignment: card.assignment });
    }
  }
  stream?.fill();
}

// State

function dispatch(action) {
  const before = state;
  const moved = reduce(state, action);
  state = moved.state;
  for (const effect of moved.effects) carryOut(effect);
  render(before);
  if (state.cards.length < before.cards.length) stream?.fill();
}

function carryOut(effect) {
  if (effect.do === "send") outbox.add({ ...effect.op, project: page.slug });
  else takeBack(effect.entry);
}

function takeBack(entry) {
  if (outbox.find(entry.id)?.error) {
    outbox.discard(entry.id);
  } else if (!outbox.cancel(entry.id)) {
    const { assignment, annotation } = entry;
    const type = entry.act === "skip" ? "unskip" : "undo";
    outbox.add({ type, id: newId(), assignment, of: entry.id, annotation, title: entry.card.title, project: page.slug });
  }
}

/** Does what a key or a button asks for. */
function perform(action) {
  const now = Date.now();
  const acts = {
    ignore: () => {},
    choose: () => {
      bar.flash(action.value);
      dispatch({ ...action, id: newId(), now });
    },
    submit: () => dispatch({ type: "submit", id: newId(), now }),
    skip: () => openDialog("skip"),
    "skip-because": () => {
      closeDialogs();
      dispatch({ type: "skip", reason: action.reason, id: newId(), now });
    },
    comment: () => {
      $("comment-text").value = state.comment;
      openDialog("comment");
    },
    "save-comment": () => {
      closeDialogs();
      dispatch({ type: "comment", text: $("comment-text").value });
    },
    guidelines: () => openDialog("guidelines"),
    flag: () => {
      dispatch({ type: "flag" });
      say(state.flagged ? "Flagged; it goes with your answer." : "Flag taken off.");
    },
    read: () => dispatch({ type: "read" }),
    undo: () => (state.history.length ? dispatch({ type: "undo", now }) : say("There is nothing to undo.")),
    "go-back": () => dispatch({ type: "go-back", id: action.id, now }),
    history: focusHistory,
    explain: () => {
      dispatch({ type: "explain" });
      say(explanation());
    },
    retry: () => {
      lookAgainAt = null;
      outbox.wake();
      stream?.wake();
    },
    filter: () => $("filter")?.focus(),
    "choose-first": () => {
      const first = bar.first();
      if (!first) return;
      bar.clearFilter();
      $("stage").focus({ preventScroll: true });
      perform({ type: "choose", value: first.value });
    },
    "leave-field": () => {
      bar.clearFilter();
      $("stage").focus({ preventScroll: true });
    },
  };
  (acts[action.type] ?? (() => dispatch(action)))();
}

function explanation() {
  const card = currentCard(state);
  if (!card.suggestion) return "No suggestion is shown for this item.";
  if (!state.explain) return "The model's words are no longer underlined.";
  const words = [...drawn.get(card.assignment).root.querySelectorAll("mark")].map((mark) => mark.textContent);
  return words.length ? `The words behind it: ${words.join(", ")}.` : "No single words stand behind this suggestion.";
}

function openDialog(name) {
  closeDialogs();
  $(`${name}-dialog`).showModal();
}

function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

// Drawing

const drawn = new Map(); // assignment -> {root, item, isExplained}

function render(before) {
  const focused = document.activeElement;
  const card = currentCard(state);
  renderCards(card);
  if (card) renderWork(card);
  if (state.history !== before.history) renderHistory();
  if (state.notes !== before.notes) renderNotes(state.notes, nameOfValue);
  drawStatus();
  if (card?.assignment !== currentCard(before)?.assignment) arrive(before, card);
  if (state.notes.at(-1) !== before.notes.at(-1)) sayNote(state.notes.at(-1));
  // What had the focus may be gone: the keyboard must not be thrown back to the top of the page.
  const now = document.activeElement;
  if (focused !== document.body && (now === document.body || !now?.checkVisibility())) (card ? $("stage") : $("main")).focus({ preventScroll: true });
}

function renderCards(card) {
  const kept = new Set(state.cards.map(({ assignment }) => assignment));
  for (const [assignment, { root }] of drawn) {
    if (kept.has(assignment)) continue;
    root.remove();
    drawn.delete(assignment);
  }
  for (const one of state.cards) {
    if (drawn.get(one.assignment)?.item === one.item) continue;
    drawn.get(one.assignment)?.root.remove();
    const root = drawItem(one, kind);
    drawn.set(one.assignment, { root, item: one.item, isExplained: false });
    $("cards").append(root);
  }
  for (const [assignment, { root }] of drawn) root.hidden = assignment !== card?.assignment;
  $("stage").hidden = $("work").hidden = !card;
  $("empty").hidden = Boolean(card);
}

function renderWork(card) {
  const element = drawn.get(card.assignment);
  if (element.isExplained !== state.explain) {
    element.isExplained = state.explain;
    underline(element.root, state.explain ? (card.suggestion?.words ?? []) : []);
  }
  const isPractice = card.reason.code === "practice";
  setText($("why"), isPractice ? card.reason.text : `why this one: ${card.reason.text}`);
  $("why").className = isPractice ? "chip chip-accent" : "muted small";
  bar.render(state, card.suggestion);
  setText($("complaint-words"), state.complaint);
  $("complaint").hidden = state.complaint === "";
  $("flag").setAttribute("aria-pressed", String(state.flagged));
  $("comment").setAttribute("aria-pressed", String(state.comment !== ""));
  $("explain").setAttribute("aria-pressed", String(state.explain));
  $("explain").hidden = !card.suggestion;
}

// Something else is on screen now.
function arrive(before, card) {
  $("stage").scrollTop = 0;
  bar.clearFilter();
  const isBack = state.history.length < before.history.length;
  const said = !isBack && state.history[0]?.id !== before.history[0]?.id ? state.history[0] : null;
  const past = said ? (said.act === "skip" ? "Skipped. " : `${nameOfValue(said.value)}. `) : "";
  if (!card) return say(`${past}No item is waiting.`);
  const { suggestion, item } = card;
  const p = typeof suggestion?.p === "number" ? `, ${percent(suggestion.p)}` : "";
  const voice = suggestion ? ` The model suggests ${nameOfValue(suggestion.value)}${p}.` : "";
  return say(`${past}${isBack ? "Taken back, answer again" : "Next"}: ${titleOf(item.data, kind, 300)}${voice ? `.${voice}` : ""}`);
}

function sayNote(note) {
  if (!note) return;
  const { head, words, why } = noteWords(note, nameOfValue);
  say([head && `${head}:`, words, why].filter(Boolean).join(" "));
}

let lastMood = "good";

function drawStatus() {
  const status = outbox.status();
  renderSaved(status, link);
  const [mood, words] = savedWords(status, link);
  if (mood === "warn" && lastMood !== "warn") say(words);
  lastMood = mood;
  if ($("trouble-dialog").open) showTrouble(status.refused);
  renderLease(state.cards);
  if (progress) renderProgress(progress, nSinceCount + nWaitingAnswers());
  if (currentCard(state)) return;
  const isOffline = link.isOffline || status.condition === "offline";
  renderEmpty({ ...link, isOffline, empty: state.empty, waiting: status.waiting }, lookAgainAt);
}

function nWaitingAnswers() {
  const acts = outbox.entries().filter(({ op, error }) => op.project === page.slug && !error);
  return acts.filter(({ op }) => op.type === "submit").length - acts.filter(({ op }) => op.type === "undo").length;
}

function showTrouble(refused) {
  if (refused.length === 0) $("trouble-dialog").close();
  else renderTrouble(refused, { nameOfValue, onRetry: outbox.retry, onDiscard: outbox.discard });
}

function renderHistory() {
  const list = $("history");
  // What the server says of an answer draws all of them anew: who stands on one stays there.
  const held = list.contains(document.activeElement) ? document.activeElement.dataset.entry : null;
  list.replaceChildren(...[...state.history].reverse().map(drawEntry));
  list.scrollLeft = list.scrollWidth;
  if (held) list.querySelector(`[data-entry="${CSS.escape(held)}"]`)?.focus();
  $("history-empty").hidden = state.history.length > 0;
  $("undo").disabled = state.history.length === 0;
}

function drawEntry(entry) {
  const isSkip = entry.act === "skip";
  const name = isSkip ? "skip" : nameOfValue(entry.value);
  const colour = isSkip ? 0 : colourOfValue(entry.value, kind, config);
  const looks = [colour ? `c${colour}` : "", isSkip ? "is-skip" : "", entry.status === "refused" ? "is-refused" : ""];
  const button = el(
    "button",
    { type: "button", class: ["label-chip history-entry", ...looks].join(" ").trim(), title: `Go back to: ${entry.card.title}`, "data-entry": entry.id },
    el("span", { class: "history-name" }, name),
    el("span", { class: "visually-hidden" }, `(go back to: ${entry.card.title})`),
  );
  button.addEventListener("click", () => perform({ type: "go-back", id: entry.id }));
  return el("li", {}, button);
}

function focusHistory() {
  const newest = [...$("history").querySelectorAll("button")].at(-1);
  if (newest) newest.focus();
  else say("You have not answered anything yet.");
}

// Keys and buttons

function situation(target) {
  const element = target instanceof Element ? target : document.body;
  const field = element.closest("input:not([type=range], [type=checkbox]), textarea, select");
  const dialog = document.querySelector("dialog[open]");
  return {
    kind,
    answers,
    typed,
    hasTyped: typed && state.draft !== "",
    panel: dialog ? dialog.id.replace("-dialog", "") : null,
    // A field of a dialog that was just closed keeps the focus until the next frame: nobody types there any more.
    isTyping: field !== null && field.closest("dialog:not([open])") === null,
    isNumberField: field?.id === "number",
    isFilterField: field?.id === "filter",
    onControl: element.closest("button, a, summary") !== null,
    shortcuts: hasShortcuts,
    hasItem: currentCard(state) !== null,
    hasNote: state.notes.length > 0,
  };
}

document.addEventListener("keydown", (event) => {
  const action = actionFor(event, situation(event.target));
  if (!action) return;
  event.preventDefault();
  perform(action);
});

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-do]") : null;
  if (button) perform({ type: button.dataset.do });
});

$("history").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step && event.key !== "Escape") return;
  event.preventDefault();
  event.stopPropagation();
  const buttons = [...$("history").querySelectorAll("button")];
  const next = step ? buttons[buttons.indexOf(document.activeElement) + step] : undefined;
  if (next) next.focus();
  else if (step !== -1) $("stage").focus({ preventScroll: true });
});

for (const [place, reason] of SKIP_REASONS.entries()) {
  const button = el("button", { type: "button", class: "btn", autofocus: place === 0 }, keyCap(reason.key), reason.name);
  button.addEventListener("click", () => perform({ type: "skip-because", reason: reason.value }));
  $("skip-reasons").append(button);
}
$("comment-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter?.id === "comment-back") closeDialogs();
  else perform({ type: "save-comment" });
});
$("trouble-open").addEventListener("click", () => {
  showTrouble(outbox.status().refused);
  $("trouble-dialog").showModal();
});
$("shortcuts").checked = hasShortcuts;
$("shortcuts").addEventListener("change", () => {
  hasShortcuts = $("shortcuts").checked;
  try {
    storage.setItem("touchstone.shortcuts", hasShortcuts ? "on" : "off");
  } catch {
    // Refused storage: it holds until the page is left.
  }
});

// Coming and going

const RELEASED = `touchstone.released.${page.slug}`;

// What this tab gave back when it was last left, with a reload most of all: the release may still be under way. It is
// waited for (releasing twice does no harm), else an item could be taken up again and its lease be lost a moment later.
async function finishReleases() {
  let assignments = [];
  try {
    assignments = JSON.parse(sessionStorage.getItem(RELEASED) ?? "[]");
    sessionStorage.removeItem(RELEASED);
  } catch {
    return;
  }
  const patience = new Promise((resolve) => setTimeout(resolve, 2000));
  await Promise.race([Promise.all(assignments.map(api.release)), patience]);
}

addEventListener("pagehide", () => {
  const assignments = state.cards.map((card) => card.assignment);
  try {
    sessionStorage.setItem(RELEASED, JSON.stringify(assignments));
  } catch {
    // A quick reload may then show an item whose lease is just being given back: its answer still counts.
  }
  for (const assignment of assignments) api.release(assignment);
});

addEventListener("pageshow", (event) => {
  // Back from the browser's page cache: the leases were given back when the page was left.
  if (event.persisted) location.reload();
});

function reconnect() {
  link.isOffline = false;
  outbox.wake();
  stream?.wake();
  readProgress();
}

document.addEventListener("visibilitychange", () => {
  dispatch({ type: document.hidden ? "hidden" : "visible", now: Date.now() });
  if (document.hidden || !stream) return;
  renewLeases();
  reconnect();
});
addEventListener("online", reconnect);
addEventListener("offline", () => {
  link.isOffline = true;
  drawStatus();
});
addEventListener("storage", (event) => {
  // Another tab of the same person has kept or sent something.
  if (event.key === null || event.key.startsWith("touchstone.outbox.")) drawStatus();
});

/** Whether this is the person's only tab of the project: only then are leases from before taken up again. */
async function isAlone() {
  if (!navigator.locks) return true;
  const name = `touchstone.stream.${page.user}.${page.slug}`;
  const isFree = await navigator.locks.request(name, { ifAvailable: true }, (lock) => lock !== null);
  navigator.locks.request(name, { mode: "shared" }, () => new Promise(() => {})); // held as long as the page lives
  return isFree;
}

function takeAssignments(assignments) {
  link.isOffline = link.needsLogin = false;
  link.refusal = null;
  // Answered here and not known there: the server still counts them as held.
  const acts = outbox.entries().filter(({ op }) => op.type === "submit" || op.type === "skip");
  const answered = new Set(acts.map(({ op }) => op.assignment));
  const fresh = assignments.filter(({ id }) => !answered.has(id));
  dispatch({ type: "leased", cards: fresh.map(cardOf), now: Date.now() });
}

async function start() {
  render(state);
  await finishReleases();
  stream = createStream({
    ask: api.next,
    nCards: () => state.cards.length,
    isDraining: () => outbox.status().waiting > 0 && outbox.status().condition === "clear",
    resume: await isAlone(),
    schedule: (work, ms) => {
      lookAgainAt = Date.now() + ms;
      return schedule(work, ms);
    },
    onCards: takeAssignments,
    onEmpty: (empty) => {
      takeAssignments([]);
      dispatch({ type: "empty", empty });
    },
    onTrouble: (answer) => {
      link.needsLogin = answer.kind === "auth";
      link.isOffline = answer.kind === "retry";
      link.refusal = answer.kind === "refused" ? answer.error.message : null;
      drawStatus();
    },
  });
  await stream.fill();
  outbox.flush();
  readProgress();
  readHistory();
  setInterval(readProgress, PROGRESS_MS);
  setInterval(renewLeases, Math.max(3000, Math.min(30000, leaseMs / 6)));
  setInterval(drawStatus, 1000);
}

start();
