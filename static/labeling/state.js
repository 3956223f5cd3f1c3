// The screen's state and how it moves. Pure: (state, action) -> {state, effects}; clocks and ids come in with the action.

export const HISTORY_LENGTH = 10;

/**
 * rules: {kind, submitOnChoice, typed, min, max} where min and max bound the number of labels (choices) or the rating.
 */
export function initialState(rules) {
  return {
    rules,
    cards: [], // the first is on screen, the others are ready behind it
    draft: emptyDraft(rules),
    flagged: false,
    comment: "",
    timer: { spentMs: 0, since: null }, // since: when the clock was last started, null while the page is hidden
    isVisible: true,
    explain: true, // the words behind a suggestion are underlined; who turns that off keeps it off
    panel: null,
    history: [], // newest first: {id, assignment, card, act, value, annotation, status, stands}
    notes: [], // what waits to be read, the oldest first: {kind: "known" | "practice" | "stands", passes, ...}
    empty: null,
    hasPractised: false, // the note about the end of practice was there
    complaint: "", // what is wrong with the draft
  };
}

function emptyDraft(rules) {
  if (rules.kind === "choices") return [];
  return rules.typed ? "" : null;
}

export function currentCard(state) {
  return state.cards[0] ?? null;
}

/** Milliseconds that the person has had the current item before their eyes. */
export function spentMs(state, now) {
  const { spentMs: spent, since } = state.timer;
  return spent + (since === null ? 0 : Math.max(0, now - since));
}

const moves = {
  leased: takeCards,
  empty: (state, { empty }) => still({ ...state, empty }),
  choose,
  type: (state, { text }) => still({ ...state, draft: typedText(state.draft, text), complaint: "" }),
  "set-number": (state, { text }) => still({ ...state, draft: text, complaint: "" }),
  erase: (state) => still({ ...state, draft: String(state.draft).slice(0, -1), complaint: "" }),
  submit: (state, action) => submit(state, action, state.draft),
  skip: skip,
  flag: (state) => (currentCard(state) ? still({ ...state, flagged: !state.flagged }) : still(state)),
  comment: (state, { text }) => still({ ...state, comment: text.trim(), panel: null }),
  undo: (state, action) => (state.history.length ? goBack(state, { ...action, id: state.history[0].id }) : still(state)),
  "go-back": goBack,
  history: mergeHistory,
  sent: markSent,
  refused: (state, action) => still(mark(state, action.id, { status: "refused" })),
  stood: takeOffHistory,
  returned: replaceCard,
  practised: notePractice,
  read: (state) => still({ ...state, notes: state.notes.slice(1) }),
  renewed: (state, action) => still(change(state, action.assignment, { heldUntil: action.heldUntil, isLost: false })),
  lost: loseCard,
  explain: (state) => still({ ...state, explain: !state.explain }),
  open: (state, { panel }) => still({ ...state, panel }),
  close: (state) => still({ ...state, panel: null }),
  hidden: (state, { now }) => still({ ...state, isVisible: false, timer: { spentMs: spentMs(state, now), since: null } }),
  visible: (state, { now }) =>
    still({ ...state, isVisible: true, timer: { spentMs: spentMs(state, now), since: currentCard(state) ? now : null } }),
};

/** The next state and what is to be done: effects are {do: "send", op} and {do: "take-back", entry}. */
export function reduce(state, action) {
  const move = moves[action.type];
  if (!move) throw new Error(`No such action: ${action.type}`);
  return move(state, action);
}

function still(state) {
  return { state, effects: [] };
}

// Cards

function takeCards(state, { cards, now }) {
  const known = new Set(state.cards.map((card) => card.assignment));
  const fresh = cards.filter((card) => !known.has(card.assignment));
  if (fresh.length === 0) return still(state);
  const wasEmpty = state.cards.length === 0;
  const next = { ...state, cards: [...state.cards, ...fresh], empty: null };
  return still(wasEmpty ? present(next, now) : next);
}

// A new item in front: nothing of the last one may cling to it.
function present(state, now, draft = emptyDraft(state.rules)) {
  return {
    ...state,
    draft,
    flagged: false,
    comment: "",
    panel: null,
    complaint: "",
    timer: { spentMs: 0, since: state.isVisible && state.cards.length ? now : null },
  };
}

function replaceCard(state, { assignment, card }) {
  return still({ ...state, cards: state.cards.map((one) => (one.assignment === assignment ? { ...one, ...card } : one)) });
}

function change(state, assignment, facts) {
  return { ...state, cards: state.cards.map((one) => (one.assignment === assignment ? { ...one, ...facts } : one)) };
}

// The one on screen stays: its answer still counts, as a further opinion. Those behind it were not seen yet.
function loseCard(state, { assignment }) {
  if (currentCard(state)?.assignment === assignment) return still(change(state, assignment, { isLost: true }));
  return still({ ...state, cards: state.cards.filter((one) => one.assignment !== assignment) });
}

// Answers

function choose(state, action) {
  if (!currentCard(state)) return still(state);
  const { rules } = state;
  if (rules.kind === "choices") return still(toggle(state, action.value));
  if (rules.submitOnChoice && !rules.typed) return submit(state, action, action.value);
  return still({ ...state, draft: action.value, complaint: "" });
}

function toggle(state, value) {
  const { draft, rules } = state;
  if (draft.includes(value)) return { ...state, draft: draft.filter((one) => one !== value), complaint: "" };
  if (draft.length >= rules.max)
    return { ...state, complaint: `At most ${rules.max}: take one off first (press its key again).` };
  return { ...state, draft: [...draft, value].sort(), complaint: "" };
}

