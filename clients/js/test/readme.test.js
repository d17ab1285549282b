/* The README's examples, run against a fake server. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import * as client from "../src/client.js";
import { FakeServer, settle } from "./support/fake_server.js";

const AsyncFunction = (async () => {}).constructor;
const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
const [first, others] = [...text.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

it("the README's store shows what is said, and its other readers see it, too", async () => {
  const server = new FakeServer();
  server.commit("chat:42", "before");
  const connections = [];
  const world = {
    createStore: client.createStore,
    connect: (url, options) => {
      const leat = client.connect(`ws://server${url}`, { ...options, WebSocket: server.WebSocket });
      connections.push(leat);
      return leat;
    },
    fetch: async () => ({ text: async () => "token" }),
    drawn: [],
    draw: (state) => world.drawn.push(state),
  };
  const run = (code, names) => new AsyncFunction(...Object.keys(names), code)(...Object.values(names));

  const body = first.replace(/^import .*$/m, "").replace(/^await chat/m, "await leat.ready();\nawait chat");
  await run(body, world);
  await settle();
  assert.deepEqual(world.drawn.at(-1), ["before", { body: "hello" }]);
  assert.deepEqual(server.tokens, ["token"]);

  const leat = world.connect("/ws");
  await leat.ready();
  const [handlers, loop] = others.split("\n\n");
  const seen = [];
  await run(handlers, { leat, replace: (data) => seen.push(data), change() {}, explain() {} });
  await settle();
  leat.close();
  const another = world.connect("/ws");
  await another.ready();
  run(loop, { leat: another, show: (type, data) => seen.push(type, data) });
  await settle();
  assert.deepEqual(seen, [["before", { body: "hello" }], "snapshot", ["before", { body: "hello" }]]);
  for (const connection of connections) connection.close();
});
