// <touchstone-feedback token="..." key="pk_..."></touchstone-feedback>: was this suggestion right? One click says so.
// Without dependencies, cookies, inline styles or eval. Served without these comments and without indentation.
// A version that was published is never edited: pages name it by its hash. A change is another file.
(() => {
  const door = new URL("/api/v1/feedback/", document.currentScript.src);
  const WORDS = {
    ask: "Was this right?", up: "Yes", down: "No", thanks: "Thanks…", done: "Thanks, recorded.", undo: "Undo",
    undone: "Taken back.", failed: "Not recorded.", retry: "Try again", closed: "This can no longer be rated.",
    more: "Tell us more", why: "What was it?", right: "What would be right?", none: "–", comment: "In your words",
    send: "Send", used: "Used in model # on @.", wrong: "Not true", partly: "Partly right", unclear: "Hard to understand", offensive: "Offensive",
    other: "Something else",
  };
  // The last of the words.
  const REASONS = Object.keys(WORDS).slice(-5);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host{display:block}
    :host([hidden]),[hidden]{display:none!important}
    div,form{display:flex;flex-wrap:wrap;gap:8px;align-items:center}
    form{margin-top:8px}
    button,select,textarea{font:inherit;color:inherit;background:none;border:1px solid;border-radius:8px;min-height:32px;max-width:100%;padding:4px 12px;box-sizing:border-box}
    option{color:CanvasText;background:Canvas}
    label,p{flex-basis:100%;margin:0}
    textarea{width:100%}
    .up:before,.down:before{content:"";display:inline-block;margin-inline-end:8px;border:.5em solid;vertical-align:-.1em;clip-path:polygon(0 45%,20% 45%,20% 100%,30% 100%,30% 45%,52% 0,68% 8%,62% 38%,100% 38%,88% 100%,0 100%)}
    .down:before{scale:1 -1}
    button[aria-pressed=true]{background:#8884;font-weight:600}
    :focus-visible{outline:3px solid;outline-offset:2px}
    .link{border:0;text-decoration:underline;padding:4px}
    @media(forced-colors:active){button[aria-pressed=true]{background:Highlight;color:HighlightText;forced-color-adjust:none}}
  `);
  const make = (tag, props, ...inside) => {
    const element = Object.assign(document.createElement(tag), props);
    element.append(...inside);
    return element;
  };
  const group = (name, ...inside) => make("div", { role: "group", ariaLabel: name }, make("span", {}, name), ...inside);
  const press = (onclick, props, ...inside) => make("button", { type: "button", onclick, ...props }, ...inside);

  // What was answered, with its status; nothing of either when nobody answers in time.
  const post = async (path, body) => {
    try {
      const answer = await fetch(door + path, {
        method: "POST", body, headers: { "Content-Type": "application/json" }, credentials: "omit", keepalive: true,
        signal: AbortSignal.timeout(2e4),
      });
      return { ...await answer.json(), status: answer.status };
    } catch {
      return {};
    }
  };

  class Feedback extends HTMLElement {
    static observedAttributes = ["token", "strings"];
    #chain = Promise.resolve();
    #verdict = "";

    connectedCallback() {
      if (!this.shadowRoot) {
        this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
        this.#render();
      }
      this.#fire("ready");
    }

    // What the same user said before, where the page asks for it: nothing is sent of itself.
    async #recall() {
      const { status, words } = this;
      const { verdict, used } = await post("standing/", this.#body({}));
      if (!verdict || status !== this.status || status.textContent) return;
      this.#show(verdict);
      if (used) this.#tell(words.used.replace("#", used.model).replace("@", new Date(used.at).toLocaleDateString(this.lang || [], { dateStyle: "long" })));
    }

    // What is sent, and of whom: as it is when it is said, though the element may be given another token before it goes.
    #body(body) {
      for (const name of ["key", "token", "subject", "subject-signature"]) body[name.replace("-", "_")] = this.getAttribute(name) || "";
      return JSON.stringify(body);
    }

    attributeChangedCallback() {
      if (this.shadowRoot) this.#render();
    }

    #render() {
      try {
        this.words = { ...WORDS, ...JSON.parse(this.getAttribute("strings")) };
      } catch {
        this.words = WORDS;
      }
      const { words } = this;
      this.#verdict = "";
      this.buttons = {};
      for (const name of ["up", "down"]) {
        // The second click of a double click is no change of mind.
        const click = (event) => event.detail > 1 || this.#say(this.#verdict === name ? "undo" : name);
        this.buttons[name] = press(click, { ariaPressed: "false", className: name }, words[name]);
      }
      this.status = make("span", { role: "status" });
      this.after = make("div", {});
      this.form = make("form", { hidden: true });
      this.shadowRoot.replaceChildren(
        group(words.ask, this.buttons.up, this.buttons.down, this.status, this.after),
        this.form,
      );
      this.hasAttribute("recall") && this.#recall().catch(() => {});
    }

    #show(verdict) {
      this.#verdict = verdict;
      for (const name in this.buttons) this.buttons[name].ariaPressed = name === verdict;
    }

    #tell(text, ...links) {
      const hadFocus = this.after.matches(":focus-within");
      this.status.textContent = text;
      this.after.replaceChildren(...links);
      if (hadFocus) this.buttons.up.focus();
    }

    #link(name, onclick) {
      return press(onclick, { className: "link" }, this.words[name]);
    }

    // One act: shown at once, sent after those before it, taken back on the screen when it could not be sent.
    #say(verdict, more = {}, id = crypto.getRandomValues(new Uint32Array(4)).join("-")) {
      const before = this.#verdict;
      const { status, words } = this;
      this.#show(verdict === "undo" ? "" : verdict);
      if (!more.reasons) this.form.hidden = true;
      this.#tell(words.thanks);
      const body = this.#body({ verdict, client_id: id, ...more });
      return (this.#chain = this.#chain.then(async () => {
        const said = await post("", body);
        // Of another suggestion by now.
        if (status !== this.status) return;
        if (said.feedback) return this.#done(verdict, said);
        this.#show(before);
        if (said.status < 500 && said.status !== 429) this.#tell(words.closed);
        else this.#tell(words.failed, this.#link("retry", () => this.#say(verdict, more, id)));
        this.#fire("error", { code: said.error?.code || "network" });
      }));
    }

    #done(verdict, said) {
      const undone = verdict === "undo";
      this.#show(undone ? "" : verdict);
      this.#tell(this.words[undone ? "undone" : "done"], ...(undone ? [] : [this.#link("undo", () => this.#say("undo")), this.#more(verdict, said)]));
      this.#fire("feedback", said.feedback);
    }

    #fire(name, detail) {
      this.dispatchEvent(new CustomEvent("touchstone:" + name, { detail, bubbles: true, composed: true }));
    }

    // What may follow, and need not: reasons, what would be right, words.
    #more(verdict, { choices, several, notice, feedback }) {
      const { words } = this;
      const chips = REASONS.map((value) => press(({ currentTarget: chip }) => {
        chip.ariaPressed = chip.ariaPressed !== "true";
      }, { ariaPressed: feedback.reasons.includes(value), value }, words[value]));
      const options = choices.map(({ name, value }, at) => new Option(name, at, false, [feedback.correction].flat().includes(value)));
      const right = make("select", { multiple: several }, ...(several ? [] : [new Option(words.none)]), ...options);
      const comment = make("textarea", { maxLength: 1000, rows: 2, value: feedback.comment });
      const link = this.#link("more", () => {
        this.form.hidden = !this.form.hidden;
        link.ariaExpanded = !this.form.hidden;
      });
      link.ariaExpanded = "false";
      this.form.replaceChildren(
        ...(verdict === "down" ? [group(words.why, ...chips), make("label", {}, words.right + " ", right)] : []),
        make("label", {}, words.comment, comment), make("button", {}, words.send), make("p", {}, notice),
      );
      this.form.onsubmit = (event) => {
        event.preventDefault();
        const chosen = [...right.selectedOptions].flatMap((one) => choices[one.value]?.value ?? []);
        const correction = several && chosen[0] ? chosen : chosen[0];
        const reasons = chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.value);
        this.#say(verdict, { reasons, comment: comment.value, correction }).then(() => {
          this.form.hidden = true;
          this.buttons[verdict].focus();
        });
      };
      return link;
    }
  }
  customElements.get("touchstone-feedback") || customElements.define("touchstone-feedback", Feedback);
})();
