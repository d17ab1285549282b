/* The panel that shows the protocol. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { enter, hasSaid, hasText, launch, leave, say, wire } from "./support/browser.js";
import { startServer } from "./support/server.js";

describe("the wire panel", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it("shows each message with its direction, and all of it on demand", async () => {
    const alice = await enter(browser, server, "alice-token");
    await say(alice, "hello");
    await hasSaid(alice, ["hello"]);

    const lines = await wire(alice);
    const ops = lines.map(({ direction, op }) => `${direction} ${op}`);
    for (const expected of ["out subscribe", "in snapshot", "out publish", "in event", "in ok"]) {
      assert.ok(ops.includes(expected), `${expected} is not among ${ops}`);
    }
    assert.match(lines.find(({ op }) => op === "event").text, /\d\d:\d\d:\d\d\.\d\d\d/);

    await alice.locator('#wire-lines [data-op="event"] summary').first().click();
    const event = JSON.parse(await alice.locator('#wire-lines [data-op="event"] pre').innerText());
    assert.equal(event.topic, "chat:42");
    assert.equal(event.seq, 1);
    assert.equal(event.data.message.body, "hello");
    await leave(alice);
  });

  it("shows the position of each subscription", async () => {
    const alice = await enter(browser, server, "alice-token", { chat: 43 });
    await say(alice, "hello");
    await hasText(alice, "#positions tr:nth-child(2)", /^chat:43.+1$/);
    await leave(alice);
  });

  it("holds lines back while paused, and forgets them when cleared", async () => {
    const alice = await enter(browser, server, "alice-token", { chat: 43 });
    const sent = (page) => page.locator('#wire-lines [data-op="publish"]').count();

    await alice.click("#wire-pause");
    await say(alice, "while paused");
    await hasText(alice, "#wire-note", /^Paused\. \d+ new since\.$/);
    await alice.waitForFunction(() => !document.querySelector("#outbox .message"));
    assert.equal(await sent(alice), 0);

    await alice.click("#wire-pause");
    assert.equal(await sent(alice), 1);
    await alice.click("#wire-clear");
    assert.equal(await sent(alice), 0);
    await leave(alice);
  });

  it("keeps a bounded number of lines", async () => {
    let inject;
    const prepare = (page) =>
      page.routeWebSocket(/\/ws\?/, (socket) => {
        socket.connectToServer();
        inject = (message) => socket.send(JSON.stringify(message));
      });
    const alice = await enter(browser, server, "alice-token", { prepare });

    for (let n = 0; n < 310; n++) inject({ op: "signal", topic: "chat:42", data: { n } });

    await hasText(alice, "#wire-lines li:last-child", /"n":309/);
    assert.equal(await alice.locator("#wire-lines li").count(), 300);
    await leave(alice);
  });
});
