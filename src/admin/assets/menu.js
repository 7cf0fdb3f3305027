// One menu for all buttons that have one. It is made when it opens, so that it offers what is possible then.

import { make, setAttribute } from "./dom.js";
import { freshId } from "./state.js";

let menu = null;
let opener = null;
/** Where the window was scrolled to when the menu opened. */
let openedAt = 0;

/**
 * A button that opens a menu.
 * @param {string} label for those who do not see it
 * @param {() => ({text: string, danger?: boolean, act: () => void} | null)[]} items `null` is a line between
 */
export function menuButton(label, items, content = "⋯") {
  const button = make(
    "button",
    { type: "button", class: "menu-button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": label },
    content,
  );
  // A press outside of the menu closes it, and outside is the button, too: its click is not to open it again.
  let wasOpen = false;
  button.addEventListener("pointerdown", () => {
    wasOpen = opener === button;
  });
  button.addEventListener("click", () => {
    if (wasOpen) close();
    else open(button, items());
    wasOpen = false;
  });
  button.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || opener === button) return;
    event.preventDefault();
    open(button, items());
  });
  return button;
}

function open(button, items) {
  close();
  menu ??= build();
  menu.replaceChildren(...items.map(itemNode));
  setAttribute(menu, "aria-label", button.getAttribute("aria-label"));
  opener = button;
  button.setAttribute("aria-expanded", "true");
  button.setAttribute("aria-controls", menu.id);
  openedAt = scrollY;
  menu.showPopover();
  place(button);
  menu.querySelector("button")?.focus();
}

function close() {
  if (menu?.matches(":popover-open")) menu.hidePopover();
}

function build() {
  const node = make("div", { class: "menu", role: "menu", id: freshId("menu"), popover: "auto" });
  node.addEventListener("keydown", onKey);
  node.addEventListener("toggle", (event) => {
    if (event.newState !== "closed" || opener === null) return;
    opener.setAttribute("aria-expanded", "false");
    opener.removeAttribute("aria-controls");
    opener = null;
  });
  // The event of a scroll that came before the menu opened may come after it.
  const onScroll = () => {
    if (scrollY !== openedAt) close();
  };
  addEventListener("scroll", onScroll, { passive: true });
  addEventListener("resize", close);
  document.body.append(node);
  return node;
}

function itemNode(item) {
  if (item === null) return make("div", { class: "menu-line", role: "separator" });
  const button = make("button", { type: "button", role: "menuitem", tabindex: "-1" }, item.text);
  if (item.danger) button.classList.add("danger");
  button.addEventListener("click", () => {
    const from = opener;
    close();
    from?.focus();
    item.act();
  });
  return button;
}

function onKey(event) {
  const items = [...menu.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const moves = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  };
  if (event.key in moves) {
    event.preventDefault();
    items[moves[event.key]]?.focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    const from = opener;
    if (event.key === "Escape") event.preventDefault();
    close();
    from?.focus();
  }
}

/** Below the button and inside the window. Styles are set through the object model, which the policy allows. */
function place(button) {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = anchor.bottom + 4;
  const top = below + height > innerHeight - 8 ? Math.max(8, anchor.top - height - 4) : below;
  const left = Math.min(Math.max(8, anchor.right - width), innerWidth - width - 8);
  menu.style.top = `${top}px`;
  menu.style.left = `${left}px`;
}
