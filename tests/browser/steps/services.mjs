// Services, listeners and groups come and go; the events tell of it.

import assert from "node:assert/strict";
import { Clients, choose, groupSection, hostRow, logIn, until } from "../kit.mjs";

async function fill(page, title, values, submit) {
  const dialog = page.getByRole("dialog", { name: title });
  for (const [label, value] of Object.entries(values)) await dialog.getByLabel(label, { exact: true }).fill(value);
  await dialog.getByRole("button", { name: submit, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

export const steps = {
  async "a service is made from nothing by the page, serves, and is removed"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.getByRole("button", { name: "Add service" }).click();
    await fill(
      page,
      "Add a service",
      { Name: "fresh", "Listens on": balancer.free[0], "Connect timeout": "2s" },
      "Add service",
    );
    const service = page.locator('section.service[data-service="fresh"]');
    await service.getByText("does not serve").waitFor();
    await choose(page, "Actions for service fresh", "Add group…");
    await fill(page, "Add a group to fresh", { Name: "only" }, "Add group");
    await groupSection(page, "fresh", "only").getByRole("button", { name: "Add host" }).click();
    await fill(page, "Add a host to fresh/only", { Address: balancer.hosts.spare, Name: "first" }, "Add host");
    await service.getByText("1/1 up").waitFor();
    const clients = new Clients(balancer.free[0]);
    await clients.hold(2);
    await until(
      "its clients",
      async () => (await hostRow(page, "first").locator(".cell-open .main").innerText()) === "2",
    );
    clients.stop();
    await choose(page, "Actions for service fresh", "Add listener…");
    await fill(page, "Add a listener to fresh", { "Listens on": balancer.free[1] }, "Add listener");
    await service.getByText(balancer.free[1]).waitFor();
    await choose(page, "Actions for service fresh", `Close listener ${balancer.free[0]}…`);
    await fill(page, `Close listener ${balancer.free[0]}?`, {}, "Close listener");
    await until("one listener less", async () => (await service.locator(".listeners li").count()) === 1);
    await choose(page, "Actions for service fresh", "Edit name, timeouts, limit…");
    await fill(page, "Edit service fresh", { "Idle timeout": "7m", "Most open connections": "77" }, "Save changes");
    await service.getByText("idle 7m").waitFor();
    await service.getByText("0 of 77").waitFor();
    await choose(page, "Actions for service fresh", "Remove service…");
    await fill(page, "Remove service fresh?", {}, "Remove service");
    await service.waitFor({ state: "detached" });
    await page.context().close();
  },

  async "what was done is among the events, with who did it"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.keyboard.press("4");
    const event = page.locator(".event", { hasText: "service fresh removed" });
    await event.waitFor();
    assert.match(await event.innerText(), new RegExp(balancer.users.full.user));
    await page.getByLabel("Filter events").fill("no such event");
    await page.getByText("No event matches.").waitFor();
    await page.context().close();
  },

  async "an event comes by itself to who looks at them"({ browser, balancer }) {
    const [one, two] = [await browser.open(), await browser.open()];
    await logIn(one, balancer, balancer.users.full);
    await logIn(two, balancer, balancer.users.readonly);
    await two.keyboard.press("4");
    await two.getByRole("heading", { name: "Events" }).waitFor();
    await choose(one, "Actions for host b", "Edit weight, max, name…");
    await fill(one, "Edit web/green/b", { Weight: "41" }, "Save changes");
    await two.locator(".event", { hasText: "weight=41" }).waitFor({ timeout: 3000 });
    await one.context().close();
    await two.context().close();
  },

  async "the users are listed"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.readonly);
    await page.keyboard.press("5");
    await page.getByRole("row", { name: "look-only (you) look password" }).waitFor();
    await page.getByRole("row", { name: "may-change look and change password" }).waitFor();
    await page.context().close();
  },
};
