// What matters on every page: that the balancer is not reached, that a load waits to be confirmed, that something is not
// saved, that it is shutting down.

import { confirmLoad, goBack, save } from "./configuration-actions.js";
import { make, setAttribute, setHidden, setText } from "./dom.js";
import { moment, span } from "./format.js";
import { mayChange, state } from "./state.js";

/** A banner's words change every second; only what is in `said` is spoken, and that changes seldom. */
class Banner {
  #text = make("p", { "aria-hidden": "true" });
  #said = make("p");

  constructor(kind, role, ...buttons) {
    this.node = make(
      "div",
      { class: `banner banner-${kind}`, hidden: true, data: { banner: kind } },
      make("div", { role, class: "unseen" }, this.#said),
      this.#text,
      ...buttons,
    );
  }

  show(text, said) {
    setText(this.#text, text);
    setText(this.#said, said);
    setHidden(this.node, false);
  }

  hide() {
    setText(this.#said, "");
    setHidden(this.node, true);
  }
}

/** All banners, and the state of the connection in the head of the page. */
export class Banners {
  #link = document.getElementById("link");
  #lost;
  #probation;
  #unsaved;
  #draining = new Banner("draining", "status");
  #until = null;

  constructor() {
    const changes = mayChange();
    this.#lost = new Banner(
      "lost",
      "alert",
      button("Try now", () => state.live.retry()),
    );
    const probation = changes ? [button("Keep it", confirmLoad, "primary"), button("Go back now", goBack)] : [];
    this.#probation = new Banner("probation", "status", ...probation);
    this.#unsaved = new Banner("unsaved", "status", ...(changes ? [button("Save", save)] : []), difference());
    const all = [this.#lost, this.#draining, this.#probation, this.#unsaved];
    document.getElementById("banners").append(...all.map(({ node }) => node));
    setInterval(() => this.tick(), 250);
  }

  /** Takes what the balancer tells now. */
  update() {
    const { confirm_within_ms: left, unsaved, draining } = state.snapshot;
    this.#until = left === null ? null : Date.now() + left;
    if (draining)
      this.#draining.show(
        "Shutting down: no new clients, open connections may finish.",
        "The balancer is shutting down.",
      );
    else this.#draining.hide();
    if (unsaved && left === null) this.#unsaved.show("Unsaved changes.", "What runs is not saved to the file.");
    else this.#unsaved.hide();
    this.tick();
  }

  /** Counts time down and up. */
  tick() {
    const { live } = state;
    const isLost = live.link === "lost";
    setAttribute(document.documentElement, "data-link", live.link);
    setText(
      this.#link,
      { stream: "Live", poll: "Live, by polling", connecting: "Connecting", lost: "Connection lost" }[live.link],
    );
    if (isLost) this.#showLost(live);
    else this.#lost.hide();
    const left = this.#until === null ? null : Math.max(0, this.#until - Date.now());
    if (left === null || isLost) this.#probation.hide();
    else {
      const text = `Loaded on probation: goes back by itself in ${span(Math.ceil(left / 1000) * 1000)}.`;
      this.#probation.show(text, "The configuration was loaded on probation. Keep it or go back.");
    }
  }

  #showLost(live) {
    const since = moment(live.heard / 1000);
    const ago = span(Math.floor((Date.now() - live.heard) / 1000) * 1000);
    const next =
      live.next === null
        ? "trying now"
        : `next try in ${span(Math.max(1, Math.ceil((live.next - Date.now()) / 1000)) * 1000)}`;
    this.#lost.show(
      `No connection to the balancer since ${since}, ${ago} ago: ${next}. What you see is from then.`,
      `No connection to the balancer since ${since}.`,
    );
  }
}

function difference() {
  return make("a", { class: "button", href: "#configuration" }, "Difference");
}

function button(label, act, kind = null) {
  const node = make("button", { type: "button", class: kind }, label);
  node.addEventListener("click", () => act());
  return node;
}
