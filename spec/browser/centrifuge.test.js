/* centrifuge-js, as npm has it, in Chromium: the example's topics, by another client. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, leave, open } from "./support/browser.js";
import { startServer } from "./support/server.js";

const script = fileURLToPath(new URL("node_modules/centrifuge/dist/centrifuge.js", import.meta.url));

describe("centrifuge-js in a browser", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it("connects, subscribes, publishes, and recovers what it missed", async () => {
    const page = await open(browser, server, {
      prepare: (page) => page.addInitScript({ path: script }),
    });
    page.setDefaultTimeout(30_000);
    await page.evaluate(() => {
      const url = location.origin.replace(/^http/, "ws") + "/connection/websocket";
      window.seen = { snapshots: [], bodies: [], recovered: 0 };
      window.reader = new window.Centrifuge(url, { token: "alice-token" });
      window.writer = new window.Centrifuge(url, { token: "alice-token" });
      const sub = window.reader.newSubscription("chat:42");
      sub.on("subscribed", ({ data, recovered }) => {
        if (recovered) window.seen.recovered++;
        else window.seen.snapshots.push(data.title);
      });
      sub.on("publication", ({ data }) => {
        if (data.message) window.seen.bodies.push(data.message.body);
      });
      sub.subscribe();
      window.reader.connect();
      window.writer.connect();
    });
    const say = (body) =>
      page.evaluate((body) => window.writer.publish("chat:42", { type: "message", body }), body);
    const hears = (n) => page.waitForFunction((n) => window.seen.bodies.length === n, n);
    await page.waitForFunction(() => window.seen.snapshots.length === 1);

    await say("one");
    await hears(1);
    await page.evaluate(() => window.reader.disconnect());
    await say("missed");
    await page.evaluate(() => window.reader.connect());
    await hears(2);
    await say("three");
    await hears(3);

    const seen = await page.evaluate(() => window.seen);
    assert.deepEqual(seen, {
      snapshots: ["Mill pond"],
      bodies: ["one", "missed", "three"],
      recovered: 1,
    });
    await leave(page);
  });
});
