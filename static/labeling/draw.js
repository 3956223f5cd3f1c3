// Elements: an item's content as the page shows it.

import { TEXT_LIMIT, describe, segments } from "./content.js";

/** An element with attributes (false, null and undefined ones left out) and children. */
export function el(tag, facts = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

/** A key cap. Screen readers get the key from aria-keyshortcuts and the help instead. */
export function keyCap(name) {
  return el("kbd", { "aria-hidden": "true" }, name);
}

/** Writes only what differs, so that nothing is announced or repainted twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const count = (n) => n.toLocaleString("en");
export const percent = (p) => `${Math.round(p * 100)} %`;

/** The hidden element of a leased item; showing it is taking `hidden` away. */
export function drawItem(card, kind) {
  const { main, fields, sides } = describe(card.item.data, kind);
  const root = el("article", { class: "item", hidden: true, "aria-label": "Item", "data-assignment": card.assignment });
  const language = card.item.meta?.language ?? card.item.meta?.lang;
  if (typeof language === "string" && /^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/.test(language)) root.lang = language;
  root.append(...main.map(drawPart));
  if (fields.length) root.append(drawFields(fields));
  if (sides) root.append(el("div", { class: "pair" }, ...sides.map(drawSide)));
  return root;
}

function drawSide(side) {
  const box = el("section", { class: `pair-side c${side.name === "A" ? 1 : 2}`, "aria-label": side.name });
  box.append(el("h2", { class: "pair-name" }, side.name), ...side.main.map(drawPart));
  if (side.fields.length) box.append(drawFields(side.fields));
  return box;
}

function drawFields(fields) {
  const list = el("dl", { class: "item-fields" });
  for (const { name, part } of fields) list.append(el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, drawPart(part)));
  return list;
}

function drawPart(part) {
  if (part.kind === "image") return drawImage(part);
  if (part.kind === "code") return el("pre", { class: "item-code" }, drawLong(part.text));
  const text = el("p", { class: "item-text", dir: "auto" });
  if (part.field && part.text.length <= TEXT_LIMIT) {
    text.dataset.words = part.field;
    text.append(part.text);
  } else text.append(drawLong(part.text));
  return text;
}

function drawLong(text) {
  if (text.length <= TEXT_LIMIT) return document.createTextNode(text);
  const whole = el("span", {}, `${text.slice(0, TEXT_LIMIT)}… `);
  const more = el("button", { type: "button", class: "btn btn-small" }, `Show all ${count(text.length)} characters`);
  more.addEventListener("click", () => whole.replaceChildren(text));
  whole.append(more);
  return whole;
}

function drawImage({ url, alt }) {
  const figure = el("figure", { class: "item-image" });
  const image = el("img", { src: url, alt, decoding: "async", referrerpolicy: "no-referrer" });
  image.addEventListener("error", () => figure.replaceChildren(brokenImage(url)));
  figure.append(image);
  return figure;
}

function brokenImage(url) {
  const why = url.startsWith("http:")
    ? "Pictures are shown from https addresses only."
    : "Its address does not answer with a picture.";
  const words = el("div", {}, el("p", {}, `The picture did not load. ${why} Skip it if it stays away.`));
  if (/^https?:/.test(url)) {
    words.append(el("p", {}, el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, "Open its address")));
  }
  return el("div", { class: "notice notice-warn" }, words);
}

/** Underlines `words` in the item's text; an empty list takes the lines away. */
export function underline(root, words) {
  for (const text of root.querySelectorAll("[data-words]")) {
    const own = words.filter((word) => (word.field ?? "text") === text.dataset.words);
    text.replaceChildren(
      ...segments(text.textContent, own).map((piece) =>
        piece.weight === null
          ? document.createTextNode(piece.text)
          : el("mark", { class: piece.weight < 0 ? "word-against" : "word-for" }, piece.text),
      ),
    );
  }
}
