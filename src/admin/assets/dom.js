// Builds and updates elements. Text from the balancer only ever becomes text nodes and attribute values here, so that no
// name can become markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. `attributes`: `class`, `on` (listeners by event), `data` (by name); others as they are, where `true`
 * is an empty attribute and `false`, `null` and `undefined` none. Children are elements or texts.
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** As `make`, for SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A symbol of `icon.svg`'s kind: one path in a 16×16 box, hidden from screen readers. */
export function symbol(path) {
  const box = { viewBox: "0 0 16 16", class: "symbol", "aria-hidden": "true", focusable: "false" };
  return draw("svg", box, draw("path", { d: path }));
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(node.dataset, value);
    } else {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets the text if it is another one: writing the same would cost a layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute if it differs; `null` takes it away. */
export function setAttribute(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) {
    node.setAttribute(name, value);
  }
}

/** Shows or hides. */
export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** The views of a parent's children, by key. */
const known = new WeakMap();

/**
 * Makes the children of `parent` show `items`, in their order: a view is made for a key that is new, moved where the order
 * changed, and removed when its key is gone. Everything else keeps its element, and with it focus and selection.
 * @param {Element} parent has no other children
 * @param {(item: any) => string} keyOf unique
 * @param {(item: any) => {node: Element, update: (item: any) => void, drop?: () => void}} create
 * @returns {any[]} the views, in the order of the items
 */
export function keyed(parent, items, keyOf, create) {
  const views = known.get(parent) ?? new Map();
  known.set(parent, views);
  const keys = items.map(keyOf);
  const wanted = new Set(keys);
  for (const [key, view] of views) {
    if (wanted.has(key)) continue;
    view.drop?.();
    view.node.remove();
    views.delete(key);
  }
  let next = parent.firstElementChild;
  return items.map((item, index) => {
    let view = views.get(keys[index]);
    if (!view) {
      view = create(item);
      views.set(keys[index], view);
    }
    if (view.node === next) {
      next = next.nextElementSibling;
    } else {
      parent.insertBefore(view.node, next);
    }
    view.update(item);
    return view;
  });
}

/** Tells which of the observed elements are on the screen or close to it. */
export class Sight {
  #seen = new WeakSet();
  #observer;

  /** `onSight` is called with an element that comes into sight. */
  constructor(onSight) {
    this.#observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (!isIntersecting) {
            this.#seen.delete(target);
          } else if (!this.#seen.has(target)) {
            this.#seen.add(target);
            onSight(target);
          }
        }
      },
      { rootMargin: "200px" },
    );
  }

  observe(node) {
    this.#observer.observe(node);
  }

  forget(node) {
    this.#observer.unobserve(node);
    this.#seen.delete(node);
  }

  has(node) {
    return this.#seen.has(node);
  }
}
