// Small charts over time: one or two lines, a time axis, the value now, and under the pointer the value then.

import { draw, make, setText } from "./dom.js";
import { span } from "./format.js";

/** What a chart may show of the past: the shortest of these that has all there is, the longest in the end. */
const WINDOWS_MS = [60_000, 120_000, 300_000];
const WIDTH = 300;
const HEIGHT = 48;
/** Room above the highest value, so that the line is not cut. */
const TOP = 3;
/** The scale of what is zero all the time. */
const NOTHING = 1e-9;

/**
 * A chart of one or two series.
 * @param {{title: string, unit: (value: number) => string, lines: {series: string, label?: string}[], slim?: boolean}} plan
 * `slim`: only the line, for a cell of a table.
 */
export class Chart {
  #plan;
  #paths;
  #areas;
  #values;
  #top = make("span", { class: "chart-top", "aria-hidden": "true" });
  #cursor = draw("line", { class: "chart-cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  #then = make("span", { class: "chart-then", "aria-hidden": "true", hidden: true });
  #picture;
  #start = make("span", {});
  #drawn = null;

  constructor(plan) {
    this.#plan = plan;
    this.#areas = plan.lines.map((_, index) => draw("path", { class: `chart-area line-${index + 1}` }));
    this.#paths = plan.lines.map((_, index) => draw("path", { class: `chart-line line-${index + 1}` }));
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const grid = draw("path", { class: "chart-grid", d: `M0 ${HEIGHT / 2 + TOP / 2}H${WIDTH}` });
    const parts = plan.slim ? [] : [grid];
    this.#picture = draw(
      "svg",
      { ...box, class: "chart-picture" },
      ...parts,
      ...this.#areas,
      ...this.#paths,
      this.#cursor,
    );
    this.#values = plan.lines.map(() => make("span", { class: "chart-value" }));
    this.node = plan.slim ? this.#slim() : this.#whole();
  }

  #slim() {
    return make("span", { class: "spark" }, this.#picture);
  }

  #whole() {
    const { title, lines } = this.#plan;
    const values = lines.map(({ label }, index) => {
      const name = label ? make("span", { class: `chart-key line-${index + 1}` }, label) : null;
      return make("span", { class: "chart-now" }, name, this.#values[index]);
    });
    const axis = make(
      "div",
      { class: "chart-axis", "aria-hidden": "true" },
      this.#start,
      this.#then,
      make("span", {}, "now"),
    );
    const plot = make("div", { class: "chart-plot" }, this.#top, this.#picture);
    plot.addEventListener("pointermove", (event) => this.#point(event));
    plot.addEventListener("pointerleave", () => this.#unpoint());
    const head = make("figcaption", {}, make("span", { class: "chart-title" }, title), ...values);
    return make("figure", { class: "chart" }, head, plot, axis);
  }

  /** Draws what `track` has of the last minutes. `values` are the ones of now, one a line. */
  update(history, track, values) {
    const { lines, unit } = this.#plan;
    lines.forEach((_, index) => setText(this.#values[index], unit(values[index])));
    const newest = history.count - 1;
    const end = history.time(newest);
    const length = windowOf(end - history.time(history.oldest));
    let first = newest;
    while (first > history.oldest && end - history.time(first - 1) <= length) first -= 1;
    const highest = this.#highest(track, first, newest);
    const x = (sample) => WIDTH - ((end - history.time(sample)) / length) * WIDTH;
    const y = (value) => HEIGHT - 1 - (value / highest) * (HEIGHT - 1 - TOP);
    this.#drawn = { history, track, first, newest, end, length };
    setText(this.#start, `${span(length)} ago`);
    setText(this.#top, highest === NOTHING ? "" : unit(highest));
    lines.forEach(({ series }, index) => {
      const runs = runsOf(history, (sample) => track.at(series, sample), first, newest);
      const line = runs.map((run) => `M${run.map((at) => point(x(at), y(track.at(series, at)))).join("L")}`);
      const areas = runs.map((run, number) => {
        return `${line[number]}L${x(run.at(-1)).toFixed(1)} ${HEIGHT}L${x(run[0]).toFixed(1)} ${HEIGHT}Z`;
      });
      this.#paths[index].setAttribute("d", line.join(""));
      this.#areas[index].setAttribute("d", areas.join(""));
    });
  }

  #highest(track, first, newest) {
    let highest = 0;
    for (const { series } of this.#plan.lines) {
      for (let sample = first; sample <= newest; sample += 1) {
        const value = track.at(series, sample);
        if (value > highest) highest = value;
      }
    }
    return highest > 0 ? roundUp(highest) : NOTHING;
  }

  #point(event) {
    if (this.#drawn === null) return;
    const { history, track, first, newest, end, length } = this.#drawn;
    const box = this.#picture.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const wanted = end - (1 - share) * length;
    let sample = newest;
    while (sample > first && history.time(sample) > wanted) sample -= 1;
    const { lines, unit } = this.#plan;
    const values = lines.map(({ series, label }) => {
      const value = track.at(series, sample);
      return `${label ? `${label} ` : ""}${Number.isNaN(value) ? "unknown" : unit(value)}`;
    });
    const ago = Math.round((end - history.time(sample)) / 1000) * 1000;
    setText(this.#then, `${values.join(", ")} ${ago === 0 ? "now" : `${span(ago)} ago`}`);
    this.#then.hidden = false;
    const at = ((history.time(sample) - end) / length + 1) * WIDTH;
    this.#cursor.setAttribute("x1", at);
    this.#cursor.setAttribute("x2", at);
    this.#cursor.setAttribute("visibility", "visible");
  }

  #unpoint() {
    this.#then.hidden = true;
    this.#cursor.setAttribute("visibility", "hidden");
  }
}

function windowOf(age) {
  return WINDOWS_MS.find((length) => age <= length) ?? WINDOWS_MS.at(-1);
}

/** Samples that belong to one line each: a gap in time or values ends it. */
function runsOf(history, valueAt, first, newest) {
  const runs = [];
  let run = [];
  for (let sample = first; sample <= newest; sample += 1) {
    const isBroken = run.length > 0 && history.isBroken(run.at(-1), sample);
    const isMissing = Number.isNaN(valueAt(sample));
    if ((isBroken || isMissing) && run.length > 0) {
      runs.push(run);
      run = [];
    }
    if (!isMissing) run.push(sample);
  }
  if (run.length > 0) runs.push(run);
  return runs;
}

function point(x, y) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

/** The next round number: a scale that does not move with every sample. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 5, 7, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}
