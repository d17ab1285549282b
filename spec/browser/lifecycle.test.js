/* What browsers do to a page: they freeze it, to keep it for the way back, and lose the network. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch, leave, open } from "./support/browser.js";
import { startServer } from "./support/server.js";

describe("a page with the client", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch({ withCache: true });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** A page whose window.seen has what it was shown of a topic, and window.states what its connection went through. */
  async function enter() {
    const page = await open(browser, server);
    await page.evaluate(async () => {
      const { connect } = await import("/leat/client.js");
      Object.assign(window, { seen: [], states: [], wakes: [] });
      for (const type of ["pageshow", "pagehide"]) addEventListener(type, (e) => window.wakes.push([type, e.persisted]));
      for (const type of ["freeze", "resume"]) document.addEventListener(type, () => window.wakes.push([type]));
      for (const type of ["online", "offline"]) addEventListener(type, () => window.wakes.push([type]));
      window.leat = connect("/ws", { token: "alice-token" });
      window.leat.addEventListener("state", ({ detail }) => window.states.push(detail.state));
      window.leat.subscribe("chat:42", {
        snapshot: () => window.seen.push("snapshot"),
        event: ({ n }) => window.seen.push(n),
      });
      await window.leat.ready();
    });
    await page.waitForFunction(() => window.seen.length === 1);
    return page;
  }

  const publish = (n) => server.sql(`select leat.publish('chat:42', '{"type":"test","n":${n}}')`);
  const told = (page) => page.evaluate(() => window.wakes);

  async function hasSeen(page, ...expected) {
    const same = (wanted) => window.seen.join() === wanted;
    await page.waitForFunction(same, expected.join()).catch(async () => {
      assert.deepEqual(await page.evaluate(() => window.seen), expected);
    });
  }

  it("that is left holds no socket, and has everything when somebody comes back to it", async () => {
    const page = await enter();
    await publish(4);
    await hasSeen(page, "snapshot", 4);
    await page.goto(`${server.url}healthz`);
    await publish(5);
    await page.goBack({ waitUntil: "commit" });
    await publish(6);

    await hasSeen(page, "snapshot", 4, 5, 6);
    assert.deepEqual(await told(page), [["pagehide", true], ["freeze"], ["resume"], ["pageshow", true]]);
    const states = await page.evaluate(() => window.states);
    assert.deepEqual(states, ["connecting", "live", "sleeping", "connecting", "live"]);
    await leave(page);
  });

  it("that has no network says so soon, and has everything when it is back", async () => {
    const page = await enter();
    await publish(7);
    await hasSeen(page, "snapshot", 7);
    await page.context().setOffline(true);
    await page.waitForFunction(() => window.leat.state !== "live", null, { timeout: 10_000 });
    await publish(8);
    await page.context().setOffline(false);
    await hasSeen(page, "snapshot", 7, 8);
    assert.deepEqual(await told(page), [["offline"], ["online"]]);
    await leave(page);
  });
});
