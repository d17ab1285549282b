/* What the page's client does when the other side misbehaves: a server in the test's hands. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
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

describe("the client", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** Passes the server's messages on, each as often as copies(message) says. */
  function passing(copies) {
    return (page) =>
      page.routeWebSocket(/\/ws\?/, (socket) => {
        const real = socket.connectToServer();
        real.onMessage((text) => {
          for (let n = copies(JSON.parse(text)); n > 0; n--) socket.send(text);
        });
      });
  }

  /** Answers in the server's place: answer(message, socket) for each message of the client but the token. */
  function playing(answer) {
    return (page) =>
      page.routeWebSocket(/\/ws\?/, (socket) => {
        socket.onMessage((text) => {
          const message = JSON.parse(text);
          if (message.op === "authenticate") send(socket, { op: "ok", id: message.id });
          else answer(message, socket);
        });
      });
  }

  const HOME = {
    user: { id: 1, name: "Alice", colour: "clay" },
    chats: [{ id: 42, title: "Mill" }],
  };
  const EMPTY = {
    title: "Mill",
    status: "open",
    owner_id: 1,
    members: [],
    messages: [],
    queue: [],
  };
  function send(socket, message) {
    socket.send(JSON.stringify(message));
  }

  it("notices a lost event, and reads the chat anew", async () => {
    const lost = (message) => message.op === "event" && message.data.message?.body === "lost";
    const alice = await enter(browser, server, "alice-token", {
      prepare: passing((m) => (lost(m) ? 0 : 1)),
    });

    await say(alice, "lost");
    await say(alice, "found");

    await hasSaid(alice, ["lost", "found"]);
    const ops = (await wire(alice)).map(({ direction, op }) => `${direction} ${op}`);
    assert.ok(ops.includes("out unsubscribe"), String(ops));
    await leave(alice);
  });

  it("notices an event that comes twice", async () => {
    const twice = (message) => message.op === "event" && message.data.message?.body === "twice";
    const alice = await enter(browser, server, "alice-token", {
      chat: 43,
      prepare: passing((m) => (twice(m) ? 2 : 1)),
    });

    await say(alice, "twice");

    await alice.waitForSelector('#wire-lines [data-op="unsubscribe"]');
    await alice.waitForFunction(() =>
      /chat:43 · seq 1$/.test(document.querySelector("#position").textContent),
    );
    await hasSaid(alice, ["twice"]);
    await leave(alice);
  });

  it("asks for a login when the connection is closed with 4401", async () => {
    const prepare = playing((message, socket) => socket.close({ code: 4401, reason: "expired" }));
    const page = await open(browser, server, { token: "alice-token", prepare });
    await page.waitForSelector("#login-error:not([hidden])");
    await leave(page);
  });

  it("waits as long as a draining server asks, unless told to try now", async () => {
    let connections = 0;
    const prepare = playing(({ id }, socket) => {
      connections++;
      if (connections === 1) socket.close({ code: 1001, reason: "draining retry_after_ms=50000" });
      else send(socket, { op: "ok", id, data: { ...HOME, chats: [] } });
    });
    const page = await open(browser, server, { token: "alice-token", prepare });

    await hasText(page, "#connection-text", /^Reconnecting in (50|49) s$/);
    await page.click("#retry-now");

    await isLive(page);
    await leave(page);
  });

  it("subscribes again when the server says that it could not just now", async () => {
    let tries = 0;
    const prepare = playing(({ op, id, topic }, socket) => {
      if (op === "call") return send(socket, { op: "ok", id, data: HOME });
      if (tries++ === 0) {
        return send(socket, { op: "error", id, code: "unavailable", retry_after_ms: 20 });
      }
      send(socket, { op: "snapshot", id, topic, epoch: "e", seq: 0, data: EMPTY });
    });
    const page = await open(browser, server, { token: "alice-token", chat: 42, prepare });

    await page.waitForSelector("#gate:not([hidden])");
    assert.equal(tries, 2);
    await leave(page);
  });

  it("takes a new snapshot in place of what it had, and a skip as a step", async () => {
    const message = { id: 101, user_id: 1, body: "new", created_at: new Date().toISOString() };
    const prepare = playing(({ op, id, topic }, socket) => {
      if (op === "call") return send(socket, { op: "ok", id, data: HOME });
      const stale = { op: "snapshot", id, topic, epoch: "e", seq: 3, stale: true, data: EMPTY };
      send(socket, stale);
      send(socket, { op: "skip", topic, seq: 4 });
      send(socket, {
        op: "snapshot",
        topic,
        epoch: "f",
        seq: 1,
        data: { ...EMPTY, title: "Pond" },
      });
      send(socket, { op: "event", topic, seq: 2, data: { type: "message", message } });
    });
    const page = await open(browser, server, { token: "alice-token", chat: 42, prepare });

    await hasSaid(page, ["new"]);
    await hasText(page, "#chat-title", /^Pond$/);
    await hasText(page, "#position", /seq 2$/);
    assert.equal(await page.isVisible("#notice"), false);
    await leave(page);
  });

  it("says why a chat was closed", async () => {
    const prepare = playing(({ op, id, topic }, socket) => {
      if (op === "call") return send(socket, { op: "ok", id, data: HOME });
      send(socket, { op: "snapshot", id, topic, epoch: "e", seq: 0, data: EMPTY });
      send(socket, { op: "closed", topic, code: "revoked", message: "revoked" });
    });
    const page = await open(browser, server, { token: "alice-token", chat: 42, prepare });

    await hasText(page, "#notice", /no longer a member/);
    assert.equal(await page.isVisible("#composer"), false);
    await leave(page);
  });

  it("shows a message of its own at once, and never twice", async () => {
    const held = [];
    let holds, release;
    const isMine = ({ op, at, data }) => (op === "ok" && at?.length) || (op === "event" && data.message);
    const prepare = (page) =>
      page.routeWebSocket(/\/ws\?/, (socket) => {
        const real = socket.connectToServer();
        real.onMessage((text) => {
          if (isMine(JSON.parse(text))) held.push(text);
          else socket.send(text);
          if (held.length === 2) holds();
        });
        release = () => held.splice(0).forEach((text) => socket.send(text));
      });
    const alice = await enter(browser, server, "alice-token", { chat: 43, prepare });

    for (const first of ["event", "ok"]) {
      const both = new Promise((resolve) => (holds = resolve));
      await alice.evaluate((body) => {
        window.counts = [];
        const shown = () => [...document.querySelectorAll("#chat .body")];
        const count = () =>
          window.counts.push(shown().filter(({ textContent }) => textContent === body).length);
        const what = { childList: true, subtree: true };
        window.observer?.disconnect();
        window.observer = new MutationObserver(count);
        window.observer.observe(document.querySelector("#chat"), what);
      }, `${first} first`);
      await say(alice, `${first} first`);
      await alice.waitForSelector("#outbox .message");
      await both;
      held.sort((text) => (JSON.parse(text).op === first ? -1 : 1));
      release();

      await alice.waitForSelector(`#messages .body:text-is("${first} first")`);
      await hasSaid(alice, [], "#outbox");
      const counts = await alice.evaluate(() => window.counts);
      assert.deepEqual([...new Set(counts.slice(counts.indexOf(1)))], [1], first);
    }
    await leave(alice);
  });

  it("does not claim that a message arrived if no answer came", async () => {
    const prepare = playing(({ op, id, topic }, socket) => {
      if (op === "call") return send(socket, { op: "ok", id, data: HOME });
      if (op === "publish") return socket.close({ code: 1011, reason: "retry_after_ms=60000" });
      send(socket, { op: "snapshot", id, topic, epoch: "e", seq: 0, data: EMPTY });
    });
    const page = await open(browser, server, { token: "alice-token", chat: 42, prepare });

    await page.waitForSelector("#composer:not([hidden])");
    await say(page, "Did it?");

    await hasText(page, "#outbox .fate", /may or may not have arrived/);
    await page.click("#outbox .fate button:has-text('Discard')");
    await hasSaid(page, [], "#outbox");
    await leave(page);
  });
});
