// Proposes the short name while the long one is typed, until somebody changes it by hand.
import { slugOf } from "./slug.js";

const name = document.getElementById("id_name");
const slug = document.getElementById("id_slug");
let isOwn = slug.value !== "" && slug.value !== slugOf(name.value);

slug.addEventListener("input", () => {
  isOwn = slug.value !== "";
});
name.addEventListener("input", () => {
  if (!isOwn) slug.value = slugOf(name.value);
});
