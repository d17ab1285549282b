/* Mistakes in arguments are told where they are made, by a TypeError that says what is wanted. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, createStore } from "../src/client.js";
import { sharedStore } from "../src/shared_store.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

function open(t, options) {
  const { WebSocket } = new FakeServer();
  const leat = connect("ws://server/ws", { WebSocket, ...options });
  t.after(() => leat.close());
  return leat;
}

const MISTAKES = {
  "an address without a host": [() => connect("/ws"), /URL/],
  "an address of something else": [() => connect("ftp://server/"), /not an address of ws or http/],
  "a getToken that is none": [(t) => open(t, { getToken: "secret" }), /getToken must be a function/],
  "a token that is none": [(t) => open(t, { token: 7 }), /a token must be a string/],
  "no topic": [(t) => open(t).subscribe(), /a topic must be a string/],
  "an empty topic": [(t) => open(t).subscribe(""), /a topic must be a string/],
  "a function for handlers": [(t) => open(t).subscribe("chat", () => {}), /handlers must be an object/],
  "a handler that is no function": [(t) => open(t).subscribe("chat", { event: 1 }), /the handler event must be/],
  "a deadline that is none": [(t) => open(t).subscribe("chat", null, { timeoutMs: "5" }), /timeoutMs must be/],
  "handlers that are none": [(t) => open(t).subscribe("chat").attach(), /handlers must be an object/],
  "no topic to publish to": [(t) => open(t).publish(undefined, 1), /a topic must be a string/],
  "no method": [(t) => open(t).call(), /a method must be a string/],
  "a call's deadline that is none": [(t) => open(t).call("rename", {}, { timeoutMs: 0 }), /timeoutMs must be/],
  "no token": [(t) => open(t).authenticate(null), /a token must be a string/],
  "no position to have come to": [(t) => open(t).subscribe("chat").has(), /a position must be/],
  "half a position": [(t) => open(t).subscribe("chat").reached({ epoch: "e1" }), /a position must be/],
  "an answer for a position": [(t) => open(t).subscribe("chat").reached({ data: 1, at: [] }), /a position must be/],
  "a signal that is none": [(t) => open(t).subscribe("chat").reached([{ epoch: "e", seq: 1 }], { signal: 1 }), /signal/],
  "a store without a topic": [() => createStore("chat", list), /what subscribe\(\) returns/],
  "a store without reduce": [(t) => createStore(open(t).subscribe("chat")), /reduce must be a function/],
  "a listener that is none": [(t) => createStore(open(t).subscribe("chat"), list).subscribe(), /a listener must be/],
  "a change without a request": [(t) => createStore(open(t).subscribe("chat"), list, []).apply(1), /send must be/],
  "a hook without a connection": [() => sharedStore(undefined, "chat", list), /must be a connection/],
  "a hook without a topic": [(t) => sharedStore(open(t), undefined, list), /a topic must be a string/],
  "a hook without reduce": [(t) => sharedStore(open(t), "chat"), /reduce must be a function/],
};

describe("a mistake", () => {
  for (const [name, [make, message]] of Object.entries(MISTAKES)) {
    it(`is told: ${name}`, async (t) => {
      await assert.rejects(async () => make(t), { name: "TypeError", message });
    });
  }

  it("is told: no WebSocket", () => {
    const { WebSocket } = globalThis;
    try {
      globalThis.WebSocket = undefined;
      assert.throws(() => connect("ws://server/ws"), { name: "TypeError", message: /no WebSocket here/ });
    } finally {
      globalThis.WebSocket = WebSocket;
    }
  });

  it("leaves the name of a topic free", (t) => {
    const leat = open(t);
    assert.throws(() => leat.subscribe("chat", { event: 1 }), TypeError);
    assert.equal(leat.subscribe("chat").state, "idle");
  });

  it("in what a request returns takes the change back", async (t) => {
    const store = createStore(open(t).subscribe("chat"), list, []);
    await settle();
    await assert.rejects(store.apply("mine", async () => ({ at: "yesterday" })), /a position must be/);
    assert.deepEqual(store.get(), []);
  });
});
