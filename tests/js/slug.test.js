import assert from "node:assert/strict";
import { test } from "node:test";

import { slugOf } from "../../static/labeling/slug.js";

test("a name becomes a slug as the server would make it", () => {
  assert.equal(slugOf("Tweet sentiment, 2nd round"), "tweet-sentiment-2nd-round");
  assert.equal(slugOf("  Größe & Übel -- "), "groe-ubel");
  assert.equal(slugOf("snake_case"), "snake_case");
  assert.equal(slugOf("情感"), "");
  assert.equal(slugOf("x".repeat(80)).length, 60);
});
