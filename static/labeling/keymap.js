// Which key does what. Pure: a key event's plain facts and the screen's situation in, an action (or null) out.

// Letters that act everywhere are not given to labels.
const DIGITS = [..."1234567890"];
const SPARE_LETTERS = [..."abdijklmnopqrtuvwxy"];
// A rating with more points than this is typed as a number instead of picked.
export const MAX_RATING_BUTTONS = 12;
// Above this many labels a filter box helps to find one.
export const FILTER_ABOVE = 12;

const COMMANDS = {
  s: "skip",
  f: "flag",
  c: "comment",
  z: "undo",
  backspace: "undo",
  g: "guidelines",
  h: "history",
  arrowleft: "history",
  e: "explain",
  "/": "filter",
};

export const SKIP_REASONS = [
  { key: "1", value: "unclear", name: "I cannot tell" },
  { key: "2", value: "not_my_field", name: "Not my language or field" },
  { key: "3", value: "broken", name: "Broken, empty or not for this project" },
  { key: "4", value: "sensitive", name: "I would rather not judge this" },
  { key: "s", value: "", name: "Skip without a reason" },
];

/** Whether the rating is typed (too many points for buttons). */
export function isTyped(kind, config) {
  return kind === "rating" && config.max - config.min + 1 > MAX_RATING_BUTTONS;
}

/** The answers that have a button: [{value, name, key, colour}]. `key` is "" where no key is left, colour 1 to 8 or 0 (grey). */
export function answersOf(kind, config) {
  if (kind === "pair") return pairAnswers(config);
  if (kind === "rating") return isTyped(kind, config) ? [] : ratingAnswers(config);
  const keys = [...DIGITS, ...SPARE_LETTERS];
  return config.labels.map((label, place) => ({
    value: label.value,
    name: label.name || label.value,
    key: keys[place] ?? "",
    colour: colourOf(label.color, place, config.labels.length),
  }));
}

function colourOf(wish, place, count) {
  const number = Number(wish);
  if (Number.isInteger(number) && number >= 1 && number <= 8) return number;
  return count > 8 ? 0 : place + 1;
}

function pairAnswers(config) {
  const answers = [
    { value: "a", name: "A is better", key: "1", colour: 1 },
    { value: "b", name: "B is better", key: "2", colour: 2 },
  ];
  if (config.tie) answers.push({ value: "tie", name: "Tie", key: "3", colour: 8 });
  return answers;
}

function ratingAnswers(config) {
  const { min, max } = config;
  const points = Array.from({ length: max - min + 1 }, (_, step) => min + step);
  // Where the points are digits themselves, the digit is the key: nobody should have to translate.
  const own = min >= 0 && max <= 9;
  const keys = [...DIGITS, ...SPARE_LETTERS];
  return points.map((value, place) => ({
    value,
    name: String(value).replace("-", "−"),
    hint: config.labels?.[String(value)] ?? "",
    key: own ? String(value) : keys[place],
    colour: 0,
  }));
}

/** How a value is said to a person. */
export function nameOf(value, kind, config) {
  if (Array.isArray(value)) return value.length ? value.map((one) => nameOf(one, kind, config)).join(", ") : "none";
  if (kind === "rating") return String(value).replace("-", "−");
  const answer = answersOf(kind, config).find((one) => one.value === value);
  return answer ? answer.name : String(value);
}

/** The colour number of a value (0: grey). */
export function colourOfValue(value, kind, config) {
  const first = Array.isArray(value) ? value[0] : value;
  return answersOf(kind, config).find((one) => one.value === first)?.colour ?? 0;
}

function keyName(press) {
  return press.key.toLowerCase();
}

// The digit row types other characters on some keyboards (French): the physical key counts there.
function physicalDigit(press) {
  const found = /^(?:Digit|Numpad)([0-9])$/.exec(press.code ?? "");
  return found && !press.shiftKey ? found[1] : null;
}

/**
 * The action of a key press, or null when the browser should have it.
 *
 * press: {key, code, ctrlKey, metaKey, altKey, shiftKey, repeat, isComposing}
 * situation: {kind, config, panel, isTyping, onControl, shortcuts, hasItem, hasNote}
 *   panel: null or the open panel's name; isTyping: the focus is in a text field; onControl: on a button or link;
 *   shortcuts: false when the person has turned single keys off; hasItem: an item is on screen; hasNote: a note waits
 *   to be read.
 */
export function actionFor(press, situation) {
  if (press.isComposing || press.altKey) return null;
  const key = keyName(press);
  if ((press.ctrlKey || press.metaKey) && key === "enter" && situation.panel === "comment") return { type: "save-comment" };
  if (press.ctrlKey || press.metaKey) return null;
  if (situation.panel === "skip") return skipAction(press, key, situation);
  if (situation.panel) return null; // dialogs close themselves on Escape
  if (situation.isTyping) return typingAction(key, situation);
  if (key === "enter") return situation.onControl || press.repeat ? null : { type: situation.hasItem ? "submit" : "retry" };
  if (key === "escape") return situation.hasNote ? { type: "read" } : null;
  if (!situation.shortcuts) return null;
  // A key held down must not answer item after item.
  if (press.repeat) return key in COMMANDS || answerFor(press, key, situation) ? { type: "ignore" } : null;
  if (!situation.hasItem) return ["undo", "history", "guidelines"].includes(COMMANDS[key]) ? { type: COMMANDS[key] } : null;
  if (situation.typed) {
    if (/^[0-9]$/.test(key)) return { type: "type", text: key };
    if (key === "-" || key === "−") return { type: "type", text: "-" };
    if (key === "backspace" && situation.hasTyped) return { type: "erase" };
  }
  const answer = answerFor(press, key, situation);
  if (answer) return { type: "choose", value: answer.value };
  return key in COMMANDS ? { type: COMMANDS[key] } : null;
}

function skipAction(press, key, situation) {
  if (press.repeat) return { type: "ignore" };
  const reason = SKIP_REASONS.find((one) => one.key === key || one.key === physicalDigit(press));
  if (reason && situation.shortcuts) return { type: "skip-because", reason: reason.value };
  return null;
}

function typingAction(key, situation) {
  if (key === "enter" && situation.isNumberField) return { type: "submit" };
  if (key === "enter" && situation.isFilterField) return { type: "choose-first" };
  if (key === "escape") return { type: "leave-field" };
  return null;
}

function answerFor(press, key, situation) {
  if (situation.typed) return null;
  const answers = situation.answers;
  const named = answers.find((one) => one.key === key);
  if (named) return named;
  const digit = physicalDigit(press);
  const placed = digit === null ? undefined : answers.find((one) => one.key === digit);
  if (placed) return placed;
  if (situation.kind === "pair" && (key === "0" || digit === "0")) return answers.find((one) => one.value === "tie");
  return undefined;
}
