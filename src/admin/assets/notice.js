// Short notices of what was done, and of what was not. The first go by themselves, the others stay until they are closed.

import { make } from "./dom.js";
import { counted } from "./format.js";

const STAY_MS = 6000;
/** Most notices at a time; the oldest goes. */
const NOTICES_MAX = 4;

/** Tells that something was done. */
export function told(text) {
  const node = show(text, "done");
  let timer = setTimeout(() => node.remove(), STAY_MS);
  // Who is reading it, or about to close it, is not to lose it.
  node.addEventListener("pointerenter", () => clearTimeout(timer));
  node.addEventListener("pointerleave", () => {
    timer = setTimeout(() => node.remove(), STAY_MS);
  });
}

/** Tells that something was not done, and why. */
export function refused(text) {
  show(sentence(text), "refused");
}

/** Does something and tells what came of it. `done` makes the text of the answer, unless the answer has one. */
export async function perform(action, done) {
  try {
    const answer = await action();
    told(textOf(answer, done));
    return true;
  } catch (error) {
    refused(error.message);
    return false;
  }
}

/** What the balancer says that it has done. */
export function textOf(answer, otherwise = "Done.") {
  const text = typeof answer === "string" ? answer : answer?.done;
  return text ? sentence(counted(text)) : otherwise;
}

/** With a capital letter and a full stop. */
export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

function show(text, kind) {
  const region = document.getElementById("notices");
  while (region.childElementCount >= NOTICES_MAX) region.firstElementChild.remove();
  const close = make("button", { type: "button", class: "quiet", "aria-label": "Close the notice" }, "×");
  const node = make("div", { class: `notice notice-${kind}` }, make("p", {}, text), close);
  close.addEventListener("click", () => node.remove());
  region.append(node);
  return node;
}
