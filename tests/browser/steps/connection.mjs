// When the balancer is not reached, or only half.

import assert from "node:assert/strict";
import { Clients, cell, fillIn, hostRow, logIn, until } from "../kit.mjs";

/** A balancer that is gone is missed within this time. */
const MISSED_MS = 3000;
/** One that hangs. */
const HANGING_MISSED_MS = 12_000;

/** What the browser prints about requests that nobody answered. */
const UNANSWERED = [/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|ERR_NETWORK|ERR_FAILED|401/];

export const steps = {
  async "where the stream does not come through, the page asks in intervals"({ browser, balancer }) {
    const page = await browser.open();
    browser.expected = UNANSWERED;
    await page.route("**/api/v1/stream", (route) => route.abort());
    await logIn(page, balancer, balancer.users.full);
    await page.getByText("Live, by polling").waitFor();
    const clients = new Clients(balancer.listen);
    clients.flow(40);
    await until("traffic", async () => Number.parseFloat((await cell(page, "b", "rate"))[0]) > 0);
    clients.stop();
    browser.expected = [];
    await page.context().close();
  },

  async "a balancer that hangs is told, and the page goes on when it does"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    const banner = page.locator('[data-banner="lost"]');
    browser.expected = UNANSWERED;
    process.kill(balancer.pid, "SIGSTOP");
    try {
      await banner
        .getByText(/No connection to the balancer since .*ago: .*next try|trying now/)
        .waitFor({ timeout: HANGING_MISSED_MS });
    } finally {
      process.kill(balancer.pid, "SIGCONT");
    }
    await banner.waitFor({ state: "hidden", timeout: 30_000 });
    await page.locator("#link", { hasText: /^Live$/ }).waitFor();
    browser.expected = [];
    await page.context().close();
  },

  async "a balancer that is gone is told with the time, and the page is there again when it is"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.keyboard.press("4");
    browser.expected = UNANSWERED;
    const start = Date.now();
    await balancer.ask("stop");
    const banner = page.locator('[data-banner="lost"]');
    await banner.getByText(/since \d\d:\d\d:\d\d, .* ago: /).waitFor();
    console.log(`figure: a balancer that is gone is missed after ${Date.now() - start} ms, its end included`);
    assert.ok(Date.now() - start < MISSED_MS, `after ${Date.now() - start} ms`);
    await page.locator("#link", { hasText: "Connection lost" }).waitFor();
    await browser.picture(page, "lost");
    await balancer.ask("start");
    // It forgot who was logged in.
    await page.getByLabel("Password").waitFor({ timeout: 20_000 });
    await fillIn(page, balancer.users.full.user, balancer.users.full.password);
    await page.getByRole("heading", { name: "Events" }).waitFor();
    await page.locator("#link", { hasText: /^Live$/ }).waitFor();
    await page.keyboard.press("1");
    await hostRow(page, "a").waitFor();
    browser.expected = [];
    await page.context().close();
  },
};
