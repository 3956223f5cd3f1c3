/** "4 s ago", "in 3 min", "2 d ago": `then` and `now` in milliseconds. */
export function relativeTime(then, now) {
  const seconds = Math.round((now - then) / 1000);
  const size = Math.abs(seconds);
  if (size < 2) return "now";
  const [count, unit] =
    size < 60 ? [size, "s"] : size < 3600 ? [size / 60, "min"] : size < 86400 ? [size / 3600, "h"] : [size / 86400, "d"];
  const words = `${Math.floor(count)} ${unit}`;
  return seconds < 0 ? `in ${words}` : `${words} ago`;
}
