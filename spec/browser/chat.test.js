/* People talking: what one says, the others see. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { enter, hasSaid, hasText, launch, leave, say } from "./support/browser.js";
import { startServer } from "./support/server.js";

describe("a chat", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it("shows two people the same messages in the same order", async () => {
    const alice = await enter(browser, server, "alice-token");
    const bob = await enter(browser, server, "bob-token");

    await say(alice, "Is anybody here?");
    await hasSaid(bob, ["Is anybody here?"]);
    await say(bob, "I am.");
    await hasSaid(alice, ["Is anybody here?", "I am."]);
    await Promise.all([say(alice, "one"), say(bob, "two")]);
    await alice.waitForFunction(() => /one[^]*two|two[^]*one/.test(document.body.innerText));

    const inDatabase = await server.sql(
      "select body from messages where chat_id = 42 and id > 100 order by id",
    );
    await hasSaid(alice, inDatabase.split("\n"));
    await hasSaid(bob, inDatabase.split("\n"));
    const author = bob.locator("#messages .message", { hasText: "Is anybody here?" });
    assert.match(await author.locator(".author").innerText(), /^Alice\s+\d\d:\d\d$/);
    await leave(alice, bob);
  });

  it("shows what others write as text, whatever it contains", async () => {
    const alice = await enter(browser, server, "alice-token", { chat: 43 });
    const bob = await enter(browser, server, "bob-token", { chat: 43 });
    const hostile = `<img src=x onerror="document.title='owned'"><b>&amp;</b> \u{1f30a}`;

    await say(bob, hostile);

    await hasSaid(alice, [hostile]);
    assert.equal(await alice.locator("#messages img, #messages b").count(), 0);
    await leave(alice, bob);
  });

  it("keeps the lines of a message", async () => {
    const carol = await enter(browser, server, "carol-token", { chat: 44 });
    const dave = await enter(browser, server, "dave-token", { chat: 44 });

    await carol.focus("#draft");
    await carol.keyboard.type("first line");
    await carol.keyboard.press("Shift+Enter");
    await carol.keyboard.type("second line");
    await carol.keyboard.press("Enter");

    await hasSaid(dave, ["first line\nsecond line"]);
    assert.equal(await carol.inputValue("#draft"), "");
    await leave(carol, dave);
  });

  it("says who is typing", async () => {
    const alice = await enter(browser, server, "alice-token");
    const bob = await enter(browser, server, "bob-token");

    await bob.focus("#draft");
    await bob.keyboard.type("Well");

    await hasText(alice, "#typing", /^Bob is typing$/);
    await hasText(bob, "#typing", /^$/);
    await leave(alice, bob);
  });

  it("counts what is new in the chats that are not shown", async () => {
    const alice = await enter(browser, server, "alice-token", { chat: 42 });
    const bob = await enter(browser, server, "bob-token", { chat: 43 });

    await say(bob, "Soup it is.");

    const lunch = '#chats li[data-key="43"]';
    await alice.waitForSelector(`${lunch} .unread`);
    await hasText(alice, `${lunch} .preview`, /^Bob: Soup it is\.$/);
    await alice.click(`${lunch} a`);
    await alice.waitForSelector(`${lunch} .unread`, { state: "detached" });
    await leave(alice, bob);
  });

  it("does not let in who is not a member", async () => {
    const alice = await enter(browser, server, "alice-token");

    const refusal = await alice.evaluate(async () => {
      const { connect } = await import("/leat/client.js");
      const leat = connect("/ws", { token: "alice-token" });
      return new Promise((resolve) => {
        leat.subscribe("chat:44", {
          snapshot: resolve,
          event() {},
          closed: (e) => resolve(e.code),
        });
      });
    });

    assert.equal(refusal, "forbidden");
    await leave(alice);
  });
});
