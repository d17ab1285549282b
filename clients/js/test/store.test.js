import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, createStore } from "../src/client.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

function start(t) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const server = new FakeServer();
  const leat = connect("ws://server/ws", { WebSocket: server.WebSocket });
  t.after(() => leat.close());
  const store = createStore(leat.subscribe("chat"), list, []);
  const seen = [];
  store.subscribe(() => seen.push(JSON.stringify(store.get())));
  return { server, leat, store, seen };
}

describe("a store", () => {
  it("keeps what it shows through a cut, a resync and a new epoch", async (t) => {
    const { server, store, seen } = start(t);
    server.commit("chat", "a");
    await settle();
    server.cut();
    assert.deepEqual(store.get(), ["a"]);
    assert.equal(store.status().state, "waiting");
    server.topics.set("chat", { epoch: "e2", seq: 1, log: [{ seq: 1, data: "A" }] });
    t.mock.timers.tick(500);
    await settle();
    assert.deepEqual(store.get(), ["A"]);
    assert.ok(!seen.slice(seen.indexOf('["a"]')).includes("[]"), "it flashed");
  });

  it("shows a change at once and never twice, whichever comes first", async (t) => {
    for (const eventFirst of [true, false]) {
      const { server, leat, store, seen } = start(t);
      await settle();
      server.onMessage = (socket, { id, data }) => {
        const at = { topic: "chat", epoch: "e1", seq: server.topic("chat").seq + 1 };
        if (eventFirst) server.commit("chat", data);
        socket.deliver({ op: "ok", id, at: [at] });
        if (!eventFirst) server.commit("chat", data);
      };
      const answer = store.apply("mine", () => leat.publish("chat", "mine"));
      assert.deepEqual(store.get(), ["mine"]);
      await answer;
      await settle();
      assert.deepEqual(store.get(), ["mine"]);
      const since = seen.slice(seen.indexOf('["mine"]'));
      assert.ok(since.every((state) => state === '["mine"]'), since.join(" "));
      leat.close();
      t.mock.timers.reset();
    }
  });

  it("rolls back what the server refuses, and keeps what others did meanwhile", async (t) => {
    const { server, leat, store } = start(t);
    await settle();
    server.onMessage = (socket, { id }) => {
      server.commit("chat", "theirs");
      socket.deliver({ op: "error", id, code: "forbidden", message: "no" });
    };
    const answer = store.apply("mine", () => leat.publish("chat", "mine"));
    await assert.rejects(answer, { code: "forbidden" });
    assert.deepEqual(store.get(), ["theirs"]);
  });

  it("holds others' changes back no longer than a moment", async (t) => {
    const { server, leat, store } = start(t);
    await settle();
    server.onMessage = () => {};
    store.apply("mine", () => leat.publish("chat", "mine")).catch(() => {});
    await settle();
    server.commit("chat", "theirs");
    assert.deepEqual(store.get(), ["mine"]);
    t.mock.timers.tick(500);
    assert.deepEqual(store.get(), ["theirs", "mine"]);
  });

  it("does not show a change twice that a resync has already", async (t) => {
    const { server, leat, store, seen } = start(t);
    await settle();
    server.onMessage = (socket, { id, data }) => {
      const topic = server.topic("chat");
      topic.log.push({ seq: ++topic.seq, data });
      server.snapshot(socket, "chat"); // a resync, before the answer
      t.mock.timers.tick(100);
      socket.deliver({ op: "ok", id, at: [{ topic: "chat", epoch: "e1", seq: topic.seq }] });
    };
    await store.apply("mine", () => leat.publish("chat", "mine"));
    await settle();
    assert.deepEqual(store.get(), ["mine"]);
    assert.ok(!seen.includes('["mine","mine"]'), seen.join(" "));
  });

  it("keeps a change through a resync that began before it", async (t) => {
    const { server, leat, store } = start(t);
    server.commit("chat", "a");
    await settle();
    let answer;
    server.onMessage = (socket, { id }) => (answer = () => socket.deliver({ op: "ok", id, at: [at] }));
    const applied = store.apply("mine", () => leat.publish("chat", "mine"));
    await settle();
    server.snapshot(server.socket, "chat");
    t.mock.timers.tick(600);
    assert.deepEqual(store.get(), ["a", "mine"]);
    const at = server.commit("chat", "mine");
    answer();
    await applied;
    await settle();
    assert.deepEqual(store.get(), ["a", "mine"]);
  });

  it("drops a change whose position is of a numbering that is over", async (t) => {
    const { server, leat, store } = start(t);
    await settle();
    server.onMessage = (socket, { op, id, ...rest }) => {
      if (op !== "publish") return server.answer(socket, { op, id, ...rest });
      socket.deliver({ op: "ok", id, at: [{ topic: "chat", epoch: "of old", seq: 9 }] });
    };
    await store.apply("mine", () => leat.publish("chat", "mine"));
    assert.deepEqual(store.get(), ["mine"]);
    for (let i = 0; i < 20; i++) {
      t.mock.timers.tick(500);
      await settle();
    }
    assert.deepEqual(store.get(), []);
  });

  it("goes on though a listener or the reduce function throws", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const reported = [];
    globalThis.reportError = (error) => reported.push(error.message);
    t.after(() => delete globalThis.reportError);
    const server = new FakeServer();
    const leat = connect("ws://server/ws", { WebSocket: server.WebSocket });
    t.after(() => leat.close());
    const strict = (state, change) => {
      if (change.data === "bad") throw new Error("reduce");
      return list(state, change);
    };
    const store = createStore(leat.subscribe("chat"), strict, []);
    let told = 0;
    store.subscribe(() => {
      throw new Error("listener");
    });
    store.subscribe(() => told++);
    await settle();
    for (const data of ["a", "bad", "b"]) server.commit("chat", data);
    assert.deepEqual(store.get(), ["a", "b"]);
    const { data } = await store.apply("mine", async () => ({ data: "sent", at: [] }));
    assert.equal(data, "sent");
    assert.ok(told > 3);
    leat.close();
    assert.deepEqual([...new Set(reported)], ["listener", "reduce"]);
  });

  it("gives the same object as long as nothing has changed", async (t) => {
    const { server, store } = start(t);
    await settle();
    server.commit("chat", "a");
    assert.equal(store.get(), store.get());
    assert.equal(store.status(), store.status());
  });

  it("tells why a topic has ended", async (t) => {
    const { server, store } = start(t);
    await settle();
    server.socket.deliver({ op: "closed", topic: "chat", code: "revoked", message: "gone" });
    assert.equal(store.status().state, "closed");
    assert.equal(store.status().error.code, "revoked");
  });
});
