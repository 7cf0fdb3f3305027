// Drives the page as users do, against a balancer that tests/browser.rs started. What it has to say goes to its output; a
// line that begins with "@" asks the test to stop or to start the balancer.

import { Balancer, Browser } from "./kit.mjs";
import * as access from "./steps/access.mjs";
import * as configuration from "./steps/configuration.mjs";
import * as connection from "./steps/connection.mjs";
import * as hosts from "./steps/hosts.mjs";
import * as load from "./steps/load.mjs";
import * as looks from "./steps/looks.mjs";
import * as pure from "./steps/pure.mjs";
import * as services from "./steps/services.mjs";
import * as sessions from "./steps/sessions.mjs";

const plan = JSON.parse(process.env.DIRECTOR_TEST);
const suites = {
  page: [access, pure, hosts, services, sessions, configuration, looks, connection],
  load: [load],
};

const balancer = new Balancer(plan);
const browser = await Browser.start(plan);
let step = "start";
let failed = false;
try {
  for (const suite of suites[plan.suite]) {
    for (const [name, run] of Object.entries(suite.steps)) {
      step = name;
      const start = Date.now();
      await run({ browser, balancer });
      if (browser.wrong.length > 0) throw new Error(browser.wrong.join("\n"));
      console.log(`ok ${name} (${Date.now() - start} ms)`);
    }
  }
} catch (error) {
  failed = true;
  console.log(`FAILED ${step}: ${error.stack}`);
  if (browser.wrong.length > 0) console.log(browser.wrong.join("\n"));
  await browser.pictureAll("failed").catch(() => {});
}
await browser.close();
process.exit(failed ? 1 : 0);
