// What the steps share: the browser, what must never happen in it, and the balancer behind it.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import readline from "node:readline";
import { chromium } from "playwright-core";

/** How long a step waits for something that should happen at once. */
export const PATIENCE_MS = 15_000;

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };
export const NARROW = { width: 360, height: 740 };

/** Waits until `condition` returns something, and returns that. */
export async function until(what, condition, within = PATIENCE_MS) {
  const deadline = Date.now() + within;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The test that started this program: it starts and stops the balancer when asked. */
export class Balancer {
  #answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

  constructor(plan) {
    Object.assign(this, plan);
  }

  /** Asks for `stop` or `start`, and waits until it is done. */
  async ask(word) {
    process.stdout.write(`@${word}\n`);
    const { value, done } = await this.#answers.next();
    assert.ok(!done, `nobody answered ${word}`);
    Object.assign(this, JSON.parse(value));
  }
}

/** Clients of the balancer: each says something, and stays until it is told to go. */
export class Clients {
  #sockets = new Set();
  #timer = 0;
  /** Connections that ended without being told to. */
  cut = 0;

  constructor(address) {
    const at = address.lastIndexOf(":");
    this.host = address.slice(0, at);
    this.port = Number(address.slice(at + 1));
  }

  /** Opens so many that stay. */
  async hold(count) {
    await Promise.all(Array.from({ length: count }, () => this.#open()));
  }

  /** From now on opens so many a second, each for a moment. */
  flow(perSecond) {
    const each = 1000 / perSecond;
    this.#timer = setInterval(async () => {
      const socket = await this.#open().catch(() => null);
      setTimeout(() => this.#end(socket), 300);
    }, each);
  }

  get open() {
    return this.#sockets.size;
  }

  stop() {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) this.#end(socket);
  }

  #open() {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, this.host, () => {
        socket.write("x".repeat(2000));
        this.#sockets.add(socket);
        resolve(socket);
      });
      socket.on("data", () => {});
      socket.on("error", reject);
      socket.on("close", () => {
        if (this.#sockets.delete(socket)) this.cut += 1;
      });
    });
  }

  #end(socket) {
    if (socket && this.#sockets.delete(socket)) socket.destroy();
  }
}

/** A browser that keeps an account of what must not happen. */
export class Browser {
  #browser;
  #origin;
  #screenshots;
  /** What went wrong in any page. */
  wrong = [];
  /** Messages that a step expects the browser to print, because it makes them happen. */
  expected = [];

  static async start({ page, chromium: executablePath, screenshots }) {
    const started = new Browser();
    started.#origin = new URL(page).origin;
    started.#screenshots = screenshots;
    if (screenshots) mkdirSync(screenshots, { recursive: true });
    started.#browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
    return started;
  }

  /** A window of its own, with cookies of its own. */
  async open(options = {}) {
    const context = await this.#browser.newContext({ viewport: DESKTOP, colorScheme: "light", ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    // What a name that became markup would call.
    await context.addInitScript(() => {
      window.alarm = () => {
        window.alarmed = true;
      };
    });
    const page = await context.newPage();
    this.#watch(page);
    return page;
  }

  #watch(page) {
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      const text = `${message.text()} ${message.location().url}`;
      if (!this.expected.some((pattern) => pattern.test(text))) this.wrong.push(`console: ${text}`);
    });
    page.on("pageerror", (error) => this.wrong.push(`error in the page: ${error.stack}`));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${this.#origin}/`) && !url.startsWith("data:")) this.wrong.push(`request to ${url}`);
    });
  }

  /** Takes a picture, if somebody wants pictures. */
  async picture(page, name, options = {}) {
    if (!this.#screenshots) return;
    await page.screenshot({ path: path.join(this.#screenshots, `${name}.png`), ...options });
  }

  /** Takes pictures of all windows: for when something failed. */
  async pictureAll(name) {
    const pages = this.#browser.contexts().flatMap((context) => context.pages());
    for (const [number, page] of pages.entries()) await this.picture(page, `${name}-${number}`);
  }

  async close() {
    await this.#browser.close();
  }
}

/** Logs in, and waits for the first page. */
export async function logIn(page, { page: base }, { user, password }) {
  await page.goto(base);
  await fillIn(page, user, password);
  await page.locator("#link", { hasText: "Live" }).waitFor();
  await page.locator("section.service").first().waitFor();
}

/** Fills the form to log in. */
export async function fillIn(page, user, password) {
  await page.getByLabel("User").fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** A host's row. */
export function hostRow(page, host) {
  return page.locator(`tr.host[data-host="${quoted(host)}"]`);
}

/** A group's section. */
export function groupSection(page, service, group) {
  return page.locator(
    `section.service[data-service="${quoted(service)}"] section.group[data-group="${quoted(group)}"]`,
  );
}

/** A cell of a host's row, as `[main, more]`. */
export async function cell(page, host, name) {
  const found = hostRow(page, host).locator(`.cell-${name}`);
  return [await found.locator(".main").innerText(), await found.locator(".more").innerText()].map((text) =>
    text.trim(),
  );
}

/** Chooses an item of a menu. */
export async function choose(page, menu, item) {
  await page.getByRole("button", { name: menu, exact: true }).click();
  await page.getByRole("menuitem", { name: item }).click();
}

/** Waits for a notice with this in it, and closes it. */
export async function notice(page, text) {
  const found = page.locator(".notice", { hasText: text }).first();
  await found.waitFor();
  await found.getByRole("button").click();
}

/** Asks the API as the page would. Returns status and answer. */
export function api(page, method, target, body) {
  return page.evaluate(
    async ([method, target, body]) => {
      const who = await (await fetch("/api/v1/whoami")).json();
      const headers = { "Content-Type": "application/json", "X-Director-Token": who.token };
      const response = await fetch(`/api/v1${target}`, { method, headers, body: body && JSON.stringify(body) });
      const text = await response.text();
      const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
      return { status: response.status, answer: isJson ? JSON.parse(text) : text };
    },
    [method, target, body],
  );
}

function quoted(text) {
  return text.replace(/["\\]/g, "\\$&");
}
