// The page of the configuration: what differs from the file, the texts, and saving and loading.

import { get } from "./api.js";
import { copy, reload, save } from "./configuration-actions.js";
import { make, setText } from "./dom.js";
import { plural } from "./format.js";
import { told } from "./notice.js";
import { mayChange, state } from "./state.js";
import { diffLines, withContext } from "./text-diff.js";

const CONTEXT_LINES = 3;

const TABS = [
  ["difference", "Difference"],
  ["running", "Running"],
  ["loaded", "Loaded"],
  ["file", "File"],
];

/** The page. */
export class ConfigurationPage {
  #state = make("p", { class: "lead" });
  #tabs;
  #panel = make("div", { id: "config-panel", role: "tabpanel", tabindex: "0" });
  #tab = "difference";
  #isShown = false;
  #revision = null;
  #asked = 0;

  constructor() {
    this.#tabs = TABS.map(([name, label]) => {
      const tab = make(
        "button",
        { type: "button", role: "tab", id: `config-${name}`, "aria-controls": "config-panel" },
        label,
      );
      tab.addEventListener("click", () => this.#choose(name));
      return tab;
    });
    const list = make("div", { role: "tablist", class: "tabs", "aria-label": "Configurations" }, ...this.#tabs);
    list.addEventListener("keydown", (event) => this.#onKey(event));
    const refresh = make("button", { type: "button" }, "Look again");
    refresh.addEventListener("click", () => this.#look());
    const tools = make("div", { class: "tools" }, list, refresh);
    if (mayChange()) tools.append(button("Save to the file", save, "primary last"), button("Load the file…", reload));
    this.node = make("div", {}, make("h1", {}, "Configuration"), this.#state, tools, this.#panel);
  }

  show() {
    this.#isShown = true;
    this.#look();
  }

  hide() {
    this.#isShown = false;
  }

  /** What is shown is of another revision once something was changed. */
  update() {
    if (this.#isShown && this.#revision !== revisionNow()) this.#look();
  }

  #choose(name) {
    this.#tab = name;
    this.#look();
  }

  #onKey(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const at = TABS.findIndex(([name]) => name === this.#tab);
    const next = (at + move + TABS.length) % TABS.length;
    this.#choose(TABS[next][0]);
    this.#tabs[next].focus();
  }

  async #look() {
    this.#revision = revisionNow();
    this.#asked += 1;
    const number = this.#asked;
    this.#tabs.forEach((tab, index) => {
      const isChosen = TABS[index][0] === this.#tab;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      if (isChosen) this.#panel.setAttribute("aria-labelledby", tab.id);
    });
    setText(
      this.#state,
      state.snapshot?.unsaved
        ? "What runs has changes that were neither loaded from the file nor saved to it."
        : "What runs is what was last loaded from the file or saved to it.",
    );
    let content;
    try {
      content = await (this.#tab === "difference" ? differences() : wholeText(this.#tab));
    } catch (refusal) {
      content = [make("p", { class: "dialog-error" }, refusal.message)];
    }
    if (number === this.#asked) this.#panel.replaceChildren(...content);
  }
}

/** Changes with every change of what runs, and when it is saved. */
function revisionNow() {
  return `${state.snapshot?.pid} ${state.snapshot?.revision} ${state.snapshot?.unsaved}`;
}

async function differences() {
  const [list, file, running] = await Promise.all([
    get("/config/diff", { from: "file", to: "running" }),
    get("/config", { source: "file" }),
    get("/config", { source: "running" }),
  ]);
  const lines = diffLines(file, running);
  const content = [];
  if (list.length === 0) {
    content.push(make("p", { class: "empty" }, "The file says what runs."));
  } else {
    content.push(
      make("h2", {}, `${plural(list.length, "difference")} from the file to what runs`),
      make("ul", { class: "differences" }, ...list.map(differenceNode)),
    );
  }
  if (lines.some(({ kind }) => kind !== "same")) {
    const shown = withContext(lines, CONTEXT_LINES);
    content.push(
      make("h2", {}, "In the words of the file"),
      make("div", { class: "code", role: "group", "aria-label": "Lines that differ" }, ...shown.map(lineNode)),
    );
  }
  return content;
}

function differenceNode({ what, effect }) {
  return make("li", {}, make("span", {}, what), effect ? make("span", { class: "badge" }, effect) : null);
}

function lineNode(line) {
  if (line === null) return make("div", { class: "line line-left-out" }, "⋯");
  const sign = { same: " ", removed: "−", added: "+" }[line.kind];
  const said = { removed: "only in the file: ", added: "only in what runs: " }[line.kind];
  const spoken = said ? make("span", { class: "unseen" }, said) : null;
  return make(
    "div",
    { class: `line line-${line.kind}` },
    make("span", { class: "sign", "aria-hidden": "true" }, sign),
    spoken,
    line.text,
  );
}

async function wholeText(source) {
  const text = await get("/config", { source });
  const button = make("button", { type: "button", class: "small" }, "Copy");
  button.addEventListener("click", async () => {
    if (await copy(text)) told("Copied.");
  });
  return [make("div", { class: "code-tools" }, button), make("pre", { class: "code" }, text)];
}

function button(label, act, kind = "") {
  const node = make("button", { type: "button", class: kind || null }, label);
  node.addEventListener("click", () => act());
  return node;
}
