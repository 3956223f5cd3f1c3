// What an item shows, as plain parts that the page turns into elements. Pure.

// Longer texts are cut on screen (with a button for the rest): a page with megabytes of text stops answering.
export const TEXT_LIMIT = 20000;

const IMAGE_FIELDS = ["image", "image_url"];
const HIDDEN_FIELDS = new Set(["alt"]);

/**
 * The parts of an item: {main: [part], fields: [{name, part}], sides: [{name, parts}] | null}.
 * part: {kind: "text" | "code", text} or {kind: "image", url, alt}.
 * `main` is what is judged, `fields` what stands beside it; a pair has two sides.
 */
export function describe(data, kind) {
  if (kind === "pair" && isObject(data) && "a" in data && "b" in data) {
    const { a, b, ...context } = data;
    const around = Object.keys(context).length ? describeOne(context) : { main: [], fields: [] };
    return { ...around, sides: [{ name: "A", ...side(a) }, { name: "B", ...side(b) }] };
  }
  return { ...describeOne(data), sides: null };
}

function side(value) {
  return isObject(value) ? describeOne(value) : { main: [partOf(value)], fields: [] };
}

function describeOne(data) {
  if (!isObject(data)) return { main: [partOf(data)], fields: [] };
  const main = [];
  const fields = [];
  for (const [name, value] of Object.entries(data)) {
    if (value === null || value === "" || HIDDEN_FIELDS.has(name)) continue;
    if (IMAGE_FIELDS.includes(name) && typeof value === "string") main.unshift(imagePart(value, data));
    else if (name === "text" && typeof value === "string") main.push({ kind: "text", text: value, field: name });
    else fields.push({ name, part: typeof value === "string" ? { ...partOf(value), field: name } : partOf(value) });
  }
  return { main, fields };
}

function imagePart(url, data) {
  const words = [data.alt, data.caption, data.title].find((text) => typeof text === "string" && text !== "");
  return { kind: "image", url, alt: words ?? "The image to judge" };
}

function partOf(value) {
  if (isScalar(value)) return { kind: "text", text: String(value) };
  if (Array.isArray(value) && value.every(isScalar)) return { kind: "text", text: value.join(", ") };
  return { kind: "code", text: JSON.stringify(value, null, 2) ?? "" };
}

function isScalar(value) {
  return ["string", "number", "boolean"].includes(typeof value);
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** The first words of an item, for lists and announcements. */
export function titleOf(data, kind, limit = 80) {
  const { main, fields, sides } = describe(data, kind);
  const parts = [...main, ...fields.map((field) => field.part), ...(sides ?? []).flatMap((one) => one.main)];
  const words = parts.map((part) => (part.kind === "image" ? part.alt : part.text)).join(" / ");
  const line = words.slice(0, limit * 4).replace(/\s+/g, " ").trim();
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line || "an item without text";
}

/**
 * The text cut where words carry weight: [{text, weight}] with weight null outside of them.
 * `words` have start and end in code points (as the server counts); overlaps and nonsense are dropped.
 */
export function segments(text, words) {
  const places = codeUnitPlaces(text, words);
  const pieces = [];
  let at = 0;
  for (const word of places) {
    if (word.start < at) continue;
    if (word.start > at) pieces.push({ text: text.slice(at, word.start), weight: null });
    pieces.push({ text: text.slice(word.start, word.end), weight: word.weight });
    at = word.end;
  }
  if (at < text.length || pieces.length === 0) pieces.push({ text: text.slice(at), weight: null });
  return pieces;
}

// JavaScript counts UTF-16 units: an emoji is two of them, and one character for the server.
function codeUnitPlaces(text, words) {
  const valid = words
    .filter((word) => Number.isInteger(word.start) && Number.isInteger(word.end) && word.start >= 0 && word.end > word.start)
    .sort((one, other) => one.start - other.start || one.end - other.end);
  if (valid.length === 0) return [];
  const wanted = new Map(valid.flatMap((word) => [[word.start, null], [word.end, null]]));
  let points = 0;
  let units = 0;
  for (const character of text) {
    if (wanted.has(points)) wanted.set(points, units);
    points += 1;
    units += character.length;
  }
  if (wanted.has(points)) wanted.set(points, units);
  return valid
    .map((word) => ({ start: wanted.get(word.start), end: wanted.get(word.end), weight: word.weight }))
    .filter((word) => word.start !== null && word.end !== null);
}
