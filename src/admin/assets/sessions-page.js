// The page of sessions: who is connected now, found by client, service or host, and cut where that is asked for.

import { change, get, path } from "./api.js";
import { ask } from "./dialog.js";
import { keyed, make, setAttribute, setHidden, setText } from "./dom.js";
import { bytes, count, plural, span } from "./format.js";
import { perform } from "./notice.js";
import { mayChange, state } from "./state.js";

const REFRESH_MS = 2000;
/** Sessions listed at a time, unless more are asked for. */
const LIMITS = ["100", "500", "2000"];

const COLUMNS = [
  ["client", "Client"],
  ["service", "Service"],
  ["host", "Host"],
  ["state", "State"],
  ["age", "Age"],
  ["idle", "Idle"],
  ["up", "From client"],
  ["down", "To client"],
];
const NUMBERS = new Set(["age", "idle", "up", "down"]);

/** The page. */
export class SessionsPage {
  #client = make("input", {
    id: "sessions-client",
    name: "client",
    placeholder: "192.0.2.7 or 192.0.2.7:50112",
    spellcheck: "false",
  });
  #service = make("select", { id: "sessions-service", name: "service" });
  #host = make("select", { id: "sessions-host", name: "host" });
  #limit = make("select", { id: "sessions-limit" }, ...LIMITS.map((limit) => make("option", { value: limit }, limit)));
  #follow = make("input", { type: "checkbox", id: "sessions-follow", checked: true });
  #total = make("p", { class: "quiet", role: "status" });
  #error = make("p", { class: "dialog-error", role: "alert", hidden: true });
  #body = make("tbody", { role: "rowgroup" });
  #table;
  #kill = null;
  #timer = 0;
  #isShown = false;
  #asked = 0;
  #found = 0;
  #choices = "";

  constructor() {
    const form = make(
      "form",
      { class: "tools", role: "search", "aria-label": "Find sessions" },
      labelled("Client", this.#client),
      labelled("Service", this.#service),
      labelled("Host", this.#host),
      labelled("At most", this.#limit),
      make("label", { class: "check", for: "sessions-follow" }, this.#follow, "Follow"),
      make("button", { type: "submit" }, "Look"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#look();
    });
    form.addEventListener("change", (event) => {
      if (event.target === this.#service) {
        this.#host.value = "";
        this.#fillHosts();
      }
      this.#look();
    });
    if (mayChange()) {
      this.#kill = make("button", { type: "button", class: "danger last" }, "Cut all that match…");
      this.#kill.addEventListener("click", () => this.#killAll());
      form.append(this.#kill);
    }
    this.#table = buildTable(this.#body);
    this.node = make("div", {}, make("h1", {}, "Sessions"), form, this.#error, this.#total, this.#table);
  }

  /** Comes into view; `query` may name a service and a host. */
  show(query) {
    this.#isShown = true;
    this.#fillServices();
    if (query.has("service")) {
      this.#service.value = query.get("service");
      this.#fillHosts();
      this.#host.value = query.get("host") ?? "";
    }
    this.#look();
  }

  hide() {
    this.#isShown = false;
    clearTimeout(this.#timer);
  }

  find() {
    this.#client.focus();
    this.#client.select();
  }

  /** Services and hosts may have come and gone. */
  update() {
    this.#fillServices();
  }

  #fillServices() {
    const services = state.snapshot?.services ?? [];
    const choices = JSON.stringify(
      services.map(({ name, groups }) => [
        name,
        groups.map((group) => [group.name, group.hosts.map((host) => host.name)]),
      ]),
    );
    if (choices === this.#choices) return;
    this.#choices = choices;
    fill(this.#service, ["any", ...services.map(({ name }) => name)], (name, index) => (index === 0 ? "" : name));
    this.#fillHosts();
  }

  #fillHosts() {
    const service = state.snapshot?.services.find(({ name }) => name === this.#service.value);
    const names = (service?.groups ?? []).flatMap((group) => group.hosts.map((host) => `${group.name}/${host.name}`));
    fill(this.#host, [service ? "any" : "choose a service first", ...new Set(names)], (name, index) =>
      index === 0 ? "" : name,
    );
    this.#host.disabled = !service;
  }

  #query() {
    const [group, ...host] = this.#host.value.split("/");
    const place = this.#host.value === "" ? {} : { group, host: host.join("/") };
    return { client: this.#client.value.trim(), service: this.#service.value, ...place };
  }

  async #look() {
    clearTimeout(this.#timer);
    this.#asked += 1;
    const number = this.#asked;
    try {
      const list = await get("/sessions", { ...this.#query(), limit: this.#limit.value });
      // An answer to an older question says nothing any more.
      if (number !== this.#asked) return;
      this.#show(list);
      setHidden(this.#error, true);
    } catch (refusal) {
      if (number !== this.#asked) return;
      setText(this.#error, refusal.message);
      setHidden(this.#error, refusal.kind === "lost");
    }
    if (this.#isShown && this.#follow.checked) this.#timer = setTimeout(() => this.#look(), REFRESH_MS);
  }

  #show({ total, sessions }) {
    this.#found = total;
    const some = sessions.length < total ? `, ${count(sessions.length)} of them below` : "";
    setText(this.#total, `${plural(total, "session")}${some}`);
    setHidden(this.#table, sessions.length === 0);
    if (this.#kill) this.#kill.disabled = total === 0 || Object.values(this.#query()).every((value) => value === "");
    keyed(
      this.#body,
      sessions,
      ({ name }) => name,
      (session) => new SessionRow(session, () => this.#look()),
    );
  }

  async #killAll() {
    const query = this.#query();
    const said = Object.entries(query)
      .filter(([, value]) => value !== "")
      .map(([name, value]) => `${name} ${value}`);
    await ask({
      title: `Cut ${plural(this.#found, "session")}?`,
      text: [`All sessions of ${said.join(", ")} are reset on both sides, those that come meanwhile, too.`],
      label: "Cut sessions",
      danger: true,
      submit: async () => killed(await change("DELETE", "/sessions", undefined, query)),
    });
    this.#look();
  }
}

/** One session. */
class SessionRow {
  #cells = {};

  constructor(session, changed) {
    const cells = COLUMNS.map(([name, label]) => {
      this.#cells[name] = make("td", {
        role: "cell",
        class: NUMBERS.has(name) ? "number" : `cell-${name}`,
        data: { label },
      });
      return this.#cells[name];
    });
    if (mayChange()) {
      const cut = make(
        "button",
        { type: "button", class: "small", "aria-label": `Cut the session of ${session.client}` },
        "Cut",
      );
      cut.addEventListener("click", async () => {
        await perform(async () => killed(await change("DELETE", path("sessions", session.name))));
        changed();
      });
      cells.push(make("td", { role: "cell", class: "cell-actions" }, cut));
    }
    this.node = make("tr", { role: "row" }, ...cells);
  }

  update(session) {
    setText(this.#cells.client, session.client);
    setText(this.#cells.service, session.service || "gone");
    setText(this.#cells.host, session.host ? `${session.group}/${session.host}` : (session.host_addr ?? "none yet"));
    setAttribute(this.#cells.host, "title", session.host_addr);
    setText(this.#cells.state, session.state);
    setText(this.#cells.age, span(whole(session.age_ms)));
    setText(this.#cells.idle, span(whole(session.idle_ms)));
    setText(this.#cells.up, bytes(session.up));
    setText(this.#cells.down, bytes(session.down));
  }
}

function buildTable(body) {
  const heads = COLUMNS.map(([name, label]) => {
    return make("th", { scope: "col", role: "columnheader", class: NUMBERS.has(name) ? "number" : null }, label);
  });
  if (mayChange())
    heads.push(make("th", { scope: "col", role: "columnheader" }, make("span", { class: "unseen" }, "Actions")));
  const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads));
  return make("table", { class: "list", role: "table", "aria-label": "Sessions", hidden: true }, head, body);
}

function labelled(label, input) {
  return make("div", { class: "labelled" }, make("label", { for: input.id }, label), input);
}

/** Options of these texts; the one that was chosen stays chosen, if it is still there. */
function fill(select, texts, valueOf) {
  const before = select.value;
  select.replaceChildren(...texts.map((text, index) => make("option", { value: valueOf(text, index) }, text)));
  select.value = before;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

function killed(answer) {
  return `${plural(answer?.killed ?? 0, "session")} cut.`;
}

/** Milliseconds matter below a second only. */
function whole(millis) {
  return millis < 1000 ? millis : Math.floor(millis / 1000) * 1000;
}
