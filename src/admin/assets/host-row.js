// A host's row in its group's table. Only what is in sight is kept up to date each time; the rest has its turn.

import { Chart } from "./chart.js";
import { Sight, draw, make, setAttribute, setText } from "./dom.js";
import { byteRate, bytes, count, latency, rate } from "./format.js";
import { hostKey } from "./history.js";
import { hostLink, hostMenu } from "./host-menu.js";
import { stateOf } from "./host-state.js";
import { mayChange, state } from "./state.js";

/** The columns: their heads, and what these mean. */
export const COLUMNS = [
  ["host", "Host", "Name and address"],
  ["state", "State", "What the balancer finds and what is wanted of it"],
  ["weight", "Weight", "Its share of new clients"],
  ["open", "Open", "Open connections, and the most allowed"],
  ["rate", "Connections", "New connections a second, and all so far"],
  ["failed", "Failed", "Connects that failed for a reason of the host's"],
  ["up", "In", "Bytes from clients a second, and all so far"],
  ["down", "Out", "Bytes to clients a second, and all so far"],
  ["latency", "Connect", "How long connects take: over the last minutes, and usually"],
];

/** A row out of sight is brought up to date once in so many times. */
const TURNS = 10;
let turn = 0;
let created = 0;
const rows = new WeakMap();
const sight = new Sight((node) => rows.get(node)?.render());

/** Begins another round of updates. */
export function nextTurn() {
  turn += 1;
}

/** One host. */
export class HostRow {
  #place;
  #number = created++;
  #shown = {};
  #cells = {};
  #latency = new Chart({ title: "", unit: latency, lines: [{ series: "latency" }], slim: true });

  constructor(service, group, host) {
    this.#place = { service, group, host };
    this.node = this.#build();
    rows.set(this.node, this);
    sight.observe(this.node);
  }

  #build() {
    const cells = COLUMNS.map(([name, label]) => {
      const link = name === "host" ? { href: hostLink(this.#place) } : {};
      const main = make(name === "host" ? "a" : "span", { class: "main", ...link });
      const more = make("span", { class: "more" });
      this.#cells[name] = { main, more };
      const content = name === "latency" ? [main, this.#latency.node, more] : [main, more];
      const tag = name === "host" ? "th" : "td";
      const attributes = { class: `cell-${name}`, data: { label } };
      return make(
        tag,
        name === "host" ? { ...attributes, scope: "row", role: "rowheader" } : { ...attributes, role: "cell" },
        ...content,
      );
    });
    this.#cells.symbol = draw("path");
    const symbol = draw("svg", { viewBox: "0 0 16 16", class: "symbol", "aria-hidden": "true" }, this.#cells.symbol);
    this.#cells.word = make("span", { class: "word" });
    this.#cells.state.main.append(symbol, this.#cells.word);
    if (mayChange()) {
      const button = hostMenu(() => this.#place, `Actions for host ${this.#place.host.name}`);
      cells.push(make("td", { class: "cell-actions", role: "cell" }, button));
    }
    return make("tr", { role: "row", class: "host", data: { host: this.#place.host.name } }, ...cells);
  }

  /** Takes what is known now. */
  update(host) {
    this.#place = { ...this.#place, host };
    this.#renderState(host);
    if (!this.#shown.host || sight.has(this.node) || (this.#number + turn) % TURNS === 0) this.render();
  }

  drop() {
    sight.forget(this.node);
  }

  #renderState(host) {
    const { kind, word, symbol, detail } = stateOf(host);
    const shown = `${kind} ${word} ${detail}`;
    if (this.#shown.state === shown) return;
    this.#shown.state = shown;
    setAttribute(this.node, "data-state", kind);
    setAttribute(this.#cells.symbol, "d", symbol);
    setText(this.#cells.word, word);
    setText(this.#cells.state.more, detail);
  }

  /** Shows all of it. */
  render() {
    const { service, group, host } = this.#place;
    const track = state.history.host(hostKey({ name: service }, { name: group }, host));
    const rates = track?.rates ?? {};
    const address = host.addr && host.addr !== host.address ? `${host.address} (${host.addr})` : host.address;
    this.#show("host", host.name, address);
    this.#show("weight", count(host.weight), "");
    this.#show("open", count(host.open), host.max === null ? "" : `of ${count(host.max)}`);
    this.#show("rate", rate(rates.connections), count(host.total));
    this.#show("failed", count(host.failed), rates.failed > 0 ? rate(rates.failed) : "");
    this.#show("up", byteRate(rates.up), bytes(host.bytes_up));
    this.#show("down", byteRate(rates.down), bytes(host.bytes_down));
    const usual = host.connect_time_us > 0 ? host.connect_time_us : null;
    this.#show("latency", latency(rates.latency ?? usual), "");
    setAttribute(this.#cells.failed.main, "data-some", host.failed > 0 ? "" : null);
    if (track && sight.has(this.node)) this.#latency.update(state.history, track, []);
  }

  #show(name, main, more) {
    const cell = this.#cells[name];
    const shown = `${main}\n${more}`;
    if (this.#shown[name] === shown) return;
    this.#shown[name] = shown;
    setText(cell.main, main);
    setText(cell.more, more);
  }
}
