/* centrifuge-js, as npm has it, in Chromium: the example's topics, by another client. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, leave, open } from "./support/browser.js";
import { startRelay } from "./support/relay.js";
import { startServer } from "./support/server.js";

const script = fileURLToPath(new URL("node_modules/centrifuge/dist/centrifuge.js", import.meta.url));

describe("centrifuge-js in a browser", () => {
  let server, browser, relay;
  before(async () => {
    server = await startServer(undefined, { LEAT_PING_INTERVAL_MS: "1000" });
    relay = await startRelay(server.url);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    relay?.close();
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

  /** A page behind the relay, whose window.seen has what its subscription was told; it has heard of one event. */
  async function follow() {
    const page = await open(browser, relay, { prepare: (page) => page.addInitScript({ path: script }) });
    page.setDefaultTimeout(30_000);
    await page.evaluate(() => {
      const url = location.origin.replace(/^http/, "ws") + "/connection/websocket";
      window.seen = [];
      // A ping is due each second; the SDK gives up a second after one that does not come, not ten.
      window.reader = new window.Centrifuge(url, { token: "alice-token", maxServerPingDelay: 1000 });
      const why = ({ code, reason }) => (code < 3000 ? reason : `closed with ${code}`); // below 3000: the SDK's own
      window.reader.on("connecting", (event) => event.code > 0 && window.seen.push(why(event)));
      const sub = window.reader.newSubscription("chat:42");
      sub.on("subscribed", ({ recovered }) => window.seen.push(recovered ? "recovered" : "snapshot"));
      sub.on("publication", ({ data }) => window.seen.push(data.n));
      sub.subscribe();
      window.reader.connect();
    });
    await hasSeen(page, "snapshot");
    await publish(1);
    await hasSeen(page, "snapshot", 1);
    return page;
  }

  const publish = (n) => server.sql(`select leat.publish('chat:42', '{"type":"test","n":${n}}')`);

  async function hasSeen(page, ...expected) {
    const same = (wanted) => window.seen.join() === wanted;
    await page.waitForFunction(same, expected.join()).catch(async () => {
      assert.deepEqual(await page.evaluate(() => window.seen), expected);
    });
  }

  it("recovers what it missed while the computer had no network", async () => {
    const page = await follow();
    await page.context().setOffline(true);
    await hasSeen(page, "snapshot", 1, "transport closed");
    await publish(2);
    await page.context().setOffline(false);
    await hasSeen(page, "snapshot", 1, "transport closed", "recovered", 2);
    await publish(3);
    await hasSeen(page, "snapshot", 1, "transport closed", "recovered", 2, 3);
    await leave(page);
  });

  it("recovers what it missed when its connection was reset", async () => {
    const page = await follow();
    relay.cut();
    await publish(2);
    await page.waitForFunction(() => window.seen.includes(2));
    await publish(3);
    await hasSeen(page, "snapshot", 1, "transport closed", "recovered", 2, 3);
    await leave(page);
  });

  // Nobody is told of this cut: the SDK notices it by the ping that does not come.
  it("recovers what it missed when its network swallowed everything", async () => {
    const page = await follow();
    relay.swallow();
    await publish(2);
    await hasSeen(page, "snapshot", 1, "no ping", "recovered", 2);
    await publish(3);
    await hasSeen(page, "snapshot", 1, "no ping", "recovered", 2, 3);
    await leave(page);
  });

  /** The relay's connections end with the server; the SDK comes back within some seconds. */
  const restart = async (meanwhile) => {
    await server.shutDown();
    await meanwhile();
    await server.start();
  };

  it("recovers over a restart of the server, and gets a snapshot where the outbox was trimmed", async () => {
    const page = await follow();
    const shows = (...expected) => hasSeen(page, ...expected);
    await page.evaluate(() => {
      const push = window.seen.push.bind(window.seen); // what matters is what comes after the reason
      window.seen.push = (one) => (typeof one === "string" && one !== "recovered" && one !== "snapshot" ? 0 : push(one));
    });
    await restart(() => publish(2));
    await shows("snapshot", 1, "recovered", 2);
    await restart(async () => {
      await publish(3);
      await server.sql("delete from leat.event");
    });
    await shows("snapshot", 1, "recovered", 2, "snapshot");
    await publish(4);
    await shows("snapshot", 1, "recovered", 2, "snapshot", 4);
    await leave(page);
  });

  // The server that drains tells its clients so; the next one is at the same address.
  it("leaves a server that drains for the next one, and recovers what it missed", async () => {
    const page = await follow();
    const drained = server.shutDown();
    await hasSeen(page, "snapshot", 1, "closed with 3001");
    await publish(2);
    await drained;
    await server.start();
    await hasSeen(page, "snapshot", 1, "closed with 3001", "recovered", 2);
    await publish(3);
    await hasSeen(page, "snapshot", 1, "closed with 3001", "recovered", 2, 3);
    await leave(page);
  });

  it("ends a subscription whose right was taken, once and for all", async () => {
    const page = await follow();
    await page.evaluate(() => {
      window.reader.getSubscription("chat:42").on("unsubscribed", ({ code, reason }) => window.seen.push(code, reason));
    });
    await server.sql("delete from chat_members where chat_id = 42; select leat.revoke('chat:42')");
    await publish(2);
    await hasSeen(page, "snapshot", 1, 2000, "revoked");
    await leave(page);
  });
});

