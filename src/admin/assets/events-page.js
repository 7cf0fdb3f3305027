// The page of events: what changed, who did it, and what went wrong, the newest first.

import { get } from "./api.js";
import { keyed, make, setHidden, setText } from "./dom.js";
import { moment, plural } from "./format.js";
import { state } from "./state.js";

/** Events that are kept here, as many as the balancer keeps. */
const EVENTS_MAX = 1000;

const KINDS = [
  ["state", "States of hosts"],
  ["change", "Changes"],
  ["refused", "Refused"],
  ["trouble", "Trouble"],
];

/** The page. */
export class EventsPage {
  #events = [];
  #boxes = new Map();
  #search = make("input", {
    type: "search",
    id: "events-filter",
    placeholder: "Filter events",
    "aria-label": "Filter events",
    "aria-keyshortcuts": "/",
  });
  #total = make("span", { class: "quiet last", role: "status" });
  #list = make("ol", { class: "events" });
  #empty = make("p", { class: "empty" }, "Nothing has happened.");
  #isShown = false;
  #pid = null;
  #uptime = 0;

  constructor() {
    const boxes = KINDS.map(([kind, label]) => {
      const box = make("input", { type: "checkbox", id: `events-${kind}`, checked: true });
      this.#boxes.set(kind, box);
      return make("label", { class: "check", for: box.id }, box, label);
    });
    const tools = make("div", { class: "tools", role: "search" }, this.#search, ...boxes, this.#total);
    tools.addEventListener("input", () => this.#render());
    this.node = make("div", {}, make("h1", {}, "Events"), tools, this.#list, this.#empty);
  }

  show() {
    this.#isShown = true;
    this.#render();
  }

  hide() {
    this.#isShown = false;
  }

  find() {
    this.#search.focus();
    this.#search.select();
  }

  /** Takes an event that the balancer tells. */
  take(event) {
    this.#merge([event]);
  }

  /** Fetches what is missing: at the start, after the connection was lost, and where there is no stream. */
  async catchUp() {
    const { pid, uptime_ms: uptime } = state.snapshot;
    // A balancer that started anew counts its events anew.
    if (this.#pid !== pid || uptime < this.#uptime) this.#events = [];
    [this.#pid, this.#uptime] = [pid, uptime];
    const last = this.#events.at(-1)?.number ?? 0;
    if (last >= state.snapshot.last_event) return;
    try {
      const answer = await get("/events", { after: last });
      this.#merge(Array.isArray(answer) ? answer : (answer?.events ?? []));
    } catch {
      // The next snapshot asks again.
    }
  }

  #merge(events) {
    const known = new Set(this.#events.map(({ number }) => number));
    const fresh = events.filter(({ number }) => !known.has(number));
    if (fresh.length === 0) return;
    this.#events = [...this.#events, ...fresh].sort((a, b) => a.number - b.number).slice(-EVENTS_MAX);
    if (this.#isShown) this.#render();
  }

  #render() {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.#events.filter(({ kind, by, text }) => {
      const all = `${by} ${text}`.toLowerCase();
      return this.#boxes.get(kind)?.checked !== false && words.every((word) => all.includes(word));
    });
    setText(this.#total, plural(shown.length, "event"));
    setHidden(this.#empty, shown.length > 0);
    setText(this.#empty, this.#events.length === 0 ? "Nothing has happened." : "No event matches.");
    keyed(this.#list, shown.toReversed(), ({ number, at }) => `${number} ${at}`, eventView);
  }
}

function eventView({ at, kind, by, text }) {
  const time = make("time", { datetime: new Date(at * 1000).toISOString() }, moment(at));
  const node = make(
    "li",
    { class: "event", data: { kind } },
    time,
    make("span", { class: "badge" }, kind),
    make("span", { class: "event-text" }, text),
    by ? make("span", { class: "event-by" }, by) : null,
  );
  return { node, update: () => {} };
}