function typedText(draft, text) {
  if (text === "-") return String(draft).startsWith("-") ? String(draft).slice(1) : `-${draft}`;
  return `${draft}${text}`.slice(0, 5);
}

/** What keeps a draft from being submitted, or "". */
export function complaintAbout(draft, rules) {
  if (rules.kind === "choices")
    return draft.length < rules.min ? `Choose at least ${rules.min} ${rules.min === 1 ? "label" : "labels"}.` : "";
  if (rules.typed) {
    const number = Number(draft);
    if (draft === "" || !Number.isInteger(number)) return `Type a whole number from ${rules.min} to ${rules.max}.`;
    return number < rules.min || number > rules.max ? `${number} is outside of ${rules.min} to ${rules.max}.` : "";
  }
  return draft === null ? "Choose an answer first." : "";
}

function submit(state, { id, now }, draft) {
  const card = currentCard(state);
  if (!card) return still(state);
  const complaint = complaintAbout(draft, state.rules);
  if (complaint) return still({ ...state, complaint });
  const value = state.rules.typed ? Number(draft) : draft;
  const body = { value, seconds: Math.round(spentMs(state, now)) / 1000, client_id: id, ...remarkOf(state) };
  const op = { type: "submit", id, assignment: card.assignment, body, title: card.title };
  const entry = { id, assignment: card.assignment, card, act: "submit", value, annotation: null, status: "waiting" };
  return { state: advance(state, entry, now), effects: [{ do: "send", op }] };
}

// The remark is part of the act that it goes with: sent again, it counts once, as that does.
function remarkOf({ comment, flagged }) {
  return { ...(comment && { comment }), ...(flagged && { flag: true }) };
}

function skip(state, { id, now, reason }) {
  const card = currentCard(state);
  if (!card) return still(state);
  const body = { reason, ...remarkOf(state) };
  const op = { type: "skip", id, assignment: card.assignment, body, title: card.title };
  const entry = { id, assignment: card.assignment, card, act: "skip", value: null, annotation: null, status: "waiting" };
  return { state: advance(state, entry, now), effects: [{ do: "send", op }] };
}

function advance(state, entry, now) {
  const kept = { ...entry, flagged: state.flagged, comment: state.comment };
  const history = [kept, ...state.history].slice(0, HISTORY_LENGTH);
  return present({ ...state, cards: state.cards.slice(1), history, notes: unread(state) }, now);
}

// History

function mark(state, id, facts) {
  return { ...state, history: state.history.map((one) => (one.id === id ? { ...one, ...facts } : one)) };
}

// With feedback the server has told the known answer: the answer stands, and there is something to read.
function markSent(state, { id, annotation, feedback }) {
  const entry = state.history.find((one) => one.id === id);
  const marked = mark(state, id, { status: "sent", annotation, stands: Boolean(feedback) });
  if (!feedback) return still(marked);
  const said = { title: entry?.card.title ?? "", said: feedback.said, known: feedback.value };
  const note = { kind: "known", ...said, isRight: feedback.is_right, passes: feedback.is_right, why: feedback.note };
  return still({ ...marked, notes: [...unread(state), note] });
}

// A word of praise needs no key: it passes with the next note or the next answer.
function unread(state) {
  return state.notes.filter((note) => !note.passes);
}

function noteThatItStands(state) {
  return { ...state, notes: [...unread(state), { kind: "stands", passes: true }] };
}

function notePractice(state, { practice }) {
  if (state.hasPractised) return still(state);
  return still({ ...state, hasPractised: true, notes: [...unread(state), { kind: "practice", ...practice }] });
}

// The server did not take it back: its item is not to be answered again.
function takeOffHistory(state, { id, assignment, now }) {
  const wasFirst = currentCard(state)?.assignment === assignment;
  const cards = state.cards.filter((card) => card.assignment !== assignment);
  const next = { ...state, cards, history: state.history.filter((entry) => entry.id !== id) };
  const stood = wasFirst ? present(next, now) : next;
  return still(noteThatItStands(stood));
}

/** Takes one answer back: its item comes to the front with the old answer as a draft. */
function goBack(state, { id, now }) {
  const entry = state.history.find((one) => one.id === id);
  if (!entry) return still(state);
  if (entry.stands) return still(noteThatItStands(state));
  const others = state.cards.filter((card) => card.assignment !== entry.assignment);
  const history = state.history.filter((one) => one.id !== id);
  const moved = present({ ...state, cards: [entry.card, ...others], history, empty: null }, now, draftOf(entry, state.rules));
  // The remark of an answer that was not sent yet comes back with it; a sent one is kept by the server.
  const isUnsent = entry.status === "waiting";
  const next = { ...moved, flagged: isUnsent && Boolean(entry.flagged), comment: isUnsent ? (entry.comment ?? "") : "" };
  return { state: next, effects: [{ do: "take-back", entry }] };
}

function draftOf(entry, rules) {
  if (entry.act === "skip") return emptyDraft(rules);
  return rules.typed ? String(entry.value) : entry.value;
}

// What the server remembers comes behind what this page did and has not sent.
function mergeHistory(state, { entries }) {
  const here = new Map(state.history.map((entry) => [entry.assignment, entry]));
  const onScreen = new Set(state.cards.map((card) => card.assignment));
  const remembered = entries.filter((entry) => !here.has(entry.assignment) && !onScreen.has(entry.assignment));
  return still({ ...state, history: [...state.history, ...remembered].slice(0, HISTORY_LENGTH) });
}
