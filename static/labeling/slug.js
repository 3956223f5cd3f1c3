// The short name of a project from its long one, as the server makes it when the field is left empty. Pure.

const LONGEST = 60;

/** "Tweet sentiment, 2nd round" -> "tweet-sentiment-2nd-round". */
export function slugOf(name) {
  return name
    .normalize("NFKD")
    .replace(/[^\x00-\x7f]/g, "")
    .toLowerCase()
    .replace(/[^\w\s-]/g, "")
    .trim()
    .replace(/[-\s]+/g, "-")
    .replace(/^[-_]+|[-_]+$/g, "")
    .slice(0, LONGEST);
}
