/* What a connection makes of a page's life, of slow servers, and of what lies between it and its server. */

import assert from "node:assert/strict";
import { createConnection, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { startServer } from "../../../spec/browser/support/server.js";
import { connect } from "../src/client.js";
import { connect as connectInNode } from "../src/node.js";
import { NodeSocket } from "../src/node_socket.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

/** A browser's window and document, timers, and a clock of which the test says what it shows. */
function start(t) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const clock = { now: 1.7e12 };
  t.mock.method(Date, "now", () => clock.now);
  const [window, document] = [new EventTarget(), new EventTarget()];
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.document = document;
  const server = new FakeServer();
  const leat = connect("ws://server/ws", { WebSocket: server.WebSocket });
  const states = [];
  leat.addEventListener("state", ({ detail }) => states.push(detail.state));
  t.after(() => {
    leat.close();
    delete globalThis.addEventListener;
    delete globalThis.document;
  });
  const pass = async (ms) => {
    for (let passed = 0; passed < ms; passed += 500) {
      clock.now += 500;
      t.mock.timers.tick(500);
      await settle();
    }
  };
  const tell = (target, type, init) => target.dispatchEvent(Object.assign(new Event(type), init));
  return { clock, document, leat, pass, server, states, tell, window };
}

/** Replaces what the server does with what comes, and returns all that comes. */
function watch(server, act = () => {}) {
  const came = [];
  server.onMessage = (socket, message) => (came.push(message.op), act(socket, message));
  return came;
}

describe("a page", () => {
  for (const [word, where] of [["resume", "document"], ["online", "window"], ["offline", "window"]]) {
    it(`asks on "${word}" whether the connection lives, and gives up one that does not`, async (t) => {
      const page = start(t);
      await settle();
      const came = watch(page.server);
      page.tell(page[where], word);
      await page.pass(3_500);
      assert.deepEqual(came, ["call"]);
      assert.equal(page.leat.state, "live");
      await page.pass(500);
      assert.equal(page.leat.state, "waiting");
    });
  }

  it('connects at once on "online" and "resume", and not on "offline"', async (t) => {
    t.mock.method(Math, "random", () => 0.999);
    const page = start(t);
    await settle();
    for (const [word, where, expected] of [["offline", "window", "waiting"], ["online", "window", "live"], ["resume", "document", "live"]]) {
      page.server.cut();
      page.tell(page[where], word);
      await settle();
      assert.equal(page.leat.state, expected, word);
      page.leat.reconnect();
      await settle();
    }
  });

  it("has no socket in the back/forward cache, and comes back at once", async (t) => {
    const page = start(t);
    let state;
    page.leat.subscribe("chat", { change: (change) => (state = list(state, change)) });
    await settle();
    page.tell(page.window, "pagehide", { persisted: false }); // it is not kept
    assert.equal(page.leat.state, "live");
    page.tell(page.window, "pagehide", { persisted: true });
    assert.equal(page.server.socket.isOpen, false);
    page.server.commit("chat", "meanwhile");
    await page.pass(60_000);
    assert.equal(page.leat.state, "sleeping");
    page.tell(page.window, "pageshow", { persisted: true });
    await settle();
    assert.deepEqual(state, ["meanwhile"]);
    assert.deepEqual(page.states, ["connecting", "live", "sleeping", "connecting", "live"]);
  });

  it("is not shaken by a clock that is put forward or back, by whatever", async (t) => {
    const page = start(t);
    await settle();
    for (const jump of [3_600_000, -7_200_000, 86_400_000, -1_000]) {
      page.clock.now += jump;
      await page.pass(60_000);
    }
    assert.deepEqual(page.states, ["connecting", "live"]);
    const came = watch(page.server); // and a dead connection is found, whatever the clock shows
    page.clock.now -= 3_600_000;
    await page.pass(60_000);
    assert.ok(came.includes("call"));
    assert.ok(page.states.includes("waiting"));
  });

  it("finds out that it slept while it was connecting", async (t) => {
    const page = start(t);
    await settle();
    page.server.cut();
    const socket = page.server.socket;
    page.server.accepts = null; // neither opens nor fails
    page.clock.now += 3_600_000;
    await page.pass(90_000);
    page.server.accepts = true;
    await page.pass(40_000);
    assert.notEqual(page.server.socket, socket);
    assert.equal(page.leat.state, "live");
  });
});

describe("a server that is slow", () => {
  it("is waited for, up to a limit", async (t) => {
    const page = start(t);
    await settle();
    let delay = 14_000;
    watch(page.server, (socket, message) => setTimeout(() => page.server.answer(socket, message), delay));
    const slow = page.leat.publish("chat", "slow");
    await page.pass(14_500);
    await slow;
    const patient = page.leat.call("report", {}, { timeoutMs: 30_000 });
    delay = 44_000;
    await page.pass(44_500);
    await patient;
    assert.deepEqual(page.states, ["connecting", "live"]);
    const never = page.leat.publish("chat", "never").catch(({ code }) => code);
    delay = 16_000;
    await page.pass(15_500);
    assert.equal(await never, "disconnected");
  });
});

