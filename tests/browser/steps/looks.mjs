// How it looks: on phones and desktops, light and dark, with names that want to be markup, by keyboard, with less motion.

import assert from "node:assert/strict";
import { Clients, DESKTOP, NARROW, PHONE, api, hostRow, logIn, until } from "../kit.mjs";
import { contrastsBelow } from "./contrast.mjs";

const PAGES = ["services", "sessions", "configuration", "events", "users"];
/** WCAG 2.2, 1.4.3, level AA. */
const CONTRAST = 4.5;

async function visit(page, balancer, name) {
  await page.goto(`${balancer.page}#${name}`);
  await page.locator(`#sections a[href="#${name}"][aria-current]`).waitFor();
  const content = {
    services: "tr.host",
    sessions: "main tbody tr",
    configuration: "#config-panel > *",
    events: ".event",
    users: "main tbody tr",
  };
  await page.locator(content[name]).first().waitFor();
}

/** What sticks out of the window. */
function overflow(page) {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wide = [...document.querySelectorAll("body *")].filter(
      (node) => node.getBoundingClientRect().right > clientWidth + 1,
    );
    return wide
      .slice(0, 5)
      .map((node) => `${node.tagName}.${node.getAttribute("class")}: ${node.getBoundingClientRect().right}`);
  });
}

export const steps = {
  async "every page fits every width, and every text can be read, light and dark"({ browser, balancer }) {
    const clients = new Clients(balancer.listen);
    await clients.hold(12);
    clients.flow(30);
    for (const [device, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE, narrow: NARROW })) {
      for (const colorScheme of ["light", "dark"]) {
        const isPhone = device !== "desktop";
        const page = await browser.open({
          viewport,
          colorScheme,
          hasTouch: isPhone,
          isMobile: isPhone,
          deviceScaleFactor: isPhone ? 2 : 1,
        });
        await logIn(page, balancer, balancer.users.full);
        for (const name of PAGES) {
          await visit(page, balancer, name);
          assert.deepEqual(await overflow(page), [], `${name} on ${device}`);
          const low = await contrastsBelow(page, CONTRAST);
          assert.deepEqual(low, [], `contrast of ${name}, ${colorScheme}, ${device}`);
          if (device !== "narrow") await browser.picture(page, `${name}-${device}-${colorScheme}`);
        }
        await page.context().close();
      }
    }
    clients.stop();
  },

  async "the colours are switched by hand, and stay so"({ browser, balancer }) {
    const page = await browser.open({ colorScheme: "light" });
    await logIn(page, balancer, balancer.users.full);
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByLabel("Colours").selectOption("dark");
    const dark = await ground();
    assert.notEqual(light, dark);
    await page.reload();
    await hostRow(page, "a").waitFor();
    assert.equal(await ground(), dark);
    await page.keyboard.press("t");
    assert.equal(await ground(), light, "as the system again");
    await page.context().close();
  },

  async "a name that wants to be markup is text"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await hostRow(page, balancer.hostile).waitFor();
    const clients = new Clients(balancer.listens.hostile);
    await clients.hold(2);
    // So that it is among the events and the differences, too.
    const place = await page.evaluate((name) => {
      const row = [...document.querySelectorAll("tr.host")].find(({ dataset }) => dataset.host === name);
      return [row.closest(".service").dataset.service, row.closest(".group").dataset.group];
    }, balancer.hostile);
    const [service, group, host] = [...place, balancer.hostile].map(encodeURIComponent);
    const { status } = await api(page, "PATCH", `/services/${service}/groups/${group}/hosts/${host}`, { weight: "5" });
    assert.equal(status, 200);
    for (const name of PAGES) {
      await visit(page, balancer, name);
      const shows = async () => (await page.locator("main").innerText()).includes(balancer.hostile);
      if (name !== "users") await until(`the name among ${name}`, shows);
      assert.equal(await page.locator('img[src="x"], script:not([src])').count(), 0, name);
    }
    await visit(page, balancer, "services");
    await page.getByRole("button", { name: `Actions for host ${balancer.hostile}` }).click();
    await page.getByRole("menuitem", { name: "Remove host…" }).click();
    await page.getByRole("dialog").getByText(balancer.hostile).first().waitFor();
    assert.equal(await page.locator('img[src="x"]').count(), 0, "in a dialog");
    await page.keyboard.press("Escape");
    assert.equal(await page.evaluate(() => window.alarmed), undefined, "a name was run");
    clients.stop();
    await page.context().close();
  },

  async "the policy refuses what is inline"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    browser.expected = [/Content Security Policy/];
    await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.alarm()";
      document.body.append(script);
    });
    assert.equal(await page.evaluate(() => window.alarmed), undefined);
    browser.expected = [];
    await page.context().close();
  },

  async "all of it is reached by keyboard alone"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "Skip to the content");
    await page.keyboard.press("Enter");
    await tabTo(page, "Actions for host a");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid", "the focus is seen");
    await page.keyboard.press("Enter");
    assert.equal(await focused(page), "Edit weight, max, name…");
    await page.keyboard.press("ArrowDown");
    assert.equal(await focused(page), "Drain: no new clients");
    await page.keyboard.press("Escape");
    assert.equal(await focused(page), "Actions for host a", "the focus is back");
    await page.keyboard.press("Enter");
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Remove host a?" }).waitFor();
    assert.equal(await focused(page), "Cancel", "a dangerous question starts on the way out");
    await page.keyboard.press("Escape");
    await until("the focus is back", async () => (await focused(page)) === "Actions for host a");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await browser.picture(page, "shortcuts");
    await page.keyboard.press("Escape");
    await page.keyboard.press("2");
    await page.getByRole("heading", { name: "Sessions" }).waitFor();
    await page.context().close();
  },

  async "a screen reader finds landmarks, headings, tables and labels"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.full);
    await page.getByRole("banner").waitFor();
    await page.getByRole("navigation", { name: "Sections" }).waitFor();
    await page.getByRole("main").waitFor();
    await page.getByRole("heading", { name: "web", exact: true, level: 2 }).waitFor();
    await page.getByRole("region", { name: "group blue" }).getByRole("table", { name: "group blue" }).waitFor();
    await page.getByRole("columnheader", { name: "Failed" }).first().waitFor();
    await page.getByRole("rowheader", { name: /^a / }).waitFor();
    const unnamed = await page.evaluate(() => {
      const controls = [...document.querySelectorAll("button, input, select")];
      const isNamed = (node) =>
        node.labels?.length > 0 || node.getAttribute("aria-label") || node.textContent.trim() !== "";
      return controls.filter((node) => !isNamed(node)).map((node) => node.outerHTML);
    });
    assert.deepEqual(unnamed, []);
    await page.context().close();
  },

  async "nothing moves for who wants less motion"({ browser, balancer }) {
    const page = await browser.open({ reducedMotion: "reduce" });
    await logIn(page, balancer, balancer.users.full);
    await page.keyboard.press("?");
    const animation = await page.locator("dialog").evaluate((node) => getComputedStyle(node).animationName);
    assert.equal(animation, "none");
    await page.context().close();
  },
};

/** The name of what has the focus. */
function focused(page) {
  return page.evaluate(
    () => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim(),
  );
}

async function tabTo(page, name) {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    if ((await focused(page)) === name) return;
  }
  assert.fail(`${name} was not reached with the tabulator key`);
}
