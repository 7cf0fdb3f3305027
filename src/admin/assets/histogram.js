// Times counted by their size, as a table with bars, and what can be said of them in a line.

import { draw, keyed, make, setAttribute, setHidden, setText } from "./dom.js";
import { count, latency, plural } from "./format.js";

/** What every time of a bucket is below, in microseconds; the last one has no end. */
function below({ first, buckets }, bucket) {
  return bucket + 1 < buckets.length ? 2 ** (first + bucket) : Infinity;
}

function label(times, bucket) {
  const end = below(times, bucket);
  return end === Infinity ? `${latency(below(times, bucket - 1))} and more` : `below ${latency(end)}`;
}

/** The bound that this share of all times is below. */
function bound(times, total, share) {
  let sum = 0;
  const bucket = times.buckets.findIndex((number) => {
    sum += number;
    return sum >= total * share;
  });
  return label(times, bucket);
}

/** One histogram. */
export class Histogram {
  #summary = make("p", { class: "quiet" });
  #body = make("tbody", { role: "rowgroup" });
  #table;

  constructor(title) {
    const heads = ["Time", "Times", ""].map((text) =>
      make("th", { scope: "col", role: "columnheader" }, text || make("span", { class: "unseen" }, "Share")),
    );
    const head = make("thead", { role: "rowgroup", class: "unseen" }, make("tr", { role: "row" }, ...heads));
    this.#table = make("table", { class: "histogram", role: "table", "aria-label": title }, head, this.#body);
    this.node = make("section", { class: "panel" }, make("h2", {}, title), this.#summary, this.#table);
  }

  /** Shows what was counted. */
  update(times) {
    const { buckets, sum_us: sum } = times;
    const total = buckets.reduce((all, one) => all + one, 0);
    setHidden(this.#table, total === 0);
    if (total === 0) {
      setText(this.#summary, "None so far.");
      return;
    }
    const bounds = `half ${bound(times, total, 0.5)}, 99 % ${bound(times, total, 0.99)}`;
    setText(this.#summary, `${plural(total, "time")}: ${bounds}, mean ${latency(sum / total)}`);
    const first = buckets.findIndex((number) => number > 0);
    const last = buckets.findLastIndex((number) => number > 0);
    const most = Math.max(...buckets);
    const rows = buckets.map((number, bucket) => ({
      bucket,
      number,
      share: number / most,
      label: label(times, bucket),
    }));
    keyed(this.#body, rows.slice(first, last + 1), ({ bucket }) => String(bucket), bar);
  }
}

function bar() {
  const rect = draw("rect", { height: 10, class: "histogram-bar" });
  const picture = draw("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, rect);
  const [name, number] = [
    make("th", { scope: "row", role: "rowheader" }),
    make("td", { role: "cell", class: "number" }),
  ];
  const node = make("tr", { role: "row" }, name, number, make("td", { role: "cell" }, picture));
  const update = (row) => {
    setText(name, row.label);
    setText(number, count(row.number));
    setAttribute(rect, "width", (row.share * 100).toFixed(1));
  };
  return { node, update };
}