// The application of clients/protocol: a token is a name and the seconds for which it is good, a ticket (the token of a
// subscription) the seconds alone.
describe("centrifuge-js in a browser, with tokens that expire", () => {
  const app = fileURLToPath(new URL("../../clients/protocol/app.lua", import.meta.url));
  let server, browser;
  before(async () => {
    server = await startServer(app);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** A page that connects with that token, and asks for the next ones; window.seen has what it was told. */
  async function connect(token, ...next) {
    const page = await open(browser, server, { prepare: (page) => page.addInitScript({ path: script }) });
    page.setDefaultTimeout(30_000);
    await page.evaluate(([token, next]) => {
      window.seen = [];
      window.asker = (what, next) => async () => {
        window.seen.push(`asks for a ${what}`);
        return next.length > 1 ? next.shift() : next[0];
      };
      const url = location.origin.replace(/^http/, "ws") + "/connection/websocket";
      const delays = { minReconnectDelay: 50, maxReconnectDelay: 500 };
      window.client = new window.Centrifuge(url, { token, getToken: window.asker("token", next), ...delays });
      window.client.on("connecting", ({ code }) => code > 0 && window.seen.push(`connecting ${code}`));
      window.client.on("connected", () => window.seen.push("connected"));
      window.client.on("disconnected", ({ code }) => window.seen.push(`disconnected ${code}`));
      window.client.connect();
    }, [token, next]);
    return page;
  }

  /** The page subscribes to the list with that ticket, and asks for the next ones. */
  async function subscribe(page, list, ticket, ...next) {
    await page.waitForFunction(() => window.client.state === "connected");
    await page.evaluate(([list, ticket, next]) => {
      window.seen = [];
      window.shown = [];
      const delays = { minResubscribeDelay: 50, maxResubscribeDelay: 500 };
      const getToken = window.asker("ticket", next);
      const sub = window.client.newSubscription(`ticket:${list}`, { token: ticket, getToken, ...delays });
      sub.on("subscribing", ({ code }) => code > 0 && window.seen.push(`subscribing ${code}`));
      sub.on("unsubscribed", ({ code }) => window.seen.push(`unsubscribed ${code}`));
      sub.on("subscribed", ({ data, recovered }) => {
        window.seen.push(recovered ? "recovered" : "snapshot");
        if (!recovered) window.shown = data.map(({ body }) => body);
      });
      sub.on("publication", ({ data }) => window.shown.push(data.body));
      sub.subscribe();
    }, [list, ticket, next]);
  }

  const add = (list, body) => server.sql(`select add_ticketed('${list}', '${body}')`);

  /** Asks again and again. A promise is true for waitForFunction, whatever it resolves to. */
  const isMe = (page, name) =>
    page.evaluate(async (name) => {
      const end = performance.now() + 30_000;
      let data;
      while (data !== name) {
        if (performance.now() > end) throw new Error(`is ${data}, not ${name}`);
        ({ data } = await window.client.rpc("me", 0).catch(() => ({})));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }, name);

  async function has(page, what, ...expected) {
    const same = ([what, wanted]) => window[what].join() === wanted;
    await page.waitForFunction(same, [what, expected.join()]).catch(async () => {
      assert.deepEqual(await page.evaluate((what) => window[what], what), expected);
    });
  }

  it("shows a new token before the old one expires, on the same connection", async () => {
    const page = await connect("alice-4", "bob-60");
    await isMe(page, "alice");
    await isMe(page, "bob");
    await has(page, "seen", "connected", "asks for a token");
    await leave(page);
  });

  // Whether it is refused at once (109) or ends right after (3005) is up to the clock; the SDK does the same.
  it("comes back with another token where its own has run out", async () => {
    const page = await connect("alice-0", "bob-60");
    await isMe(page, "bob");
    const seen = await page.evaluate(() => window.seen);
    assert.ok(seen.includes("asks for a token"), seen.join());
    assert.equal(seen.at(-1), "connected");
    await leave(page);
  });

  it("stays away where the new token is refused", async () => {
    const page = await connect("alice-4", "nobody");
    await has(page, "seen", "connected", "asks for a token", "disconnected 101");
    await leave(page);
  });

  it("shows another token of a subscription when the server asks for one, and misses nothing", async () => {
    const page = await connect("alice");
    await add("renewed", "one");
    await subscribe(page, "renewed", "4", "6", "600");
    await has(page, "shown", "one");
    await page.waitForFunction(() => window.seen.length === 2);
    await add("renewed", "two");
    await page.waitForFunction(() => window.seen.length === 3);
    await add("renewed", "three");
    await has(page, "shown", "one", "two", "three");
    await has(page, "seen", "snapshot", "asks for a ticket", "asks for a ticket");
    await leave(page);
  });

  // Were it told the end itself, the handler would run first, with the old ticket: "subscribing 2501".
  it("shows another token of a subscription before the old one ends, at a second that is fixed", async () => {
    const page = await connect("alice");
    const end = Math.floor(Date.now() / 1000) + 12;
    await subscribe(page, "fixed", `until:${end}`, `until:${end + 600}`);
    await has(page, "seen", "snapshot", "asks for a ticket");
    assert.ok(Date.now() / 1000 < end, "the next ticket was asked for too late");
    await page.waitForFunction((end) => Date.now() / 1000 > end + 1, end);
    await add("fixed", "one");
    await has(page, "shown", "one");
    await has(page, "seen", "snapshot", "asks for a ticket");
    await leave(page);
  });

  it("asks for another token of a subscription where the one that it has expired", async () => {
    const page = await connect("alice");
    await subscribe(page, "late", "late", "4", "late", "600");
    await page.waitForFunction(() => window.seen.includes("subscribing 2501"));
    await add("late", "one");
    await has(page, "shown", "one");
    const asks = "asks for a ticket";
    await has(page, "seen", asks, "snapshot", asks, "subscribing 2501", asks, "recovered");
    await leave(page);
  });

  it("ends a subscription whose new token is refused, and keeps the connection", async () => {
    const page = await connect("alice");
    await subscribe(page, "refused", "4", "forged");
    await has(page, "seen", "snapshot", "asks for a ticket", "unsubscribed 2000");
    await isMe(page, "alice");
    await leave(page);
  });
});
