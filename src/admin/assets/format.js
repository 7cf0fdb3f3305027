// Numbers for people: four digits at most, a unit that is always there, and widths that do not jump.

/** Between a number and its unit: narrow, and never broken. */
const GAP = "\u202f";
/** What stands where there is no value. */
export const NONE = "–";

const LARGE = ["", "k", "M", "G", "T", "P"];
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Three significant digits and a prefix of thousands. */
function scaled(value, unit) {
  let step = 0;
  let rest = value;
  // 999.5 would be shown as 1000.
  while (rest >= 999.5 && step < LARGE.length - 1) {
    rest /= 1000;
    step += 1;
  }
  const digits = rest >= 99.95 || rest === 0 ? 0 : rest >= 9.995 ? 1 : 2;
  const fixed = step === 0 && Number.isInteger(rest) ? String(rest) : rest.toFixed(digits);
  const suffix = LARGE[step] + unit;
  return suffix === "" ? fixed : `${fixed}${GAP}${suffix}`;
}

/** A count: exact to 99,999, then `123 k`. */
export function count(value) {
  if (value === null || value === undefined) return NONE;
  return value < 100_000 ? grouped.format(value) : scaled(value, "");
}

/** Bytes: `1.20 GB`, in powers of a thousand. */
export function bytes(value) {
  return value === null || value === undefined ? NONE : scaled(Math.round(value), "B");
}

/** Bytes a second. */
export function byteRate(value) {
  return value === null || value === undefined ? NONE : scaled(Math.round(value), "B/s");
}

/** Events a second: `3.40 k/s`. */
export function rate(value) {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return `0${GAP}/s`;
  return value < 999.5 ? `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${GAP}/s` : scaled(value, "/s");
}

/** A short time from microseconds: `850 µs`, `1.2 ms`, `3.4 s`. */
export function latency(micros) {
  if (micros === null || micros === undefined) return NONE;
  if (micros < 999.5) return `${micros.toFixed(0)}${GAP}µs`;
  const millis = micros / 1000;
  if (millis < 999.5) return `${millis < 9.95 ? millis.toFixed(1) : millis.toFixed(0)}${GAP}ms`;
  return `${(millis / 1000).toFixed(1)}${GAP}s`;
}

/** A time span from milliseconds, in its two largest units: `4 min 12 s`, `3 h 5 min`. */
export function span(millis) {
  if (millis === null || millis === undefined) return NONE;
  if (millis < 1000) return millis < 1 ? `0${GAP}s` : `${Math.round(millis)}${GAP}ms`;
  const seconds = Math.floor(millis / 1000);
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  const shown = parts.slice(first, first + 2).filter(([value]) => value > 0);
  return shown.map(([value, unit]) => `${value}${GAP}${unit}`).join(" ");
}

/** A time of the configuration, as its file has it: `500ms`, `30s`, `10m`. */
export function setting(millis) {
  const units = [
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ];
  const [unit, size] = units.find(([, size]) => millis > 0 && millis % size === 0) ?? ["ms", 1];
  return `${millis / size}${unit}`;
}

const sameDay = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const otherDay = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** A moment from seconds since 1970: the time of today, else with its date. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  return (isToday ? sameDay : otherDay).format(date);
}

/** `1 host`, `3 hosts`. */
export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

const COUNTER = /(service|host|listener)s-(added|removed|changed|opened|closed|moved|retuned)=(\d+)(?: \(([^)]*)\))?/g;

/** What a reload counted (`services-added=1 (web) …`) as people say it; other texts stay as they are. */
export function counted(text) {
  const begin = text.indexOf("services-added=");
  if (begin < 0) return text;
  const parts = [...text.matchAll(COUNTER)]
    .filter(([, , , number]) => number !== "0")
    .map(([, thing, done, number, names]) => `${plural(Number(number), thing)} ${done}${names ? ` (${names})` : ""}`);
  if (text.includes("manager=changed")) parts.push("health checks changed");
  return text.slice(0, begin) + (parts.join(", ") || "the rest is as it was");
}
