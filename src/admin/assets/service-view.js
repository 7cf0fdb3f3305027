// A service: its listeners, its charts, how its clients fared, and its groups.

import { Chart } from "./chart.js";
import { keyed, make, setAttribute, setHidden, setText } from "./dom.js";
import { filter } from "./filter.js";
import { byteRate, count, rate, setting } from "./format.js";
import { GroupView } from "./group-view.js";
import { isTaking } from "./host-state.js";
import { menuButton } from "./menu.js";
import { addGroup, addListener, editService, removeListener, removeService } from "./service-actions.js";
import { freshId, mayChange, state } from "./state.js";

/** The charts of one service, and of all together. */
export function trafficCharts() {
  return {
    connections: new Chart({ title: "Connections", unit: rate, lines: [{ series: "connections" }] }),
    open: new Chart({ title: "Open", unit: count, lines: [{ series: "open" }] }),
    bytes: new Chart({
      title: "Bytes",
      unit: byteRate,
      lines: [
        { series: "down", label: "out" },
        { series: "up", label: "in" },
      ],
    }),
  };
}

/** Draws the charts with what `track` has. */
export function updateCharts(charts, track, open) {
  const { connections, up, down } = track.rates;
  charts.connections.update(state.history, track, [connections]);
  charts.open.update(state.history, track, [open]);
  charts.bytes.update(state.history, track, [down, up]);
}

/** How a client's connection may end that it should not; the words are the balancer's. */
const UNSERVED = ["no-host", "connect-timeout", "queue-full", "local", "panicked"];

/** One service. */
export class ServiceView {
  #service;
  #badge = make("span", { class: "badge" });
  #listeners = make("ul", { class: "listeners", "aria-label": "Listeners" });
  #facts = make("dl", { class: "service-facts" });
  #factValues = new Map();
  #groups = make("div", { class: "groups" });
  #empty = make("p", { class: "empty", hidden: true }, "No group yet: it does not listen.");
  #charts = trafficCharts();
  /** How many hosts it shows. */
  shown = 0;

  constructor(service) {
    this.#service = service;
    const heading = freshId("service");
    const head = make(
      "header",
      { class: "service-head" },
      make("h2", { id: heading }, service.name),
      this.#badge,
      this.#listeners,
      ...(mayChange() ? [this.#buttons()] : []),
    );
    const charts = make("div", { class: "charts" }, ...Object.values(this.#charts).map(({ node }) => node));
    this.node = make(
      "section",
      { class: "service", "aria-labelledby": heading, data: { service: service.name } },
      head,
      charts,
      this.#facts,
      this.#groups,
      this.#empty,
    );
  }

  #buttons() {
    const menu = menuButton(`Actions for service ${this.#service.name}`, () => {
      const service = this.#service;
      const listeners = service.listeners.length > 1 ? service.listeners : [];
      return [
        { text: "Edit name, timeouts, limit…", act: () => editService(service) },
        { text: "Add group…", act: () => addGroup(service) },
        { text: "Add listener…", act: () => addListener(service) },
        {
          text: "Show its sessions",
          act: () => location.assign(`#sessions?${new URLSearchParams({ service: service.name })}`),
        },
        null,
        ...listeners.map((listener) => ({
          text: `Close listener ${listener.address}…`,
          danger: true,
          act: () => removeListener(service, listener),
        })),
        { text: "Remove service…", danger: true, act: () => removeService(service) },
      ];
    });
    return make("span", { class: "buttons" }, menu);
  }

  /** Shows it with the hosts that the filter lets through. */
  update(service) {
    this.#service = service;
    const hosts = service.groups.find((group) => group.enabled)?.hosts ?? [];
    const taking = hosts.filter(isTaking).length;
    setText(this.#badge, service.enabled === null ? "does not serve" : `${count(taking)}/${count(hosts.length)} up`);
    setAttribute(this.#badge, "data-level", taking === 0 ? "bad" : taking < hosts.length ? "warn" : "good");
    keyed(this.#listeners, service.listeners, ({ address }) => address, listenerView);
    this.#updateFacts(service);
    const track = state.history.service(service.name);
    if (track) updateCharts(this.#charts, track, service.open);
    const groups = keyed(
      this.#groups,
      service.groups,
      ({ name }) => name,
      (group) => new GroupView(service.name, group),
    );
    this.shown = groups.reduce((sum, group) => sum + group.shown, 0);
    setHidden(this.#empty, groups.length > 0);
    setHidden(this.node, filter.isOn && this.shown === 0);
  }

  drop() {
    keyed(this.#groups, [], String, () => null);
  }

  #updateFacts(service) {
    const unserved = UNSERVED.filter((reason) => service.closed[reason] > 0);
    const limit = service.max_connections === null ? "" : ` of ${count(service.max_connections)}`;
    const facts = [
      ["Open", count(service.open) + limit],
      ["Accepted", count(service.accepted)],
      ["Waiting for a host", count(service.waiting)],
      ["Passed on to another host", count(service.retries)],
      [
        "Not served",
        unserved.length === 0 ? "0" : unserved.map((reason) => `${count(service.closed[reason])} ${reason}`).join(", "),
      ],
      ["Timeouts", timeouts(service)],
    ];
    for (const [name, value] of facts) this.#fact(name, value, name === "Not served" && unserved.length > 0);
  }

  #fact(name, value, isBad) {
    let shown = this.#factValues.get(name);
    if (!shown) {
      shown = make("dd", {});
      this.#factValues.set(name, shown);
      this.#facts.append(make("div", {}, make("dt", {}, name), shown));
    }
    setText(shown, value);
    setAttribute(shown, "data-bad", isBad ? "" : null);
  }
}

function timeouts(service) {
  const { connect_timeout_ms: connect, idle_timeout_ms: idle, fin_timeout_ms: fin } = service;
  return `connect ${setting(connect)}, idle ${setting(idle)}, fin ${setting(fin)}`;
}

/** A listener as configured, and where it is bound if that says more. */
function listenerView() {
  const address = make("span", {});
  const bound = make("span", { class: "quiet" });
  const node = make("li", {}, address, bound);
  const update = (listener) => {
    const others = listener.bound.filter((addr) => addr !== listener.address);
    setText(address, listener.address);
    setText(bound, others.length > 0 ? ` at ${others.join(", ")}` : "");
    setAttribute(node, "data-closed", listener.bound.length === 0 ? "" : null);
    setAttribute(node, "title", `${count(listener.accepted)} accepted, ${count(listener.errors)} errors`);
  };
  return { node, update };
}
