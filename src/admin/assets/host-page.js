// The page of one host: all that is known of it.

import { Chart } from "./chart.js";
import { make, setAttribute, setHidden, setText } from "./dom.js";
import { byteRate, bytes, count, latency, rate } from "./format.js";
import { Histogram } from "./histogram.js";
import { hostKey } from "./history.js";
import { hostMenu } from "./host-menu.js";
import { stateOf } from "./host-state.js";
import { mayChange, serviceNamed, state } from "./state.js";

/** The page. */
export class HostPage {
  /** The section of the page that it belongs to, and its title. */
  section = "services";
  title = "Host";
  #place = null;
  #heading = make("h1", {});
  #badge = make("span", { class: "badge" });
  #detail = make("span", { class: "quiet" });
  #gone = make("p", { class: "empty", hidden: true }, "There is no such host, or no more.");
  #facts = make("dl", { class: "service-facts" });
  #values = new Map();
  #charts = {
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
    latency: new Chart({ title: "Connect", unit: latency, lines: [{ series: "latency" }] }),
  };
  #connects = new Histogram("How long connects took");
  #lifetimes = new Histogram("How long connections lasted");
  #content;

  constructor() {
    const head = make("header", { class: "service-head" }, this.#heading, this.#badge, this.#detail);
    if (mayChange()) {
      const menu = hostMenu(() => this.#place);
      head.append(make("span", { class: "buttons" }, menu));
    }
    const charts = make("div", { class: "charts panel" }, ...Object.values(this.#charts).map(({ node }) => node));
    const histograms = make("div", { class: "columns" }, this.#connects.node, this.#lifetimes.node);
    this.#content = make("div", { class: "services" }, charts, this.#facts, histograms);
    const back = make("p", { class: "lead" }, make("a", { href: "#services" }, "All services"));
    this.node = make("div", {}, back, head, this.#gone, this.#content);
  }

  show(query) {
    const [service, group, name, addr] = ["service", "group", "host", "addr"].map((part) => query.get(part) ?? "");
    this.#place = { service, group, host: { name, addr: addr || null } };
    this.title = name;
    setText(this.#heading, `${service} / ${group} / ${name}`);
  }

  update() {
    const { service, group, host: known } = this.#place;
    const hosts = serviceNamed(service)?.groups.find(({ name }) => name === group)?.hosts ?? [];
    const named = hosts.filter(({ name }) => name === known.name);
    const host = named.find(({ addr }) => addr === known.addr) ?? named[0];
    setHidden(this.#gone, host !== undefined);
    setHidden(this.#content, host === undefined);
    setHidden(this.#badge, host === undefined);
    setText(this.#detail, "");
    if (host === undefined) return;
    this.#place = { ...this.#place, host };
    const { kind, word, detail } = stateOf(host);
    setText(this.#badge, word);
    setAttribute(this.#badge, "data-level", { up: "good", down: "bad", drain: "warn", idle: "warn", kept: "warn", out: "" }[kind]);
    setText(this.#detail, detail);
    this.#updateFacts(host);
    this.#connects.update(host.connects);
    this.#lifetimes.update(host.lifetimes);
    const track = state.history.host(hostKey({ name: service }, { name: group }, host));
    if (!track) return;
    const { connections, up, down, latency: micros } = track.rates;
    this.#charts.connections.update(state.history, track, [connections]);
    this.#charts.open.update(state.history, track, [host.open]);
    this.#charts.bytes.update(state.history, track, [down, up]);
    this.#charts.latency.update(state.history, track, [micros ?? (host.connect_time_us || null)]);
  }

  #updateFacts(host) {
    const facts = [
      ["Address", host.addr && host.addr !== host.address ? `${host.address} (${host.addr})` : host.address],
      ["Weight", count(host.weight)],
      ["Open", host.max === null ? count(host.open) : `${count(host.open)} of ${count(host.max)}`],
      ["Turn", turn(host)],
      ["Connections so far", count(host.total)],
      ["Failed", count(host.failed)],
      ["In", bytes(host.bytes_up)],
      ["Out", bytes(host.bytes_down)],
      ["Usual connect", host.connect_time_us > 0 ? latency(host.connect_time_us) : "unknown"],
      ["Last change", host.why || "none"],
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

/** When it comes into question, and how far for clients whose own host it is. */
function turn(host) {
  const parts = [host.abuse ? "for denied clients" : host.emergency ? "for emergencies" : `prio ${host.prio}`];
  if (host.hard !== null) parts.push(`its own clients up to ${count(host.hard)}`);
  return parts.join(", ");
}