describe("a proxy that swallows", () => {
  const ways = { "what goes to the server": ["isDeaf"], "what comes from it": ["isMute"], "both ways": ["isDeaf", "isMute"] };
  for (const [what, flags] of Object.entries(ways)) {
    it(`${what} is got round within a minute, and nothing is lost`, async (t) => {
      const page = start(t);
      let state;
      page.leat.subscribe("chat", { change: (change) => (state = list(state, change)) });
      page.server.commit("chat", "before");
      await settle();
      const { socket } = page.server;
      page.server.onMessage = (at, message) => at.isDeaf || page.server.answer(at, message);
      for (const flag of flags) socket[flag] = true;
      page.server.commit("chat", "meanwhile");
      await page.pass(50_000);
      page.server.commit("chat", "after");
      assert.notEqual(page.server.socket, socket);
      assert.equal(page.leat.state, "live");
      assert.deepEqual(state, ["before", "meanwhile", "after"]);
    });
  }

  it("what goes to the server is found by the next request, if events still come", async (t) => {
    const page = start(t);
    page.leat.subscribe("chat", {});
    await settle();
    const { socket } = page.server;
    page.server.onMessage = (at, message) => at.isDeaf || page.server.answer(at, message);
    socket.isDeaf = true;
    for (let i = 0; i < 10; i++) {
      page.server.commit("chat", i);
      await page.pass(10_000);
    }
    assert.equal(page.server.socket, socket);
    const answer = page.leat.publish("chat", "mine").catch(({ code }) => code);
    await page.pass(16_000);
    assert.equal(await answer, "disconnected");
    assert.equal(page.leat.state, "live");
    assert.notEqual(page.server.socket, socket);
  });
});

/** A proxy in front of a server. `pass(bytes, toServer)` says what of it goes on; cut() ends all connections. */
async function startProxy(server, { idleMs = 0 } = {}) {
  const sockets = new Set();
  const proxy = { opened: 0, pass: (bytes) => bytes };
  const gate = createServer((client) => {
    proxy.opened++;
    const { hostname, port } = new URL(server.url);
    const upstream = createConnection(Number(port), hostname);
    const both = [client, upstream];
    const end = () => both.forEach((socket) => socket.destroy());
    for (const [from, to] of [both, both.toReversed()]) {
      sockets.add(from);
      if (idleMs) from.setTimeout(idleMs, end);
      from.on("data", (bytes) => {
        const passed = proxy.pass(bytes, from === client);
        if (passed?.length) to.write(passed);
      });
      from.on("close", end).on("error", end);
    }
  });
  await new Promise((resolve) => gate.listen(0, "127.0.0.1", resolve));
  proxy.url = `ws://127.0.0.1:${gate.address().port}/ws`;
  proxy.close = () => {
    for (const socket of sockets) socket.destroy();
    gate.close();
  };
  return proxy;
}

describe("a proxy", { timeout: 60_000 }, () => {
  let server;
  before(async () => {
    server = await startServer(fileURLToPath(new URL("app/app.lua", import.meta.url)), {
      LEAT_PING_INTERVAL_MS: "1000",
      LEAT_PONG_TIMEOUT_MS: "1000",
    });
  });
  after(() => server?.stop());

  /** Publishes one item after the other, and resolves when the client has all of them. */
  async function follow(t, proxy, name, meanwhile) {
    const leat = connectInNode(proxy.url, { token: "alice", WebSocket: NodeSocket });
    t.after(() => (leat.close(), proxy.close()));
    const reasons = [];
    leat.addEventListener("state", ({ detail }) => detail.state === "waiting" && reasons.push(detail.reason));
    const items = [];
    const publish = (n) => server.sql(`select leat.publish('list:${name}', '${n}')`);
    await leat.ready();
    const all = new Promise((resolve) => {
      leat.subscribe(`list:${name}`, { event: (n) => items.push(n) === 4 && resolve() });
    });
    for (const n of [1, 2]) await publish(n);
    await meanwhile(leat);
    for (const n of [3, 4]) await publish(n);
    await all;
    assert.deepEqual(items, [1, 2, 3, 4]);
    return reasons;
  }

  /** Resolves when the proxy has been connected to for the nth time. */
  async function connections(proxy, n) {
    while (proxy.opened < n) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  it("that ends idle connections costs no event", async (t) => {
    const proxy = await startProxy(server, { idleMs: 1_000 });
    await follow(t, proxy, "idle", () => connections(proxy, 2));
  });

  it("that swallows pings costs no event", async (t) => {
    const proxy = await startProxy(server);
    proxy.pass = (bytes, toServer) => (!toServer && bytes[0] === 0x89 ? null : bytes);
    const reasons = await follow(t, proxy, "pings", () => connections(proxy, 2));
    assert.ok(reasons.length >= 1);
  });

  it("that is drained behind is come back to in the time that the server names", async (t) => {
    const proxy = await startProxy(server);
    const reasons = await follow(t, proxy, "drain", async () => {
      await server.shutDown();
      await server.start();
    });
    assert.match(reasons[0], /retry_after_ms=\d+/);
  });
});
