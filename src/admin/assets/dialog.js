// Dialogs: a question, fields to fill in, and what the balancer has against the answer, in the dialog itself.

import { make } from "./dom.js";
import { freshId } from "./state.js";
import { sentence, textOf, told } from "./notice.js";

/**
 * @typedef {object} Field
 * @property {string} name of the value
 * @property {string} label
 * @property {"text"|"number"|"select"|"choice"|"check"} [type] `choice`: all options are shown, with what they mean
 * @property {string} [value]
 * @property {string} [hint]
 * @property {boolean} [required]
 * @property {{value: string, text: string, hint?: string}[]} [options]
 * @property {object} [more] further attributes of the input
 */

/**
 * Asks, and does what `submit` does with the values. It stays open when that is refused. `focus` names the field to start
 * in; without fields a dangerous question starts on the button that changes nothing.
 * @param {{title: string, text?: (string|Node)[], fields?: Field[], label: string, danger?: boolean, focus?: string,
 *   submit: (values: Record<string, string>) => Promise<any>}} plan
 * @returns {Promise<boolean>} whether it was done
 */
export function ask(plan) {
  const { title, text = [], fields = [], label, danger = false } = plan;
  const heading = freshId("dialog");
  const error = make("p", { class: "dialog-error", role: "alert", hidden: true });
  const cancel = make("button", { type: "button", data: { cancel: "" } }, "Cancel");
  const submit = make("button", { type: "submit", class: danger ? "danger" : "primary" }, label);
  const form = make(
    "form",
    { method: "dialog", novalidate: false, autocomplete: "off" },
    make("h2", { id: heading }, title),
    ...text.map((part) => (typeof part === "string" ? make("p", {}, part) : part)),
    ...fields.map(fieldNode),
    error,
    make("div", { class: "dialog-buttons" }, cancel, submit),
  );
  const dialog = make("dialog", { "aria-labelledby": heading }, form);
  cancel.addEventListener("click", () => dialog.close());
  return new Promise((resolve) => {
    let done = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      error.hidden = true;
      try {
        const answer = await plan.submit(valuesOf(form, fields));
        done = true;
        dialog.close();
        if (answer !== null) told(textOf(answer));
      } catch (refusal) {
        error.textContent = sentence(refusal.message);
        error.hidden = false;
      }
      submit.disabled = false;
    });
    open(dialog, plan, () => resolve(done));
  });
}

/** Shows something to read. */
export function tell(title, ...content) {
  const heading = freshId("dialog");
  const close = make("button", { type: "button", class: "primary" }, "Close");
  const body = [make("h2", { id: heading }, title), ...content, make("div", { class: "dialog-buttons" }, close)];
  const dialog = make("dialog", { "aria-labelledby": heading }, make("div", { class: "dialog-body" }, ...body));
  close.addEventListener("click", () => dialog.close());
  open(dialog, { fields: [] }, () => {});
}

function open(dialog, { fields = [], focus, danger }, closed) {
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    // What was focused may have gone with what was just done.
    if (!before?.isConnected) document.getElementById("main")?.focus({ preventScroll: true });
    closed();
  });
  dialog.showModal();
  const first = focus ?? fields[0]?.name;
  const field = first && dialog.querySelector(`[name="${first}"]:checked, [name="${first}"]:not([type="radio"])`);
  if (field) {
    field.focus();
    field.select?.();
  } else if (danger) {
    dialog.querySelector("[data-cancel]").focus();
  }
}

function fieldNode(field) {
  const { name, label, type = "text", hint } = field;
  if (type === "choice") return choiceNode(field);
  const id = freshId("field");
  const hintId = hint ? `${id}-hint` : null;
  const common = { id, name, required: field.required, "aria-describedby": hintId, ...field.more };
  if (type === "check") {
    const input = make("input", { ...common, type: "checkbox", checked: field.value === "true" });
    return make(
      "div",
      { class: "field field-check" },
      input,
      make("label", { for: id }, label),
      hintNode(hint, hintId),
    );
  }
  const input =
    type === "select"
      ? make("select", common, ...field.options.map(({ value, text }) => optionNode(value, text, field.value)))
      : make("input", { ...common, ...inputKind(type), value: field.value ?? "", spellcheck: "false" });
  return make("div", { class: "field" }, make("label", { for: id }, label), input, hintNode(hint, hintId));
}

/** Numbers are typed as text: nothing is to change them when somebody scrolls. */
function inputKind(type) {
  return type === "number" ? { type: "text", inputmode: "numeric", pattern: "[0-9]*" } : { type };
}

function choiceNode({ name, label, options, value }) {
  const rows = options.map((option) => {
    const id = freshId("field");
    const input = make("input", { type: "radio", id, name, value: option.value, checked: option.value === value });
    const hint = option.hint ? make("span", { class: "hint" }, option.hint) : null;
    return make("div", { class: "choice" }, input, make("label", { for: id }, make("span", {}, option.text), hint));
  });
  return make("fieldset", { class: "field" }, make("legend", {}, label), ...rows);
}

function optionNode(value, text, selected) {
  return make("option", { value, selected: value === selected }, text);
}

function hintNode(hint, id) {
  return hint ? make("p", { class: "hint", id }, hint) : null;
}

function valuesOf(form, fields) {
  const data = new FormData(form);
  return Object.fromEntries(
    fields.map(({ name, type }) => [
      name,
      type === "check" ? String(data.has(name)) : String(data.get(name) ?? "").trim(),
    ]),
  );
}
