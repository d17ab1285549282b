/* What browsers do to a page: they freeze it, to keep it for the way back, and lose the network. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch, leave, open } from "./support/browser.js";
import { startServer } from "./support/server.js";
import { openTab } from "./support/tab.js";

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

  /** In a page: window.seen has what it was shown of a topic, window.states what its connection went through. */
  const follow = async () => {
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
  };

  async function enter() {
    const page = await open(browser, server);
    await page.evaluate(follow);
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

  /** The same in a tab that can be frozen, as Chromium does it to one that nobody looks at. */
  async function enterTab() {
    const tab = await openTab(browser, server.url);
    await tab.evaluate(follow);
    await tab.waitFor(() => window.seen.length === 1);
    return tab;
  }

  const showsInTab = (tab, ...expected) =>
    tab.waitFor((wanted) => window.seen.join() === wanted, expected.join()).catch(async () => {
      assert.deepEqual(await tab.evaluate(() => window.seen), expected);
    });

  it("that is frozen has everything when it thaws", async () => {
    const tab = await enterTab();
    await tab.freeze();
    await publish(9);
    assert.deepEqual(await tab.evaluate(() => window.seen), ["snapshot"]);
    await tab.thaw();

    await showsInTab(tab, "snapshot", 9);
    await publish(10);
    await showsInTab(tab, "snapshot", 9, 10);
    assert.deepEqual(await tab.evaluate(() => window.wakes), [["freeze"], ["resume"]]);
    await tab.close();
  });

  // Its timers stand still meanwhile, so it does not try again by itself.
  it("that is frozen while the server goes away has everything soon after it thaws", async () => {
    const tab = await enterTab();
    await tab.freeze();
    await server.crash();
    await publish(11);
    await server.start();
    await publish(12);
    assert.deepEqual(await tab.evaluate(() => window.seen), ["snapshot"]);
    await tab.thaw();

    await showsInTab(tab, "snapshot", 11, 12);
    assert.equal(await tab.evaluate(() => window.states.at(-1)), "live");
    await tab.close();
  });
});
