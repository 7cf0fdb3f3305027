// A group of a service: what it is, what can be done with it, and the table of its hosts.

import { keyed, make, setAttribute, setHidden, setText } from "./dom.js";
import { count, plural } from "./format.js";
import { hostKey } from "./history.js";
import { filter } from "./filter.js";
import { addHost } from "./host-actions.js";
import { COLUMNS, HostRow } from "./host-row.js";
import { isTaking } from "./host-state.js";
import { menuButton } from "./menu.js";
import { editGroup, enableGroup, removeGroup } from "./service-actions.js";
import { freshId, mayChange, serviceNamed } from "./state.js";

/** One group. */
export class GroupView {
  #service;
  #group;
  #name = make("span", {});
  #badge = make("span", { class: "badge" });
  #facts = make("span", { class: "facts" });
  #body = make("tbody", { role: "rowgroup" });
  #empty = make("p", { class: "empty" });
  #table;
  #enable;
  /** How many hosts it shows. */
  shown = 0;

  constructor(service, group) {
    this.#service = service;
    this.#group = group;
    const heading = freshId("group");
    const head = make(
      "header",
      { class: "group-head" },
      make("h3", { id: heading }, make("span", { class: "quiet" }, "group "), this.#name),
      this.#badge,
      this.#facts,
      ...(mayChange() ? [this.#buttons()] : []),
    );
    this.#table = this.#buildTable(heading);
    this.node = make(
      "section",
      { class: "group", "aria-labelledby": heading, data: { group: group.name } },
      head,
      this.#table,
      this.#empty,
    );
  }

  #buttons() {
    const add = make("button", { type: "button" }, "Add host");
    add.addEventListener("click", () => addHost(this.#service, this.#group.name));
    this.#enable = make("button", { type: "button", data: { act: "enable" } }, "Enable");
    this.#enable.addEventListener("click", () => this.#with(enableGroup));
    const menu = menuButton(`Actions for group ${this.#group.name}`, () => {
      const items = [{ text: "Change scheduler, stickiness or name…", act: () => this.#with(editGroup) }];
      if (!this.#group.enabled) items.push({ text: "Enable", act: () => this.#with(enableGroup) });
      items.push({ text: "Add host…", act: () => addHost(this.#service, this.#group.name) }, null);
      items.push({ text: "Remove group…", danger: true, act: () => this.#with(removeGroup) });
      return items;
    });
    return make("span", { class: "buttons" }, add, this.#enable, menu);
  }

  /** Does something with the service as it is now. */
  #with(action) {
    const service = serviceNamed(this.#service);
    if (service) action(service, this.#group);
  }

  #buildTable(heading) {
    const heads = COLUMNS.map(([name, label, title]) => {
      return make("th", { scope: "col", role: "columnheader", class: `cell-${name}`, title }, label);
    });
    if (mayChange()) {
      const label = make("span", { class: "unseen" }, "Actions");
      heads.push(make("th", { scope: "col", role: "columnheader", class: "cell-actions" }, label));
    }
    const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads));
    return make("table", { class: "hosts", role: "table", "aria-labelledby": heading }, head, this.#body);
  }

  /** Shows the hosts that the filter lets through. */
  update(group) {
    this.#group = group;
    const hosts = group.hosts.filter((host) => filter.lets(this.#service, group, host));
    this.shown = hosts.length;
    const taking = group.hosts.filter(isTaking).length;
    setText(this.#name, group.name);
    setText(this.#badge, group.enabled ? "serves" : "waits");
    setAttribute(this.node, "data-enabled", group.enabled ? "" : null);
    setText(this.#facts, `${chooses(group)} · ${count(taking)} of ${plural(group.hosts.length, "host")} up`);
    if (this.#enable) setHidden(this.#enable, group.enabled || group.hosts.length === 0);
    const service = this.#service;
    keyed(
      this.#body,
      hosts,
      (host) => hostKey({ name: service }, group, host),
      (host) => new HostRow(service, group.name, host),
    );
    setHidden(this.#table, hosts.length === 0);
    setHidden(this.#empty, hosts.length > 0);
    setText(this.#empty, group.hosts.length === 0 ? "No hosts yet." : "No host matches the filter.");
    setHidden(this.node, filter.isOn && hosts.length === 0);
  }

  drop() {
    keyed(this.#body, [], String, () => null);
  }
}

/** How a host is chosen, and how many clients are remembered. */
function chooses({ scheduler, sticky, sticky_clients: clients, sticky_size: size }) {
  if (sticky === "hash") return "sticky by hash";
  return sticky === "table" ? `${scheduler}, sticky · ${count(clients)} of ${plural(size, "client")}` : scheduler;
}
