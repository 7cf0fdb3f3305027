// Makes docs/page.png: a balancer with hosts and traffic, watched for a while.
//
//     cargo build --release && node tests/browser/picture.mjs [PROGRAM [FILE [light|dark]]]

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { DESKTOP, fillIn } from "./kit.mjs";

const top = fileURLToPath(new URL("../..", import.meta.url));
const [
  program = path.join(top, "target/release/director"),
  file = path.join(top, "docs/page.png"),
  colorScheme = "light",
] = process.argv.slice(2);

/** How long it is watched: the charts show two minutes. */
const WATCHED_MS = 118_000;
const USER = { user: "operator", password: "may change" };
const HASH = "$6$director.page$Q8mUvZnDiT.rigE4Yt/ZNVdNe7bteZRKIBYMhPtg5.iomu6cGr95Ye2j2x4bcoMyTtrYCQNVLGvk/TOaB/FZX.";

/** Where all hosts listen, each on an address of its own. */
const HOST_PORT = 9080;

/** Hosts by service and group: names, bytes of an answer, milliseconds until it is there. */
const SERVICES = {
  shop: {
    port: 8080,
    perSecond: 90,
    groups: {
      blue: {
        scheduler: "leastconnsrr",
        hosts: [
          ["shop-01", 42_000, 90],
          ["shop-02", 42_000, 110],
          ["shop-03", 39_000, 240],
          ["shop-04", 42_000, 100],
          ["shop-05", 42_000, 100],
        ],
      },
      green: {
        scheduler: "leastconnsrr",
        hosts: [
          ["shop-11", 42_000, 90],
          ["shop-12", 42_000, 90],
        ],
      },
    },
  },
  api: {
    port: 8443,
    perSecond: 45,
    groups: {
      main: {
        scheduler: "p2c",
        hosts: [
          ["api-01", 3_800, 30],
          ["api-02", 3_800, 35],
          ["api-03", 3_800, 60],
        ],
      },
    },
  },
};

const servers = new Map();
const timers = [];

/** A host on an address of its own. */
function serve(name, bytes, millis, address) {
  const answer = Buffer.alloc(bytes, "x");
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => setTimeout(() => socket.end(answer), millis * (0.6 + Math.random())));
  });
  servers.set(name, server);
  return new Promise((resolve) => server.listen(HOST_PORT, address, () => resolve(`${address}:${HOST_PORT}`)));
}

async function configuration(page) {
  let number = 0;
  let text = "";
  for (const [service, { port, groups }] of Object.entries(SERVICES)) {
    text += `<service name="${service}" max-connections="20000"><listen ip="127.0.0.1:${port}"/>`;
    for (const [group, { scheduler, hosts }] of Object.entries(groups)) {
      text += `<group name="${group}" scheduler="${scheduler}">`;
      for (const [name, bytes, millis] of hosts) {
        number += 1;
        const address = await serve(name, bytes, millis, `127.0.7.${number}`);
        const more = name === "shop-05" ? ' max="64" weight="2"' : "";
        text += `<host name="${name}" ip="${address}"${more}/>`;
      }
      text += "</group>";
    }
    text += "</service>";
  }
  return `<director>${text}<manager><hostCheck interval="2s"/></manager><admin><web listen="${page}" enable="true"/><user name="${USER.user}" password="${HASH}" access="full"/></admin></director>`;
}

/** Clients that come as they do: now more, now fewer. */
function traffic({ port, perSecond }) {
  const next = () => {
    const now = Date.now() / 1000;
    const rate = perSecond * (1 + 0.35 * Math.sin(now / 17) + 0.15 * Math.sin(now / 3.1));
    const socket = net.connect(port, "127.0.0.1", () => socket.write("x".repeat(600)));
    socket.on("data", () => {});
    socket.on("error", () => {});
    timers.push(setTimeout(next, (1000 / rate) * (0.4 + 1.2 * Math.random())));
  };
  next();
}

const directory = mkdtempSync(path.join(os.tmpdir(), "director-picture-"));
const address = "127.0.0.1:7001";
const config = path.join(directory, "director.xml");
writeFileSync(config, await configuration(address));
const balancer = spawn(program, [config], { stdio: ["ignore", "ignore", "inherit"] });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
try {
  for (const service of Object.values(SERVICES)) traffic(service);
  const page = await browser.newPage({ viewport: { ...DESKTOP, height: 1000 }, colorScheme });
  await page.goto(`http://${address}/`, { waitUntil: "load" });
  await fillIn(page, USER.user, USER.password);
  await page.locator("tr.host").first().waitFor();
  await page.waitForTimeout(WATCHED_MS - 20_000);
  servers.get("shop-03").close();
  await page.getByRole("button", { name: "Actions for host shop-04" }).click();
  await page.getByRole("menuitem", { name: "Drain: no new clients" }).click();
  await page.waitForTimeout(20_000);
  await page.mouse.move(0, 0);
  await page.screenshot({ path: file });
  console.log(`wrote ${file}`);
} finally {
  await browser.close();
  balancer.kill("SIGTERM");
  for (const timer of timers) clearTimeout(timer);
  rmSync(directory, { recursive: true });
}
process.exit(0);
