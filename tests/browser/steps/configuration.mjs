// Saving, loading on probation, confirming and going back.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { api, choose, groupSection, logIn, until } from "../kit.mjs";

async function load(page, label) {
  await page.goto(`${page.url().split("#")[0]}#configuration`);
  await page.getByRole("button", { name: "Load the file…" }).click();
  const dialog = page.getByRole("dialog", { name: "Load the file again?" });
  await dialog.getByRole("combobox").selectOption({ label });
  await dialog.getByRole("button", { name: "Load the file" }).click();
  await dialog.waitFor({ state: "detached" });
}

/** The scheduler of the first group, as it runs. */
async function scheduler(page) {
  return (await api(page, "GET", "/status")).answer.services[0].groups[0].scheduler;
}

/** Changes a word of the file, as somebody with an editor would. */
async function edit(file, before, after) {
  const text = await readFile(file, "utf8");
  assert.ok(text.includes(before), `${before} is not in ${text}`);
  await writeFile(file, text.replaceAll(before, after));
}

export const steps = {
  async "what runs differs from the file readably, is saved, and the file has it"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.keyboard.press("3");
    await page.locator(".differences li", { hasText: "p2c" }).waitFor();
    const added = page.locator(".line-added", { hasText: "p2c" });
    await added.waitFor();
    await browser.picture(page, "configuration-difference");
    assert.ok(!(await readFile(balancer.config, "utf8")).includes("p2c"), "not saved yet");
    const banner = page.locator('[data-banner="unsaved"]');
    await banner.getByRole("button", { name: "Save" }).click();
    await until("the file to have it", async () =>
      (await readFile(balancer.config, "utf8")).includes('scheduler="p2c"'),
    );
    await banner.waitFor({ state: "hidden" });
    await page.getByText("The file says what runs.").waitFor();
    await page.getByRole("tab", { name: "Running" }).click();
    await page.locator("pre.code", { hasText: 'scheduler="p2c"' }).waitFor();
    await page.context().close();
  },

  async "a load on probation that nobody confirms goes back by itself"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await edit(balancer.config, 'scheduler="p2c"', 'scheduler="random"');
    await load(page, "10 seconds");
    const banner = page.locator('[data-banner="probation"]');
    await banner.getByText(/goes back by itself in \d+/).waitFor();
    await browser.picture(page, "probation");
    assert.equal(await scheduler(page), "random");
    await until("the scheduler of before", async () => (await scheduler(page)) === "p2c");
    await banner.waitFor({ state: "hidden" });
    await page.context().close();
  },

  async "a load on probation is taken back at once, and another one is kept"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    const banner = page.locator('[data-banner="probation"]');
    await load(page, "30 seconds");
    await until("the file's scheduler", async () => (await scheduler(page)) === "random");
    await banner.getByRole("button", { name: "Go back now" }).click();
    await until("the scheduler of before", async () => (await scheduler(page)) === "p2c");
    await load(page, "30 seconds");
    await banner.getByRole("button", { name: "Keep it" }).click();
    await banner.waitFor({ state: "hidden" });
    assert.equal(await scheduler(page), "random");
    await page.context().close();
  },

  async "a file that is wrong is refused in the dialog, and nothing changes"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    browser.expected = [/ 4\d\d /];
    await edit(balancer.config, 'scheduler="random"', 'scheduler="randum"');
    await page.keyboard.press("3");
    await page.getByRole("button", { name: "Load the file…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Load the file" }).click();
    await dialog.getByRole("alert").getByText("randum").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    assert.equal(await scheduler(page), "random");
    await edit(balancer.config, "randum", "random");
    // A look at the file from before it was mended may still be on its way.
    await page.context().close();
    browser.expected = [];
  },

  async "a file that somebody else changed is overwritten only after a question"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    browser.expected = [/409/];
    await edit(balancer.config, 'scheduler="random"', 'scheduler="leastconns"');
    await choose(page, "Actions for group blue", "Change scheduler, stickiness or name…");
    const edited = page.getByRole("dialog");
    await edited.getByLabel("weighted").check();
    await edited.getByRole("button", { name: "Save changes" }).click();
    await groupSection(page, "web", "blue").getByText("weighted").waitFor();
    await page.locator('[data-banner="unsaved"]').getByRole("button", { name: "Save" }).click();
    const dialog = page.getByRole("dialog", { name: "Overwrite the file?" });
    await dialog.waitFor();
    assert.ok((await readFile(balancer.config, "utf8")).includes("leastconns"), "not overwritten yet");
    await dialog.getByRole("button", { name: "Overwrite the file" }).click();
    await until("the file to have it", async () =>
      (await readFile(balancer.config, "utf8")).includes('scheduler="weighted"'),
    );
    // A look at the file from before it was mended may still be on its way.
    await page.context().close();
    browser.expected = [];
  },
};
