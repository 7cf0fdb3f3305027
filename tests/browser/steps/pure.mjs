// The parts of the page that only compute, asked in the browser itself.

import assert from "node:assert/strict";
import { logIn } from "../kit.mjs";

/** What a module's functions make of these arguments. */
async function results(page, module, calls) {
  const made = await page.evaluate(
    async ([module, calls]) => {
      const functions = await import(`/assets/${module}`);
      return calls.map(([name, ...values]) => functions[name](...values));
    },
    [module, calls.map(([call]) => call)],
  );
  return made.map((value) => (typeof value === "string" ? value.replaceAll("\u202f", " ") : value));
}

export const steps = {
  async "numbers are shown with few digits and their units"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.readonly);
    const calls = [
      [["count", 0], "0"],
      [["count", 99_999], "99,999"],
      [["count", 100_000], "100 k"],
      [["count", null], "–"],
      [["bytes", 0], "0 B"],
      [["bytes", 999], "999 B"],
      [["bytes", 1000], "1.00 kB"],
      [["bytes", 999_600], "1.00 MB"],
      [["bytes", 1_200_000_000], "1.20 GB"],
      [["byteRate", 12_345], "12.3 kB/s"],
      [["rate", 0], "0 /s"],
      [["rate", 3.44], "3.4 /s"],
      [["rate", 3400], "3.40 k/s"],
      [["latency", 12], "12 µs"],
      [["latency", 12_000], "12 ms"],
      [["latency", 1_500_000], "1.5 s"],
      [["span", 0], "0 s"],
      [["span", 252_000], "4 min 12 s"],
      [["span", 11_100_000], "3 h 5 min"],
      [["span", 86_400_000], "1 d"],
      [["setting", 600_000], "10m"],
      [["setting", 90_000], "90s"],
      [["setting", 1500], "1500ms"],
      [["plural", 1, "host"], "1 host"],
      [["plural", 2, "host"], "2 hosts"],
      [["counted", "host a: weight=3"], "host a: weight=3"],
      [["counted", "reloaded: nothing changed"], "reloaded: nothing changed"],
      [
        [
          "counted",
          "reloaded: services-added=1 (web) services-removed=0 services-changed=2 (a b) hosts-added=0 hosts-removed=1 " +
            "manager=changed listeners-opened=1 listeners-closed=0 listeners-moved=0 listeners-retuned=0",
        ],
        "reloaded: 1 service added (web), 2 services changed (a b), 1 host removed, 1 listener opened, health checks changed",
      ],
    ];
    const expected = calls.map(([, text]) => text);
    assert.deepEqual(await results(page, "format.js", calls), expected);
    await page.context().close();
  },

  async "texts are compared line by line"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.readonly);
    const lines = await page.evaluate(async () => {
      const { diffLines, withContext } = await import("/assets/text-diff.js");
      const lines = diffLines("a\nb\nc\nd\ne\nf\n", "a\nb\nx\nd\nf\ng\n");
      return [lines, withContext(diffLines("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n7\n"), 1), diffLines("", "")];
    });
    const shown = lines.map((list) => list.map((line) => line && `${line.kind[0]}${line.text}`));
    assert.deepEqual(shown[0], ["sa", "sb", "rc", "ax", "sd", "re", "sf", "ag"]);
    assert.deepEqual(shown[1], [null, "s5", "r6", "a7"]);
    assert.deepEqual(shown[2], []);
    await page.context().close();
  },

  async "rates are found by the balancer's clock, and not over a restart"({ browser, balancer }) {
    const page = await browser.open();
    await logIn(page, balancer, balancer.users.readonly);
    const rates = await page.evaluate(async () => {
      const { History } = await import("/assets/history.js");
      const history = new History();
      const times = (number) => ({ first: 0, buckets: [0, number], sum_us: number * 300 });
      const tell = (pid, uptime_ms, total) => {
        const host = {
          name: "h",
          addr: "a",
          open: 1,
          total,
          failed: 0,
          bytes_up: total * 10,
          bytes_down: 0,
          connects: times(total),
        };
        const service = { name: "s", open: 1, accepted: total, retries: 0, groups: [{ name: "g", hosts: [host] }] };
        history.take({ pid, uptime_ms, services: [service] }, performance.now());
        return [history.whole.rates.connections, history.whole.rates.up, history.host("s\ng\nh\na").rates.latency];
      };
      return [tell(1, 1000, 10), tell(1, 3000, 30), tell(1, 3000, 30), tell(2, 4000, 5), tell(2, 5000, 6)];
    });
    const [unknown, ten] = [
      [null, null, null],
      [10, 100, 300],
    ];
    assert.deepEqual(rates, [unknown, ten, ten, unknown, [1, 10, 300]]);
    await page.context().close();
  },
};
