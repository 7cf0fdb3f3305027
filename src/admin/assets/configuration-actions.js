// Saving, loading, confirming and going back.

import { change } from "./api.js";
import { ask } from "./dialog.js";
import { perform, refused, sentence, textOf, told } from "./notice.js";

/** Writes what runs into the file; asks before it overwrites what somebody else has changed there. */
export async function save() {
  try {
    told(textOf(await change("POST", "/config/save"), "Saved."));
  } catch (refusal) {
    if (refusal.kind === "conflict") await overwrite(refusal.message);
    else refused(refusal.message);
  }
}

function overwrite(why) {
  return ask({
    title: "Overwrite the file?",
    text: [sentence(why)],
    label: "Overwrite the file",
    danger: true,
    submit: () => change("POST", "/config/save", undefined, { overwrite: "true" }),
  });
}

/** Loads the file, for good or on probation. */
export function reload() {
  return ask({
    title: "Load the file again?",
    text: [
      "All of it is applied or, if anything is wrong with it, nothing. Connections, counters and the state of hosts are kept.",
    ],
    fields: [
      {
        name: "confirm",
        label: "Go back by itself unless it is confirmed within",
        type: "select",
        value: "60s",
        options: [
          { value: "", text: "never: apply for good" },
          { value: "10s", text: "10 seconds" },
          { value: "30s", text: "30 seconds" },
          { value: "60s", text: "1 minute" },
          { value: "5m", text: "5 minutes" },
          { value: "30m", text: "30 minutes" },
        ],
        hint: "If the change locks you out, the balancer is as before after this time.",
      },
    ],
    label: "Load the file",
    danger: true,
    submit: ({ confirm }) => change("POST", "/config/reload", undefined, { confirm }),
  });
}

/** Keeps what was loaded on probation. */
export function confirmLoad() {
  return perform(() => change("POST", "/config/confirm"));
}

/** Takes back what was loaded on probation. */
export function goBack() {
  return perform(() => change("POST", "/config/goback"));
}

/** Puts a text into the clipboard. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    refused("The browser does not allow copying here; select the text instead.");
    return false;
  }
}
