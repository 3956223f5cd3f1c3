// What Inkwell's visitor does with a suggestion, told to Touchstone by the signals script where the visitor allows it.
const element = document.querySelector("touchstone-feedback");
const form = document.getElementById("post");
const told = document.getElementById("told");

/** Adds a line to what Touchstone hears, the newest first. */
function note(words) {
  told.querySelector(".quiet")?.remove();
  const row = document.createElement("li");
  const at = document.createElement("time");
  at.textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  row.append(at, ` ${words}`);
  told.prepend(row);
}

/** Tells one signal and sends it at once: somebody may be watching it arrive. */
function tell(name, words, value) {
  const signals = globalThis.touchstoneSignals;
  if (!signals) return;
  signals.track(element, name, value);
  signals.flush();
  note(words);
}

function said({ detail }) {
  const verdicts = { up: "you say it is right", down: "you say it is wrong", undo: "you took your verdict back" };
  const rest = [
    detail.correction === null ? "" : `right would be ${[detail.correction].flat().join(", ")}`,
    detail.comment ? `“${detail.comment}”` : "",
  ];
  note([verdicts[detail.verdict] || detail.verdict, ...rest.filter(Boolean)].join("; "));
}

function begin() {
  const posted = document.getElementById("posted");
  const show = (words) => {
    form.hidden = true;
    posted.hidden = false;
    posted.querySelector("span").textContent = words;
    posted.focus();
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { tone } = form.dataset;
    const chosen = form.elements.tone.value;
    if (chosen === tone) tell("accepted", "you kept the suggested tone");
    else tell("edited", `you changed the tone to ${chosen}`, 1);
    show(`Posted as ${chosen}.`);
  });
  document.getElementById("dismiss").addEventListener("click", () => {
    tell("dismissed", "you dismissed the suggestion");
    show("Posted without a tone.");
  });
  document.getElementById("back").addEventListener("click", () => {
    tell("undone", "you took the post back");
    posted.hidden = true;
    form.hidden = false;
    form.querySelector("input:checked").focus();
  });
  document.addEventListener("touchstone:feedback", said);
  document.addEventListener("touchstone:error", ({ detail }) => note(`it could not be told (${detail.code})`));
}

// The first line after the start waits for the model to be loaded.
const reading = document.getElementById("reading");
addEventListener("submit", ({ target }) => {
  if (target.matches(".write, .examples")) reading.textContent = "Reading it. The first line takes a few seconds.";
});
addEventListener("pageshow", () => {
  reading.textContent = "";
});

if (form) begin();
