// Shortcuts: single keys, which can be turned off, because speech input and some keyboards press them unasked.

import { tell } from "./dialog.js";
import { make } from "./dom.js";

const KEY = "director-keys";

function areOn() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
}

function turn(on) {
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    // They stay on.
  }
}

/** Listens for the keys of `shortcuts`: `{key, keys, text, act}`; without `act` it is only listed. */
export function listen(shortcuts) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || isTyping(event.target)) return;
    if (document.querySelector("dialog[open], :popover-open")) return;
    const shortcut = shortcuts.find(({ key, act }) => act && key === event.key);
    if (!shortcut || (!areOn() && shortcut.key !== "?")) return;
    event.preventDefault();
    shortcut.act();
  });
}

/** Shows what there is. */
export function showShortcuts(shortcuts) {
  const rows = shortcuts.map(({ key, keys, text }) => {
    return make(
      "div",
      {},
      make("dt", {}, ...(keys ?? [key]).map((name) => make("kbd", {}, name))),
      make("dd", {}, text),
    );
  });
  const box = make("input", { type: "checkbox", id: "keys-on", checked: areOn() });
  box.addEventListener("change", () => turn(box.checked));
  tell(
    "Keyboard shortcuts",
    make("dl", { class: "keys" }, ...rows),
    make("label", { class: "check", for: "keys-on" }, box, "Single keys do this"),
  );
}

function isTyping(target) {
  return (
    target instanceof Element &&
    target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]") !== null
  );
}
