// The page: who is there, which part of it is shown, and what the balancer tells.

import { whoami } from "./api.js";
import { Banners } from "./banners.js";
import { ConfigurationPage } from "./configuration-page.js";
import { setAttribute, setText } from "./dom.js";
import { EventsPage } from "./events-page.js";
import { HostPage } from "./host-page.js";
import { isTroubled } from "./host-state.js";
import { listen, showShortcuts } from "./keys.js";
import { Live } from "./live.js";
import { told } from "./notice.js";
import { ServicesPage } from "./services-page.js";
import { SessionsPage } from "./sessions-page.js";
import { state } from "./state.js";
import { UsersPage } from "./users-page.js";

const main = document.getElementById("main");
const announcer = document.getElementById("announcer");
/** What there is to see, by the name in the address. */
const pages = new Map();
let banners;
let current = null;
/** Whether something came that could not be shown, because nobody was looking. */
let isStale = false;

async function begin() {
  try {
    state.who = await whoami();
  } catch (refusal) {
    if (refusal.status === 401) leave();
    else setTimeout(begin, 2000);
    return;
  }
  const { who } = state;
  document.documentElement.dataset.access = who.full ? "full" : "readonly";
  setText(document.getElementById("who"), who.full ? who.user : `${who.user} (read-only)`);
  pages.set("services", new ServicesPage());
  pages.set("host", new HostPage());
  pages.set("sessions", new SessionsPage());
  pages.set("configuration", new ConfigurationPage());
  pages.set("events", new EventsPage());
  pages.set("users", new UsersPage());
  state.live = new Live(who.refresh_ms);
  banners = new Banners();
  follow(state.live);
  setUpTheme();
  setUpKeys();
  addEventListener("hashchange", route);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isStale) render();
  });
  state.live.start();
  route();
}

function follow(live) {
  live.addEventListener("snapshot", ({ detail }) => {
    state.snapshot = detail;
    state.history.pace = live.link === "poll" ? live.refresh : 1000;
    state.history.take(detail, performance.now());
    if (document.hidden) isStale = true;
    else render();
    pages.get("events").catchUp();
  });
  live.addEventListener("change", ({ detail }) => pages.get("events").take(detail));
  live.addEventListener("away", leave);
  let wasLost = false;
  live.addEventListener("link", ({ detail }) => {
    banners.tick();
    if (wasLost && detail !== "lost") told("The connection to the balancer is back.");
    wasLost = detail === "lost";
  });
}

/** The balancer does not know who asks: it shows the form to log in. */
function leave() {
  try {
    sessionStorage.setItem("director-page", location.hash);
  } catch {
    // It starts at the first page then.
  }
  location.replace("/");
}

function render() {
  isStale = false;
  banners.update();
  current?.page.update?.();
  const down = state.snapshot.services
    .flatMap((service) => service.groups.filter((group) => group.enabled))
    .reduce((sum, group) => sum + group.hosts.filter(isTroubled).length, 0);
  const title = current?.page.title ?? current?.section ?? "Director";
  document.title = down > 0 ? `(${down} down) ${title} · Director` : `${title} · Director`;
  announce(down);
  main.removeAttribute("aria-busy");
}

let announced = null;

/** Says when the number of hosts that are down has changed, and nothing else that moves by itself. */
function announce(down) {
  if (announced !== null && announced !== down) {
    announcer.textContent = down === 0 ? "All hosts are up." : `${down} ${down === 1 ? "host is" : "hosts are"} down.`;
  }
  announced = down;
}

function route() {
  const hash = location.hash.slice(1) || remembered();
  const [name, query = ""] = hash.split("?");
  const page = pages.get(name) ?? pages.get("services");
  const shown = page.section ?? (pages.has(name) ? name : "services");
  const isOther = current?.page !== page;
  if (isOther) current?.page.hide?.();
  for (const link of document.querySelectorAll("#sections a")) {
    const isHere = link.hash === `#${shown}`;
    setAttribute(link, "aria-current", isHere ? "page" : null);
    if (isHere) current = { page, section: link.textContent.trim() };
  }
  if (isOther) {
    main.replaceChildren(page.node);
    scrollTo(0, 0);
  }
  page.show?.(new URLSearchParams(query));
  if (state.snapshot) render();
}

/** Where the user was when he had to log in again. */
function remembered() {
  try {
    const hash = sessionStorage.getItem("director-page") ?? "";
    sessionStorage.removeItem("director-page");
    return hash.slice(1);
  } catch {
    return "";
  }
}

function setUpTheme() {
  const select = document.getElementById("theme");
  select.value = window.directorTheme.chosen();
  select.addEventListener("change", () => window.directorTheme.choose(select.value));
}

function setUpKeys() {
  const links = [...document.querySelectorAll("#sections a")];
  const themes = ["system", "light", "dark"];
  const shortcuts = [
    ...links.map((link, index) => ({ key: String(index + 1), text: link.textContent.trim(), act: () => link.click() })),
    { key: "/", text: "Find", act: () => current.page.find?.() },
    {
      key: "t",
      text: "Light, dark, or as the system",
      act() {
        const select = document.getElementById("theme");
        select.value = themes[(themes.indexOf(select.value) + 1) % themes.length];
        select.dispatchEvent(new Event("change"));
      },
    },
    { key: "?", text: "These shortcuts", act: () => showShortcuts(shortcuts) },
    { keys: ["Esc"], text: "Close a dialog or a menu, empty a filter" },
    { keys: ["↑", "↓"], text: "Move in a menu" },
  ];
  listen(shortcuts);
  document.getElementById("shortcuts").addEventListener("click", () => showShortcuts(shortcuts));
  // The part of the address after "#" is the page's name.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
}

begin();
