/* In Node, against a real server. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { startServer } from "../../../spec/browser/support/server.js";
import { connect, createStore, positionsOf } from "../src/node.js";
import { NodeSocket } from "../src/node_socket.js";

const app = fileURLToPath(new URL("app/app.lua", import.meta.url));
const bodies = (items) => items.map(({ body }) => body);

function reduce(state, { type, data }) {
  if (type === "snapshot") return data;
  return type === "event" ? [...state, data] : state;
}

/** Resolves when look() is true, which is asked at each change of the store. */
function shows(store, look) {
  return new Promise((resolve) => {
    const ask = () => {
      if (!look(store.get())) return;
      unsubscribe();
      resolve();
    };
    const unsubscribe = store.subscribe(ask);
    queueMicrotask(ask);
  });
}

describe("in Node", { timeout: 120_000 }, () => {
  let server;
  const connections = [];
  before(async () => (server = await startServer(app)));
  after(async () => {
    for (const leat of connections) leat.close();
    await server?.stop();
  });

  function open(token, options) {
    const leat = connect(new URL("ws", server.url), { token, WebSocket: NodeSocket, ...options });
    connections.push(leat);
    return leat;
  }

  it("one publishes what another gets, in order, each once", async () => {
    const [alice, bob] = [open("alice"), open("bob")];
    await alice.ready();
    const store = createStore(bob.subscribe("list:one"), reduce, []);
    const texts = Array.from({ length: 50 }, (_, i) => `text ${i} ${"ä€😀".repeat(i * 40)}`);
    for (const body of texts) alice.publish("list:one", { body });
    await shows(store, (state) => state.length === texts.length);
    assert.deepEqual(bodies(store.get()), texts);
  });

  it("an optimistic change becomes the real one", async () => {
    const alice = open("alice");
    await alice.ready();
    const store = createStore(alice.subscribe("list:two"), reduce, []);
    await shows(store, () => store.status().state === "live");
    const answer = store.apply({ body: "mine" }, () => alice.publish("list:two", { body: "mine" }));
    assert.deepEqual(bodies(store.get()), ["mine"]);
    const { data } = await answer;
    await shows(store, (state) => state[0]?.id === data.id);
    assert.deepEqual(store.get(), [data]);
  });

  it("what a route has written is awaited by the position in its answer", async () => {
    const alice = open("alice");
    const store = createStore(alice.subscribe("list:käse, 1%"), reduce, []);
    await shows(store, () => store.status().state === "live");
    const post = (body) => {
      const url = new URL(`lists/${encodeURIComponent("käse, 1%")}`, server.url);
      return fetch(url, { method: "POST", headers: { Authorization: "Bearer alice" }, body });
    };

    await store.topic.reached(positionsOf(await post("first")));
    assert.deepEqual(bodies(store.get()), ["first"]);

    const answer = store.apply({ body: "second" }, async () => ({ at: positionsOf(await post("second")) }));
    assert.deepEqual(bodies(store.get()), ["first", "second"]);
    const { at } = await answer;
    assert.deepEqual(at, [{ ...store.topic.position, seq: 2 }]);
    await store.topic.reached(at);
    assert.deepEqual(bodies(store.get()), ["first", "second"]);
    assert.ok(store.get().every(({ id }) => id > 0));
  });

  it("a crash and a restart lose nothing", async () => {
    const alice = open("alice");
    const store = createStore(alice.subscribe("list:three"), reduce, []);
    await shows(store, () => store.status().state === "live");
    for (const way of ["crash", "shutDown"]) {
      await server[way]();
      await server.sql(
        `insert into items (list, body) values ('three', '${way}');
         select leat.publish('list:three', '{"body":"${way}"}')`,
      );
      await server.start();
      alice.reconnect();
      await shows(store, (state) => state.at(-1)?.body === way);
    }
    assert.deepEqual(bodies(store.get()), ["crash", "shutDown"]);
  });

  it("a revocation ends the topic, and not the connection", async () => {
    const mallory = open("mallory");
    const topic = mallory.subscribe("list:four");
    await mallory.ready();
    const seen = [];
    const ended = assert.rejects(
      (async () => {
        for await (const { type } of topic) {
          seen.push(type);
          await server.sql(
            "insert into banned values ('mallory'); select leat.revoke('list:four', 'mallory')",
          );
        }
      })(),
      (error) => ["revoked", "forbidden"].includes(error.code),
    );
    await ended;
    assert.deepEqual(seen, ["snapshot"]);
    assert.equal(mallory.state, "live");
  });

  it("a server that refuses the token is not asked for ever", async () => {
    await server.sql("insert into banned values ('eve')");
    await assert.rejects(open("eve").ready(), { code: "unauthenticated" });
  });
});
