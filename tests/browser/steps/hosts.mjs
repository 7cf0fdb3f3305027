// What operators do with hosts and groups, and what they see of traffic.

import assert from "node:assert/strict";
import { Clients, cell, choose, groupSection, hostRow, logIn, notice, until } from "../kit.mjs";

/** Within this time traffic is to be seen. */
const SEEN_MS = 2000;

export const steps = {
  async "a host is added, and its traffic is seen within two seconds"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await groupSection(page, "web", "blue").getByRole("button", { name: "Add host" }).click();
    const dialog = page.getByRole("dialog", { name: "Add a host to web/blue" });
    await dialog.getByLabel("Address").fill(balancer.hosts.spare);
    await dialog.getByLabel("Name", { exact: true }).fill("added");
    await dialog.getByLabel("Weight").fill("2");
    await dialog.getByRole("button", { name: "Add host" }).click();
    await dialog.waitFor({ state: "detached" });
    await notice(page, "added");
    await hostRow(page, "added").getByText("up", { exact: true }).waitFor();
    assert.deepEqual(await cell(page, "added", "weight"), ["2", ""]);
    const clients = new Clients(balancer.listen);
    await clients.hold(6);
    const start = Date.now();
    clients.flow(40);
    const moves = async () =>
      Number.parseFloat((await cell(page, "added", "rate"))[0]) > 0 &&
      Number((await cell(page, "added", "open"))[0]) > 0;
    await until("traffic of the new host", moves);
    const seen = Date.now() - start;
    console.log(`figure: traffic of a new host is seen after ${seen} ms`);
    assert.ok(seen < SEEN_MS, `seen after ${seen} ms`);
    const service = page.locator('section.service[data-service="web"]');
    await until("bytes of the service", async () =>
      /[1-9].*\sk?B\/s/.test(await service.locator(".chart-value").nth(2).innerText()),
    );
    await until("a line in a chart", async () =>
      ((await service.locator(".chart-line").first().getAttribute("d")) ?? "").includes("L"),
    );
    clients.stop();
    await page.context().close();
  },

  async "weight and max are changed, and what is wrong is told in the dialog"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await choose(page, "Actions for host added", "Edit weight, max, name…");
    const dialog = page.getByRole("dialog", { name: "Edit web/blue/added" });
    browser.expected = [/ 4\d\d /];
    await dialog.getByLabel("Weight").fill("99999999999");
    await dialog.getByRole("button", { name: "Save changes" }).click();
    await dialog.getByRole("alert").getByText("weight").waitFor();
    browser.expected = [];
    await dialog.getByLabel("Weight").fill("3");
    await dialog.getByLabel("Most open connections").fill("500");
    await dialog.getByRole("button", { name: "Save changes" }).click();
    await dialog.waitFor({ state: "detached" });
    await until("the new weight and max", async () => {
      const [weight, max] = [await cell(page, "added", "weight"), await cell(page, "added", "open")];
      return weight[0] === "3" && max[1] === "of 500";
    });
    await page.context().close();
  },

  async "a host is drained, put back, taken out of service, and removed"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    const state = (word) => hostRow(page, "added").locator(".word").getByText(word, { exact: true }).waitFor();
    await choose(page, "Actions for host added", "Drain: no new clients");
    await state("drained");
    const before = Number((await cell(page, "added", "rate"))[1]);
    const clients = new Clients(balancer.listen);
    await clients.hold(8);
    await until("the clients at the other host", async () => Number((await cell(page, "a", "open"))[0]) >= 8);
    assert.equal(Number((await cell(page, "added", "rate"))[1]), before, "a drained host got a client");
    clients.stop();
    await choose(page, "Actions for host added", "Put back into service");
    await state("up");
    await choose(page, "Actions for host added", "Take out of service");
    await state("out of service");
    await choose(page, "Actions for host added", "Remove host…");
    const dialog = page.getByRole("dialog", { name: "Remove host added?" });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal(await hostRow(page, "added").count(), 1, "cancelled");
    await choose(page, "Actions for host added", "Remove host…");
    await dialog.getByRole("button", { name: "Remove host" }).click();
    await hostRow(page, "added").waitFor({ state: "detached" });
    await page.context().close();
  },

  async "draining the last host that takes clients is asked about"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await choose(page, "Actions for host a", "Drain: no new clients");
    const dialog = page.getByRole("dialog", { name: "Stop new clients to a?" });
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.deepEqual((await cell(page, "a", "state"))[0], "up");
    await page.context().close();
  },

  async "a host that is down says why and when it is tried, and can be retried"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    const clients = new Clients(balancer.listens.failing);
    await clients.hold(2);
    await hostRow(page, "dead").locator(".word").getByText("down", { exact: true }).waitFor();
    await hostRow(page, "dead")
      .getByText(/connection refused · for .* · next try/)
      .waitFor();
    await until("the number in the title", async () => (await page.title()).startsWith("(1 down)"));
    await choose(page, "Actions for host dead", "Retry now");
    await notice(page, "taken back");
    clients.stop();
    await page.context().close();
  },

  async "the enabled group is switched"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    const green = groupSection(page, "web", "green");
    await green.getByRole("button", { name: "Enable" }).click();
    const dialog = page.getByRole("dialog", { name: "Let green serve web?" });
    await dialog.getByRole("button", { name: "Enable group" }).click();
    await dialog.waitFor({ state: "detached" });
    await green.getByText("serves", { exact: true }).waitFor();
    await groupSection(page, "web", "blue").getByText("waits", { exact: true }).waitFor();
    const clients = new Clients(balancer.listen);
    await clients.hold(3);
    await until("the clients at the other group", async () => Number((await cell(page, "b", "open"))[0]) >= 3);
    clients.stop();
    await page.context().close();
  },

  async "the scheduler is changed"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await choose(page, "Actions for group blue", "Change scheduler, stickiness or name…");
    const dialog = page.getByRole("dialog", { name: "Edit group web/blue" });
    await dialog.getByLabel("p2c").check();
    await dialog.getByRole("button", { name: "Save changes" }).click();
    await dialog.waitFor({ state: "detached" });
    await groupSection(page, "web", "blue").getByText("p2c").waitFor();
    await page.context().close();
  },

  async "hosts are found by name, and those that are not up"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.keyboard.press("/");
    await page.keyboard.type("green b");
    await until(
      "only what matches",
      async () => (await page.locator("tr.host").filter({ visible: true }).count()) === 1,
    );
    await hostRow(page, "b").waitFor();
    await page.keyboard.press("Escape");
    await hostRow(page, "a").waitFor();
    await page.context().close();
  },
};
