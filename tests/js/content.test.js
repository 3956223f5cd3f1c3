import assert from "node:assert/strict";
import { test } from "node:test";

import { describe, segments, titleOf } from "../../static/labeling/content.js";

const texts = (parts) => parts.map((part) => part.text);

test("a text is the main thing", () => {
  const { main, fields, sides } = describe({ text: "Hello" }, "choice");
  assert.deepEqual([texts(main), fields, sides], [["Hello"], [], null]);
});

test("other fields stand beside the text, empty ones are left out", () => {
  const { main, fields } = describe({ text: "Hello", author: "Ann", stars: 3, note: "", gone: null }, "choice");
  assert.deepEqual(texts(main), ["Hello"]);
  assert.deepEqual(fields.map((field) => [field.name, field.part.text]), [["author", "Ann"], ["stars", "3"]]);
});

test("lists of plain values are read out, deeper ones are shown as they are", () => {
  const { fields } = describe({ tags: ["a", "b"], deep: { x: [1] } }, "choice");
  assert.deepEqual(fields[0].part, { kind: "text", text: "a, b" });
  assert.equal(fields[1].part.kind, "code");
  assert.deepEqual(JSON.parse(fields[1].part.text), { x: [1] });
});

test("an image comes first and has words for those who do not see it", () => {
  const { main } = describe({ text: "below", image: "https://x.example/a.png", alt: "A cat" }, "choice");
  assert.deepEqual(main[0], { kind: "image", url: "https://x.example/a.png", alt: "A cat" });
  assert.equal(main[1].text, "below");
  assert.equal(describe({ image: "https://x.example/a.png" }, "choice").main[0].alt, "The image to judge");
});

test("a pair has two sides and what is around them", () => {
  const { sides, fields } = describe({ question: "Which?", a: "one", b: { text: "two", by: "B" } }, "pair");
  assert.deepEqual(fields.map((field) => field.name), ["question"]);
  assert.deepEqual(sides.map((side) => [side.name, texts(side.main)]), [["A", ["one"]], ["B", ["two"]]]);
  assert.equal(sides[1].fields[0].name, "by");
});

test("data that is no object is shown all the same", () => {
  assert.equal(describe("just text", "choice").main[0].text, "just text");
  assert.equal(describe([1, [2]], "choice").main[0].kind, "code");
  assert.deepEqual(describe({}, "choice").main, []);
});

test("titles are one line and short", () => {
  assert.equal(titleOf({ text: "  two\n lines " }, "choice"), "two lines");
  assert.equal(titleOf({ text: "x".repeat(500) }, "choice").length, 80);
  assert.equal(titleOf({ a: "one", b: "two" }, "pair"), "one / two");
  assert.equal(titleOf({}, "choice"), "an item without text");
});

test("words are cut out of the text", () => {
  assert.deepEqual(segments("so very good", [{ start: 8, end: 12, weight: 0.5 }]), [
    { text: "so very ", weight: null },
    { text: "good", weight: 0.5 },
  ]);
  assert.deepEqual(segments("plain", []), [{ text: "plain", weight: null }]);
  assert.deepEqual(segments("", []), [{ text: "", weight: null }]);
});

test("offsets count characters, not UTF-16 units", () => {
  const pieces = segments("🎉🎉 great", [{ start: 3, end: 8, weight: 1 }]);
  assert.deepEqual(pieces.map((piece) => piece.text), ["🎉🎉 ", "great"]);
});

test("overlapping, reversed and outlying words are dropped and no text is lost", () => {
  const words = [
    { start: 0, end: 4, weight: 1 },
    { start: 2, end: 6, weight: 1 },
    { start: 5, end: 3, weight: 1 },
    { start: 90, end: 99, weight: 1 },
    { start: "0", end: 2, weight: 1 },
  ];
  const pieces = segments("some words", words);
  assert.equal(texts(pieces).join(""), "some words");
  assert.equal(pieces.filter((piece) => piece.weight !== null).length, 1);
});
