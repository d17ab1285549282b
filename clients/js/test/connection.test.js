import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, LeatError } from "../src/client.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

const TIMERS = { apis: ["setTimeout", "setInterval", "Date"] };

function start(t, options = {}) {
  t.mock.timers.enable(TIMERS);
  const server = new FakeServer();
  const leat = connect("ws://server/ws", { WebSocket: server.WebSocket, ...options });
  t.after(() => leat.close());
  return { server, leat };
}

function follow(leat, name, options) {
  const view = { state: undefined, states: [], errors: [], closed: null };
  view.topic = leat.subscribe(
    name,
    {
      change: (change) => (view.state = list(view.state, change)),
      state: (state) => view.states.push(state),
      error: (error) => view.errors.push(error.code),
      closed: (error) => (view.closed = error.code),
    },
    options,
  );
  return view;
}

describe("a connection", () => {
  it("gets a snapshot and then each event, and resumes after a cut", async (t) => {
    const { server, leat } = start(t);
    server.commit("chat", "a");
    const view = follow(leat, "chat");
    await settle();
    server.commit("chat", "b");
    assert.deepEqual(view.state, ["a", "b"]);

    server.cut();
    server.commit("chat", "c");
    assert.equal(leat.state, "waiting");
    t.mock.timers.tick(500);
    await settle();

    assert.equal(leat.state, "live");
    assert.deepEqual(view.state, ["a", "b", "c"]);
    assert.deepEqual(view.states, ["waiting", "subscribing", "live", "waiting", "subscribing", "live"]);
  });

  it("waits as long as a draining server asks", async (t) => {
    const { server, leat } = start(t);
    await settle();
    server.cut(1001, "retry_after_ms=7000");
    t.mock.timers.tick(6999);
    await settle();
    assert.equal(leat.state, "waiting");
    t.mock.timers.tick(1);
    await settle();
    assert.equal(leat.state, "live");
  });

  it("backs off with full jitter, up to 30 s", async (t) => {
    t.mock.method(Math, "random", () => 0.999999);
    const { server, leat } = start(t);
    server.accepts = false;
    const waits = [];
    leat.addEventListener("state", ({ detail }) => {
      if (detail.state === "waiting") waits.push(detail.retryAt - Date.now());
    });
    for (let i = 0; i < 9; i++) {
      await settle();
      t.mock.timers.tick(30_000);
    }
    const rounded = waits.slice(0, 8).map((ms) => Math.round(ms / 100) * 100);
    assert.deepEqual(rounded, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  });

  it("believes once a server that asks for no time at all", async (t) => {
    t.mock.method(Math, "random", () => 0.999999);
    for (const reason of ["retry_after_ms=0", "retry_after_ms=1e99", "retry_after_ms=-1"]) {
      const { server, leat } = start(t);
      for (let ms = 0; ms < 60_000; ms += 100) {
        await settle();
        if (leat.state === "live") server.cut(1001, reason);
        t.mock.timers.tick(100);
      }
      leat.close();
      assert.ok(server.sockets.length < 10, `${server.sockets.length} connections in a minute: ${reason}`);
      t.mock.timers.reset();
    }
  });

  it("subscribes again where the server says that the error passes, and not otherwise", async (t) => {
    const { server, leat } = start(t);
    let refusals = 2;
    server.onMessage = (socket, message) => {
      const { op, id, topic } = message;
      if (topic === "secret") socket.deliver({ op: "error", id, code: "forbidden", message: "no" });
      else if (op === "subscribe" && refusals-- > 0) {
        socket.deliver({ op: "error", id, code: "unavailable", message: "full", retry_after_ms: 100 });
      } else server.answer(socket, message);
    };
    const chat = follow(leat, "chat");
    const secret = follow(leat, "secret");
    for (let i = 0; i < 2; i++) {
      await settle();
      t.mock.timers.tick(1_200);
    }
    await settle();
    assert.deepEqual(chat.errors, ["unavailable", "unavailable"]);
    assert.equal(chat.topic.state, "live");
    assert.equal(secret.closed, "forbidden");
    assert.equal(secret.topic.state, "closed");
  });

  it("takes anything from a broken server", async (t) => {
    const { server, leat } = start(t);
    const view = follow(leat, "chat");
    await settle();
    let deep = [];
    for (let i = 0; i < 100_000; i++) deep = [deep];
    for (const nothing of [{ toString: 1, valueOf: 1 }, deep, null, true]) {
      for (const op of ["event", "skip", "snapshot", "resumed", "signal", "closed", "error", "ok", nothing]) {
        const socket = server.socket;
        // Not as text: a list so deep cannot be written as one.
        const said = { op, id: nothing, topic: "chat", epoch: nothing, seq: nothing, code: nothing, message: nothing };
        t.mock.method(JSON, "parse", () => ({ ...said, retry_after_ms: nothing }), { times: 1 });
        socket.onmessage({ data: "{}" });
        await settle();
        t.mock.timers.tick(60_000);
        await settle();
        if (view.topic.state === "closed") Object.assign(view, follow(leat, "chat"));
        await settle();
      }
    }
    assert.equal(leat.state, "live");
    assert.equal(view.topic.state, "live");

    server.onMessage = (socket, { op, id }) =>
      socket.deliver({ op: op === "call" ? "error" : "ok", id, code: {}, message: {}, retry_after_ms: {} });
    await assert.rejects(leat.call("anything"), { name: "LeatError", code: "internal", retryAfterMs: 0 });
  });

  it("starts over when a position does not follow the last one", async (t) => {
    const { server, leat } = start(t);
    const view = follow(leat, "chat");
    await settle();
    server.topic("chat").log.push({ seq: 1, data: "lost" });
    server.topic("chat").seq = 1;
    server.commit("chat", "b");
    await settle();
    assert.deepEqual(view.errors, ["out_of_order"]);
    assert.deepEqual(view.state, ["lost", "b"]);
  });

  it("gives a silent connection up", async (t) => {
    const { server, leat } = start(t);
    await settle();
    server.onMessage = () => {};
    const answer = leat.publish("chat", 1).catch((error) => error);
    t.mock.timers.tick(15_000);
    assert.equal((await answer).code, "disconnected");
    assert.equal(leat.state, "waiting");
    assert.ok((await answer) instanceof LeatError);
  });

  it("asks whether the server is there when the clock has jumped", async (t) => {
    const { server, leat } = start(t);
    await settle();
    server.onMessage = () => {};
    t.mock.timers.setTime(Date.now() + 3_600_000);
    t.mock.timers.tick(5_000);
    t.mock.timers.tick(4_000);
    assert.notEqual(leat.state, "live");
  });

  it("leaves nothing running after close()", async (t) => {
    const { server, leat } = start(t);
    const view = follow(leat, "chat");
    await settle();
    const answer = leat.call("slow").catch((error) => error.code);
    leat.close();
    assert.equal(view.closed, "closed");
    assert.equal(await answer, "disconnected");
    t.mock.timers.tick(3_600_000);
    await settle();
    assert.equal(server.sockets.length, 1);
    assert.throws(() => leat.subscribe("other"), /closed/);
  });
});

describe("a token", () => {
  const jwt = (exp) => `x.${btoa(JSON.stringify({ exp }))}.y`;

  it("is fetched for each attempt and renewed before it expires", async (t) => {
    let n = 0;
    const getToken = async () => ({ token: `t${++n}`, expiresAt: Date.now() + 600_000 });
    const { server, leat } = start(t, { getToken });
    await settle();
    assert.match(server.socket.url, /\?authenticate=message$/);
    assert.deepEqual(server.tokens, ["t1"]);
    t.mock.timers.tick(560_000);
    await settle();
    assert.deepEqual(server.tokens, ["t1", "t2"]);
    server.cut();
    t.mock.timers.tick(500);
    await settle();
    assert.deepEqual(server.tokens, ["t1", "t2", "t3"]);
    assert.equal(leat.state, "live");
  });

  it("says when it expires, if it is a JWT", async (t) => {
    const { server } = start(t, { getToken: () => jwt(Date.now() / 1000 + 100) });
    await settle();
    assert.equal(server.tokens.length, 1);
    for (let passed = 0; passed < 95_000; passed += 5_000) t.mock.timers.tick(5_000);
    await settle();
    assert.equal(server.tokens.length, 2);
  });

  it("that the server refuses ends the attempts, until reconnect()", async (t) => {
    const { server, leat } = start(t, { token: "bad" });
    let isGood = false;
    server.onMessage = (socket, message) => {
      if (isGood) return server.answer(socket, message);
      socket.deliver({ op: "error", id: message.id, code: "unauthenticated", message: "no" });
      server.cut(4401, "");
    };
    const view = follow(leat, "chat");
    await settle();
    t.mock.timers.tick(60_000);
    await settle();
    assert.equal(leat.state, "refused");
    assert.equal(server.sockets.length, 1);
    await assert.rejects(leat.ready(), { code: "unauthenticated" });
    assert.equal(view.topic.state, "waiting");
    isGood = true;
    leat.reconnect();
    await leat.ready();
    assert.equal(leat.state, "live");
    assert.equal(view.topic.state, "live");
  });

  it("that is null means that nobody is signed in", async (t) => {
    const { server, leat } = start(t, { getToken: () => null });
    await settle();
    assert.equal(leat.state, "refused");
    assert.equal(server.sockets.length, 0);
  });

  it("whose fetch fails or hangs is fetched again", async (t) => {
    let n = 0;
    const hang = new Promise(() => {});
    const getToken = () => (++n === 1 ? Promise.reject(new Error("down")) : n === 2 ? hang : "t");
    const { leat } = start(t, { getToken });
    for (let i = 0; i < 4; i++) {
      await settle();
      t.mock.timers.tick(10_000);
    }
    await settle();
    assert.equal(leat.state, "live");
  });
});

describe("a topic", () => {
  it("is read by a loop, which ends it when it is left", async (t) => {
    const { server, leat } = start(t);
    server.commit("chat", "a");
    const topic = leat.subscribe("chat");
    await settle();
    assert.equal(topic.state, "idle");
    const seen = [];
    const loop = (async () => {
      for await (const { type, data } of topic) {
        seen.push([type, data]);
        if (data === "c") break;
      }
    })();
    await settle();
    server.commit("chat", "b");
    server.commit("chat", "c");
    await loop;
    await settle();
    assert.deepEqual(seen, [["snapshot", ["a"]], ["event", "b"], ["event", "c"]]);
    assert.equal(topic.state, "closed");
    assert.equal(server.socket.subscribed.size, 0);
  });

  it("that a slow loop cannot keep is replaced by a fresh snapshot", async (t) => {
    const { server, leat } = start(t);
    const loop = leat.subscribe("chat")[Symbol.asyncIterator]();
    await settle();
    for (let i = 1; i <= 1_500; i++) server.commit("chat", i);
    await settle();
    let state;
    for (let i = 0; i < 600 && state?.length !== 1_500; i++) {
      state = list(state, (await loop.next()).value);
    }
    assert.equal(state.length, 1_500);
  });

  it("tells when a position has been reached", async (t) => {
    const { server, leat } = start(t);
    const view = follow(leat, "chat");
    const { topic } = view;
    await settle();
    const done = [];
    topic.reached({ epoch: "e1", seq: 2 }).then(() => done.push("e1:2"));
    topic.reached([{ topic: "other", epoch: "x", seq: 9 }]).then(() => done.push("other"));
    topic.reached({ epoch: "e2", seq: 1 }).then(() => done.push("e2:1"));
    await settle();
    assert.deepEqual(done, ["other"]);
    server.commit("chat", "a");
    server.socket.deliver({ op: "skip", topic: "chat", seq: 2 });
    await settle();
    assert.deepEqual(done, ["other", "e1:2"]);
    server.topics.set("chat", { epoch: "e2", seq: 1, log: [{ seq: 1, data: "z" }] });
    server.snapshot(server.socket, "chat");
    await topic.reached({ epoch: "e1", seq: 99 });
    await settle();
    assert.deepEqual(done, ["other", "e1:2", "e2:1"]);
    const never = topic.reached({ epoch: "e2", seq: 5 });
    topic.close();
    await assert.rejects(never, { code: "closed" });
    assert.equal(view.closed, "closed");
  });
});
