/* Takes the picture of docs/console.md: node picture.js FILE. scripts/picture_console prepares what it needs. */

import { setTimeout as pause } from "node:timers/promises";
import { launch } from "./browser.js";
import { connectCrowd, consoleUrl, logIn, openConsole, VARIABLES } from "./console.js";
import { startServer } from "./server.js";

const WARM_MS = 75_000;
const CLIENTS = 120;
const NEWCOMERS_MS = 4000;
const EVENTS_MS = 200;
const SIZE = { width: 1280, height: 1000 };

const server = await startServer(undefined, { ...VARIABLES, LEAT_WORKERS: "2" });
const browser = await launch();
let over = false;

const topics = (n) => Array.from({ length: n }, (_, i) => `chat:${42 + (i % 4 === 0)}`);

/* Now more and now fewer events, and at times a client that is told an error. */
async function talk() {
  for (let n = 0; !over; n++) {
    const events = 2 + Math.round(2 * Math.sin(n / 12)) + (n % 7);
    await server.sql(
      `select leat.publish('chat:42', '{"n":${n}}') from generate_series(1, ${events})`,
    );
    await pause(EVENTS_MS);
  }
}

async function come() {
  for (let n = 0; !over; n++) {
    const page = await connectCrowd(browser, server, "bob-token", topics(3 + (n % 5)));
    if (n % 3 === 0)
      await (await connectCrowd(browser, server, "alice-token", ["chat:999"])).context().close();
    await pause(NEWCOMERS_MS);
    if (n % 2 === 0) await page.context().close();
  }
}

try {
  const url = await consoleUrl(server);
  await connectCrowd(browser, server, "alice-token", topics(CLIENTS));
  const load = [talk(), come()];
  await pause(WARM_MS);
  const page = await openConsole(browser, url, { viewport: SIZE });
  await logIn(page);
  await page.waitForSelector(".good");
  await pause(2500);
  await page.screenshot({ path: process.argv[2] });
  over = true;
  await Promise.all(load);
} finally {
  over = true;
  await browser.close();
  await server.stop();
}
