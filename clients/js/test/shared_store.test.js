/* Stores that components share: as React, Vue and Svelte use them. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "../src/client.js";
import { sharedStore } from "../src/shared_store.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

function start(t) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const server = new FakeServer();
  const leat = connect("ws://server/ws", { WebSocket: server.WebSocket });
  t.after(() => leat.close());
  const asked = [];
  const answer = server.onMessage;
  server.onMessage = (socket, message) => {
    asked.push(message.op);
    answer(socket, message);
  };
  return { server, leat, asked, store: () => sharedStore(leat, "chat", list, { initial: [] }) };
}

describe("a shared store", () => {
  it("subscribes once for all, though each of them comes, goes and comes again", async (t) => {
    const { leat, server, asked, store } = start(t);
    await leat.ready();
    const first = store();
    first.subscribe(() => {})();
    const ends = [first.subscribe(() => {}), store().subscribe(() => {})];
    await settle();
    server.commit("chat", "a");
    assert.deepEqual(store().get(), ["a"]);
    for (const end of ends) end();
    t.mock.timers.tick(500);
    const end = store().subscribe(() => {});
    t.mock.timers.tick(5_000);
    await settle();
    assert.deepEqual(asked, ["subscribe"]);
    end();
    end(); // a second time, as nobody should
    t.mock.timers.tick(1_000);
    await settle();
    assert.deepEqual(asked, ["subscribe", "unsubscribe"]);
  });

  it("that was hidden for long, and is shown again, lives again", async (t) => {
    const { leat, server, store } = start(t);
    await leat.ready();
    const hidden = store();
    hidden.subscribe(() => {})();
    t.mock.timers.tick(5_000);
    await settle();
    server.commit("chat", "meanwhile");
    const end = hidden.subscribe(() => {});
    const another = store().subscribe(() => {}); // of a component that was made meanwhile
    await settle();
    server.commit("chat", "now");
    assert.deepEqual(hidden.get(), ["meanwhile", "now"]);
    assert.deepEqual(store().get(), ["meanwhile", "now"]);
    end();
    another();
  });

  it("is forgotten if nobody comes, and if all have gone", async (t) => {
    const { leat } = start(t);
    await leat.ready();
    const rendered = sharedStore(leat, "chat", list, { initial: ["first"] });
    assert.deepEqual(rendered.get(), ["first"]);
    t.mock.timers.tick(60_000);
    assert.deepEqual(sharedStore(leat, "chat", list, { initial: ["second"] }).get(), ["second"]);
  });

  it("of a connection that is closed is closed, and breaks no component", async (t) => {
    const { leat, store } = start(t);
    await leat.ready();
    leat.close();
    const end = store().subscribe(() => {});
    assert.equal(store().status().state, "closed");
    assert.deepEqual(store().get(), []);
    await assert.rejects(store().apply("mine", () => leat.publish("chat", "mine")), { code: "closed" });
    end();
  });

  it("takes a change also while nobody listens", async (t) => {
    const { leat, store } = start(t);
    await leat.ready();
    const { data } = await store().apply("mine", async () => ({ data: "sent" }));
    assert.equal(data, "sent");
  });
});
