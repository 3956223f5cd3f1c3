// Runs before the first paint (blocking, in <head>): the chosen theme must not flash in late.
(function () {
  try {
    const theme = localStorage.getItem("touchstone.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage refused: the system's theme stands.
  }
})();
