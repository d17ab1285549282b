/* The gate: while a chat is paused its messages wait, and nobody sees half of it. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { enter, hasSaid, hasText, launch, leave, say } from "./support/browser.js";
import { startServer } from "./support/server.js";

describe("the gate", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it("holds messages back until it opens, and then lets them in together", async () => {
    const alice = await enter(browser, server, "alice-token");
    const bob = await enter(browser, server, "bob-token");

    await alice.click("#gate-button");
    await bob.waitForSelector('#gate[data-status="paused"]');
    await hasText(bob, "#gate-text", /Paused by Alice/);
    await say(bob, "first");
    await hasSaid(alice, ["first"], "#queue");
    await say(alice, "second");
    await hasSaid(bob, ["first", "second"], "#queue");
    await hasText(bob, "#gate-text", /2 messages wait/);
    await hasSaid(bob, []);
    assert.equal(await server.sql("select count(*) from messages where id > 100"), "0");

    await alice.click("#gate-button");

    for (const page of [alice, bob]) {
      await page.waitForSelector('#gate[data-status="open"]');
      await hasSaid(page, ["first", "second"]);
      await hasSaid(page, [], "#queue");
    }
    assert.equal(await server.sql("select count(*) from queued"), "0");
    await leave(alice, bob);
  });

  it("is worked by the chat's owner only", async () => {
    const bob = await enter(browser, server, "bob-token");
    assert.equal(await bob.isVisible("#gate-button"), false);

    const refusal = await bob.evaluate(async () => {
      const { connect } = await import("/leat/client.js");
      const leat = connect("/ws", { token: "bob-token" });
      await new Promise((resolve) => {
        leat.addEventListener("state", ({ detail }) => detail.state === "live" && resolve());
      });
      const wish = { type: "status", status: "paused" };
      return leat.publish("chat:42", wish).catch((error) => error.code);
    });

    assert.equal(refusal, "forbidden");
    assert.equal(await server.sql("select status from chats where id = 42"), "open");
    await leave(bob);
  });

  it("leaves who watched with what a newcomer gets", async () => {
    const bob = await enter(browser, server, "bob-token", { chat: 43 });
    const watch = await bob.evaluateHandle(async () => {
      const { connect } = await import("/leat/client.js");
      const { applyEvent } = await import("/js/chat-state.js");
      const watched = { chat: null, seq: 0 };
      connect("/ws", { token: "carol-token" }).subscribe("chat:43", {
        snapshot: (chat, { seq }) => Object.assign(watched, { chat, seq }),
        event: (event, { seq }) =>
          Object.assign(watched, { chat: applyEvent(watched.chat, event), seq }),
      });
      return watched;
    });
    await bob.waitForFunction((watched) => watched.chat !== null, watch);

    await say(bob, "before");
    await hasSaid(bob, ["before"]);
    await bob.click("#gate-button");
    await bob.waitForSelector('#gate[data-status="paused"]');
    for (const text of ["a", "b", "c"]) await say(bob, text);
    await hasSaid(bob, ["a", "b", "c"], "#queue");
    await bob.click("#gate-button");
    await hasSaid(bob, ["before", "a", "b", "c"]);
    await say(bob, "after");
    await hasSaid(bob, ["before", "a", "b", "c", "after"]);

    const newcomer = await bob.evaluate(async () => {
      const { connect } = await import("/leat/client.js");
      return new Promise((resolve) => {
        connect("/ws", { token: "dave-token" }).subscribe("chat:43", {
          snapshot: (chat, { seq }) => resolve({ chat, seq }),
          event() {},
        });
      });
    });
    await bob.waitForFunction(([watched, seq]) => watched.seq === seq, [watch, newcomer.seq]);
    assert.deepEqual(await watch.jsonValue(), newcomer);
    await leave(bob);
  });
});
