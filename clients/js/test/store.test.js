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
