// Who may come in, and what he may do then.

import assert from "node:assert/strict";
import { api, fillIn, hostRow, logIn } from "../kit.mjs";

export const steps = {
  async "a wrong password is told and lets nobody in"({ browser, balancer }) {
    const page = await browser.open();
    await page.goto(balancer.page);
    await page.getByRole("heading", { name: "Director" }).waitFor();
    await browser.picture(page, "login");
    await fillIn(page, balancer.users.full.user, "not the password");
    await page.getByText("Unknown user or wrong password.").waitFor();
    assert.equal(await page.locator("#sections").count(), 0, "the page is not there");
    browser.expected = [/401/];
    const status = await page.evaluate(async () => (await fetch("/api/v1/status")).status);
    assert.equal(status, 401);
    browser.expected = [];
    await page.context().close();
  },

  async "the right password lets in, and logging out ends it"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.getByText(balancer.users.full.user, { exact: true }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Password").waitFor();
    await page.goto(balancer.page);
    await page.getByLabel("Password").waitFor();
    await page.context().close();
  },

  async "who may only look sees no button that changes, and is refused"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.readonly);
    await hostRow(page, "a").waitFor();
    const allowed = [
      "?",
      "Log out",
      "Look",
      "Look again",
      "Difference",
      "Running",
      "Loaded",
      "File",
      "Copy",
      "Close the notice",
    ];
    for (const hash of ["services", "sessions", "configuration", "events", "users"]) {
      await page.goto(`${balancer.page}#${hash}`);
      await page.locator(`#sections a[href="#${hash}"][aria-current]`).waitFor();
      if (hash === "configuration") await page.locator("#config-panel > *").first().waitFor();
      const buttons = await page.locator("button:visible").allInnerTexts();
      const others = buttons.filter((text) => !allowed.includes(text.trim()));
      assert.deepEqual(others, [], `buttons of ${hash}`);
    }
    browser.expected = [/403/];
    const target = "/services/web/groups/blue/hosts/a";
    for (const [method, path, body] of [
      ["PATCH", target, { weight: "7" }],
      ["DELETE", target],
      ["POST", "/config/save"],
    ]) {
      const { status, answer } = await api(page, method, path, body);
      assert.equal(status, 403, `${method} ${path}: ${JSON.stringify(answer)}`);
    }
    browser.expected = [];
    const { answer } = await api(page, "GET", "/status");
    const host = answer.services[0].groups[0].hosts.find(({ name }) => name === "a");
    assert.equal(host.weight, 1, "nothing has changed");
    await page.context().close();
  },
};
