// The page of services: all together, the filter, and each service.

import { keyed, make, setHidden, setText } from "./dom.js";
import { count, plural } from "./format.js";
import { filter } from "./filter.js";
import { nextTurn } from "./host-row.js";
import { isTaking, isTroubled } from "./host-state.js";
import { addService } from "./service-actions.js";
import { ServiceView, trafficCharts, updateCharts } from "./service-view.js";
import { mayChange, state } from "./state.js";

/** The page. */
export class ServicesPage {
  #search = make("input", {
    type: "search",
    id: "filter",
    placeholder: "Filter hosts",
    "aria-label": "Filter hosts",
    "aria-keyshortcuts": "/",
  });
  #only = make("input", { type: "checkbox", id: "only-troubled" });
  #matches = make("span", { class: "quiet", role: "status" });
  #charts = trafficCharts();
  #health = make("p", { class: "health-value" });
  #healthMore = make("p", { class: "quiet" });
  #services = make("div", { class: "services" });
  #empty = make("p", { class: "empty", hidden: true }, "No service is configured.");

  constructor() {
    const health = make(
      "div",
      { class: "chart health" },
      make("p", { class: "chart-title" }, "Hosts up"),
      this.#health,
      this.#healthMore,
    );
    const overview = make(
      "section",
      { class: "overview charts", "aria-label": "All services together" },
      health,
      ...Object.values(this.#charts).map(({ node }) => node),
    );
    const only = make("label", { class: "check", for: "only-troubled" }, this.#only, "Only what is not up");
    const tools = make("div", { class: "tools", role: "search" }, this.#search, only, this.#matches);
    if (mayChange()) {
      const add = make("button", { type: "button", class: "last" }, "Add service");
      add.addEventListener("click", () => addService());
      tools.append(add);
    }
    const title = make("h1", { class: "unseen" }, "Services");
    this.node = make("div", {}, title, overview, tools, this.#services, this.#empty);
    this.#search.addEventListener("input", () => {
      filter.look(this.#search.value);
      this.update();
    });
    this.#search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#search.value === "") return;
      event.preventDefault();
      this.#search.value = "";
      filter.look("");
      this.update();
    });
    this.#only.addEventListener("change", () => {
      filter.onlyTroubled = this.#only.checked;
      this.update();
    });
  }

  /** Goes to where hosts are looked for. */
  find() {
    this.#search.focus();
    this.#search.select();
  }

  update() {
    const { snapshot, history } = state;
    if (snapshot === null) return;
    nextTurn();
    this.#updateHealth(snapshot);
    const open = snapshot.services.reduce((sum, service) => sum + service.open, 0);
    updateCharts(this.#charts, history.whole, open);
    const views = keyed(
      this.#services,
      snapshot.services,
      ({ name }) => name,
      (service) => new ServiceView(service),
    );
    const shown = views.reduce((sum, view) => sum + view.shown, 0);
    setText(this.#matches, filter.isOn ? `${plural(shown, "host")}` : "");
    setHidden(this.#empty, snapshot.services.length > 0);
  }

  /** Of the groups that serve: what waits is no trouble. */
  #updateHealth(snapshot) {
    const hosts = snapshot.services
      .flatMap((service) => service.groups.filter((group) => group.enabled))
      .flatMap((group) => group.hosts);
    const taking = hosts.filter(isTaking).length;
    const troubled = hosts.filter(isTroubled).length;
    const others = hosts.length - taking - troubled;
    setText(this.#health, `${count(taking)} of ${count(hosts.length)}`);
    this.#health.dataset.level = troubled > 0 ? "bad" : others > 0 ? "warn" : "good";
    const more = [
      troubled > 0 ? `${count(troubled)} down` : "",
      others > 0 ? `${count(others)} taking no new clients` : "",
    ];
    setText(this.#healthMore, more.filter(Boolean).join(", ") || "in the groups that serve");
  }
}
