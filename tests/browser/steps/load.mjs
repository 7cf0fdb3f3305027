// Many hosts: what an update costs the browser.

import assert from "node:assert/strict";
import { Clients, logIn, until } from "../kit.mjs";

const SECONDS = 8;
/** Processor time of scripts a second, with an update in each. */
const SCRIPT_MS = 30;

export const steps = {
  async "a thousand hosts are updated every second in little time"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await until("all rows", async () => (await page.locator("tr.host").count()) === balancer.count);
    const clients = new Clients(balancer.listen);
    clients.flow(200);
    const session = await page.context().newCDPSession(page);
    // Processor time: what else runs on the machine is not the page's fault.
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const take = async () => {
      const { metrics } = await session.send("Performance.getMetrics");
      return Object.fromEntries(metrics.map(({ name, value }) => [name, value * 1000]));
    };
    await page.evaluate(() => {
      window.updates = 0;
      const count = () => {
        window.updates += 1;
      };
      new MutationObserver(count).observe(document.querySelector("main"), {
        subtree: true,
        childList: true,
        characterData: true,
      });
    });
    const before = await take();
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
    const after = await take();
    clients.stop();
    const updates = await page.evaluate(() => window.updates);
    assert.ok(updates >= SECONDS - 2, `${updates} updates in ${SECONDS} seconds`);
    const perSecond = (name) => (after[name] - before[name]) / SECONDS;
    for (const name of ["ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration"]) {
      console.log(`figure: ${name} with ${balancer.count} hosts: ${perSecond(name).toFixed(1)} ms a second`);
    }
    assert.ok(perSecond("ScriptDuration") < SCRIPT_MS, `${perSecond("ScriptDuration")} ms of script a second`);
    await browser.picture(page, "thousand");
    await page.context().close();
  },

  async "among a thousand hosts one is found while typing"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.keyboard.press("/");
    await page.keyboard.type("host-777");
    await until("one row", async () => (await page.locator("tr.host").count()) === 1);
    await page.context().close();
  },
};
