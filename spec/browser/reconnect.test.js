/* The connection breaks, the page does not: nothing is missed and nothing shown twice. */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import {
  enter,
  hasSaid,
  hasText,
  isLive,
  launch,
  leave,
  open,
  say,
  wire,
} from "./support/browser.js";
import { startServer } from "./support/server.js";

// What an application without a browser does: writes, and publishes in the same transaction.
function saySql(body) {
  return `
    with message as (
      insert into messages (chat_id, user_id, body) values (42, 3, '${body}')
      returning id, user_id, body, to_json(created_at) as created_at)
    select leat.publish('chat:42', jsonb_build_object('type', 'message', 'message', to_jsonb(message)))
      from message`;
}

describe("a page whose connection breaks", () => {
  let server, browser;
  before(async () => {
    browser = await launch();
  });
  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(() => server.stop());
  after(() => browser?.close());

  it("continues when a crashed server is back", async () => {
    const alice = await enter(browser, server, "alice-token");
    const bob = await enter(browser, server, "bob-token");
    await say(alice, "before");
    await hasSaid(bob, ["before"]);

    await server.crash();
    await bob.waitForSelector('#connection[data-state="waiting"]');
    await hasText(bob, "#connection-text", /^Reconnecting/);
    await server.sql(saySql("meanwhile"));
    await say(bob, "written without a connection");
    await hasText(bob, "#outbox .fate", /when the connection is back/);
    await server.start();

    for (const page of [alice, bob]) {
      await isLive(page);
      await hasSaid(page, ["before", "meanwhile", "written without a connection"]);
    }
    await hasSaid(bob, [], "#outbox");
    await say(alice, "after");
    await hasSaid(bob, ["before", "meanwhile", "written without a connection", "after"]);
    await leave(alice, bob);
  });

  it("continues when a server was stopped and started", async () => {
    const alice = await enter(browser, server, "alice-token");

    await server.shutDown();
    await alice.waitForSelector('#connection[data-state="waiting"]');
    await server.sql(saySql("meanwhile"));
    await server.start();

    await isLive(alice);
    await hasSaid(alice, ["meanwhile"]);
    await leave(alice);
  });

  it("asks for what came after its last position", async () => {
    const alice = await enter(browser, server, "alice-token");
    await say(alice, "one");
    await hasSaid(alice, ["one"]);
    await alice.click("#wire-clear");

    await alice.click("#wire-cut");
    await alice.waitForSelector('#wire-lines [data-op="subscribe"]');
    await isLive(alice);
    await server.sql(saySql("two"));

    await hasSaid(alice, ["one", "two"]);
    const again = (await wire(alice)).find(
      ({ op, text }) => op === "subscribe" && /chat:42/.test(text),
    );
    assert.match(again.text, /"since":\{"epoch":"[^"]+","seq":1\}/);
    await leave(alice);
  });

  it("asks for a login if its token is not good any more", async () => {
    const alice = await enter(browser, server, "alice-token");

    await server.sql("update users set token = 'another' where name = 'Alice'");
    await alice.click("#wire-cut");

    await alice.waitForSelector("#login:not([hidden])");
    await hasText(alice, "#login-error", /refused/);
    await leave(alice);
  });
});

describe("a token that is refused", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it("leads back to the login, where a good one goes in", async () => {
    const page = await open(browser, server, { token: "nobody" });
    await page.waitForSelector("#login-error:not([hidden])");
    assert.equal(await page.isVisible("#app"), false);

    await page.fill("#token", "dave-token");
    await page.press("#token", "Enter");

    await isLive(page);
    await hasText(page, "#me", /^DDave/);
    await leave(page);
  });
});
