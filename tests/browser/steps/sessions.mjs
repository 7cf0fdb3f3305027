// Sessions: found, and cut.

import assert from "node:assert/strict";
import { Clients, logIn, notice, until } from "../kit.mjs";

export const steps = {
  async "sessions are listed, found by client, and one is cut"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    const clients = new Clients(balancer.listen);
    await clients.hold(5);
    await page.keyboard.press("2");
    const rows = page.locator("main tbody tr");
    await page.getByLabel("Service", { exact: true }).selectOption("web");
    await until("five sessions", async () => (await rows.count()) === 5);
    assert.match(await rows.first().innerText(), /green\/b/);
    const client = await rows.first().locator(".cell-client").innerText();
    await page.getByLabel("Client", { exact: true }).fill(client);
    await page.keyboard.press("Enter");
    await until("one session", async () => (await rows.count()) === 1);
    await rows.first().getByRole("button", { name: "Cut" }).click();
    await notice(page, "1 session cut");
    await until("its client to be cut off", () => clients.cut === 1);
    await until("none of that client", async () => (await rows.count()) === 0);
    clients.stop();
    await page.context().close();
  },

  async "all sessions of a host are cut after a question"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    const clients = new Clients(balancer.listen);
    await clients.hold(4);
    await page.goto(`${balancer.page}#sessions?${new URLSearchParams({ service: "web", host: "green/b" })}`);
    await page.getByText("4 sessions", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Cut all that match…" }).click();
    await page.getByRole("dialog", { name: "Cut 4 sessions?" }).getByRole("button", { name: "Cut sessions" }).click();
    await notice(page, "4 sessions cut");
    await until("all clients to be cut off", () => clients.cut === 4);
    await page.context().close();
  },
};
