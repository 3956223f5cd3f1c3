// Quiet cards beside the work: what a known item's answer is, and how practice went. They wait to be read, take no
// key but their own, and cover no answer. Words only; nothing decides here.

import { el, percent } from "./draw.js";

const $ = (id) => document.getElementById(id);

/** The words of a note: {mood, head, words, why}. nameOfValue(value): how a value is said. */
export function noteWords(note, nameOfValue) {
  if (note.kind === "practice") return practiceWords(note);
  if (note.kind === "stands") {
    return { mood: "info", head: "", words: "You were told the known answer of that item, so what you said stands.", why: "" };
  }
  const { said, known, isRight, why } = note;
  const words = isRight
    ? `${nameOfValue(said)} is right.`
    : `You said ${nameOfValue(said)}; the known answer is ${nameOfValue(known)}.`;
  return { mood: isRight ? "good" : "warn", head: note.title, words, why };
}

function practiceWords({ share, paused }) {
  const score = share
    ? `${Math.round(share.value * share.n)} of ${share.n} right (95 % interval ${percent(share.low)} to ${percent(share.high)}).`
    : "You skipped all of it.";
  if (paused) {
    const why = `You are paused: ${paused} Talk to an owner of the project.`;
    return { mood: "warn", head: "Practice is over", words: score, why };
  }
  return { mood: "info", head: "Practice is over", words: score, why: "You go on with the other items." };
}

let drawn = null;

/** Draws the first note, with how many wait behind it; none at all takes the card away. */
export function renderNotes(notes, nameOfValue) {
  const box = $("note");
  const [note] = notes;
  box.hidden = !note;
  if (!note) {
    drawn = null;
    return;
  }
  $("note-more").textContent = notes.length > 1 ? `${notes.length - 1} more` : "";
  if (drawn === note) return;
  drawn = note;
  const { mood, head, words, why } = noteWords(note, nameOfValue);
  box.className = `note notice notice-${mood}`;
  $("note-words").replaceChildren(
    head ? el("p", { class: "note-head muted small" }, head) : "",
    el("p", {}, words),
    why ? el("p", { class: "small" }, why) : "",
  );
}
