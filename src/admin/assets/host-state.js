// What a host's state is called, from what the manager judges and what the operator wants.

import { span } from "./format.js";

/** Paths of the symbols, in a 16×16 box: they tell the states apart without colour. */
const SYMBOLS = {
  up: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Z",
  down: "M4.5 3 3 4.5 6.5 8 3 11.5 4.5 13 8 9.5 11.5 13 13 11.5 9.5 8 13 4.5 11.5 3 8 6.5Z",
  drain: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Zm0 1.6v6.8a3.4 3.4 0 0 1 0-6.8Z",
  out: "M3 7h10v2H3Z",
  kept: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Zm0 1.6v6.8a3.4 3.4 0 0 1 0-6.8Z",
  idle: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Zm0 1.7a3.3 3.3 0 1 1 0 6.6 3.3 3.3 0 0 1 0-6.6Z",
};

/**
 * The state in a word, the kind that gives its colour and symbol, and what is to be said beside it.
 * @returns {{kind: string, word: string, symbol: string, detail: string}}
 */
export function stateOf(host) {
  const kind = kindOf(host);
  const words = {
    up: "up",
    down: "down",
    drain: host.open > 0 ? "draining" : "drained",
    out: "out of service",
    kept: "kept out",
    idle: "weight 0",
  };
  return { kind, word: words[kind], symbol: SYMBOLS[kind], detail: detailOf(host, kind) };
}

function kindOf(host) {
  if (host.admin === "down") return "out";
  if (host.status === "down") return "down";
  if (host.admin === "drain") return "drain";
  if (host.blacklisted_ms !== null) return "kept";
  return host.weight === 0 ? "idle" : "up";
}

/** Why and how long; for a failed host also when it is tried again. */
function detailOf(host, kind) {
  const parts = [];
  if (kind === "down" && host.why) parts.push(host.why);
  if (kind === "down" && host.admin === "drain") parts.push("draining");
  if (kind === "kept") parts.push(`${span(Math.ceil(host.blacklisted_ms / 1000) * 1000)} more`);
  else if (kind !== "drain" && kind !== "out") parts.push(`for ${span(coarse(host.lasted_ms))}`);
  if (kind === "down" && host.next_probe_ms !== null) {
    parts.push(
      host.next_probe_ms < 1000 ? "next try now" : `next try in ${span(Math.round(host.next_probe_ms / 1000) * 1000)}`,
    );
  }
  return parts.join(" · ");
}

/** What is long over need not be told to the second. */
function coarse(millis) {
  return millis < 60_000 ? Math.floor(millis / 1000) * 1000 : Math.floor(millis / 60_000) * 60_000;
}

/** Whether it takes new clients, as far as the manager knows. */
export function isTaking(host) {
  return kindOf(host) === "up";
}

/** Whether somebody should look at it: it is to serve, and does not. */
export function isTroubled(host) {
  return host.admin !== "down" && host.status === "down";
}
