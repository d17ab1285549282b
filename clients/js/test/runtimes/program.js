/* What the tests of runtimes.test.js run: a small program, which ends by itself once it has closed its connection. */

import process from "node:process";
import { connect, createStore, LeatError } from "@leat/client";

const [url, list] = process.argv.slice(2);

function reduce(items, { type, data }) {
  if (type === "snapshot") return data;
  return type === "event" ? [...items, data] : items;
}

const leat = connect(url, { getToken: async () => "alice" });
const store = createStore(leat.subscribe(list), reduce, []);
await leat.ready();
const { data, at } = await store.apply({ body: "mine" }, () => leat.publish(list, { body: "mine" }));
await store.topic.reached(at);
const refusal = await leat.call("no such method").catch((error) => error);

leat.reconnect("to resume");
await leat.ready();
const again = await leat.publish(list, { body: "ä€😀".repeat(3_000) });
await store.topic.reached(again.at);
const bodies = store.get().map(({ body }) => body.slice(0, 5));

leat.close();
const isKnown = store.get()[0].id === data.id && refusal instanceof LeatError;
console.log(JSON.stringify({ bodies, refusal: refusal.code, isKnown, state: leat.state }));
