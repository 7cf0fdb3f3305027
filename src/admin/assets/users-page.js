// The page of users: who may come in, and what he may do.

import { keyed, make, setText } from "./dom.js";
import { count, moment, span } from "./format.js";
import { state } from "./state.js";

const COLUMNS = ["User", "May", "Comes in with"];

/** The page. */
export class UsersPage {
  #body = make("tbody", { role: "rowgroup" });
  #facts = make("dl", { class: "service-facts" });
  #values = new Map();

  constructor() {
    const heads = COLUMNS.map((label) => make("th", { scope: "col", role: "columnheader" }, label));
    const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads));
    const table = make("table", { class: "list", role: "table", "aria-label": "Users" }, head, this.#body);
    this.node = make("div", {}, make("h1", {}, "Users"), table, make("h2", {}, "This balancer"), this.#facts);
  }

  update() {
    const { snapshot, who } = state;
    if (snapshot === null) return;
    keyed(
      this.#body,
      snapshot.users,
      ({ name }) => name,
      () => new UserRow(who.user),
    );
    const facts = [
      ["Version", snapshot.version],
      ["Process", String(snapshot.pid)],
      [
        "Started",
        `${moment(snapshot.started)}, ${span(snapshot.uptime_ms < 60_000 ? snapshot.uptime_ms : Math.floor(snapshot.uptime_ms / 60_000) * 60_000)} ago`,
      ],
      ["Reactors", count(snapshot.reactors.length)],
      ["Revision", count(snapshot.revision)],
    ];
    for (const [name, value] of facts) {
      if (!this.#values.has(name)) {
        this.#values.set(name, make("dd", {}));
        this.#facts.append(make("div", {}, make("dt", {}, name), this.#values.get(name)));
      }
      setText(this.#values.get(name), value);
    }
  }
}

class UserRow {
  #cells = COLUMNS.map((label) => make("td", { role: "cell", data: { label } }));
  #self;

  constructor(self) {
    this.#self = self;
    this.node = make("tr", { role: "row" }, ...this.#cells);
  }

  update({ name, full, password, key }) {
    const ways = [password ? "password" : "", key ? "SSH key" : ""].filter(Boolean);
    setText(this.#cells[0], name === this.#self ? `${name} (you)` : name);
    setText(this.#cells[1], full ? "look and change" : "look");
    setText(this.#cells[2], ways.join(", ") || "nothing");
  }
}
