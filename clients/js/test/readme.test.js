/* The README's examples, run against a fake server. What it says of Vue, of Svelte and of workers is run in Chromium, by
 * the pages of browser.test.js; here it is only looked that the names in it exist. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import * as client from "../src/client.js";
import { FakeServer, settle } from "./support/fake_server.js";

const AsyncFunction = (async () => {}).constructor;
const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
const blocks = [...text.matchAll(/```(jsx?)( \w+)?\n(.*?)```/gs)].map(([, , name, code]) => ({ name: name?.trim(), code }));
const example = (name) => blocks.find((block) => block.name === name).code;
const list = (state, { type, data }) =>
  type === "snapshot" ? data : type === "event" ? [...state, data] : state;

/** A server, and what the examples use of the world; run(name, values) runs an example there. */
function world(t) {
  const server = new FakeServer();
  const seen = [];
  const see = (word) => (...values) => void seen.push([word, ...values]);
  const at = (position) => `${position.topic} ${position.epoch}:${position.seq}`;
  const names = {
    ...client,
    connect: (url, options) => {
      const leat = client.connect(new URL(url, "ws://server"), { ...options, WebSocket: server.WebSocket });
      t.after(() => leat.close());
      return leat;
    },
    // A route that says who somebody is, and one that writes.
    fetch: async (path, { body } = {}) => {
      if (path === "/token") return new Response("token");
      const position = server.commit("chat:42", { body });
      return new Response(null, { status: 201, headers: { "Leat-Position": at(position) } });
    },
    mayI: async () => "mine",
    reduce: list,
    ...Object.fromEntries(
      ["draw", "light", "replace", "change", "note", "explain", "show", "tryAgainIn"].map((word) => [word, see(word)]),
    ),
  };
  const run = (code, values = {}) => {
    const all = { ...names, ...values };
    const body = code.replace(/^import .*$/gm, "");
    return new AsyncFunction(...Object.keys(all), body)(...Object.values(all));
  };
  return { server, seen, names, run };
}

describe("the README", () => {
  it("begins with a store that shows what is said", async (t) => {
    const { server, seen, run } = world(t);
    server.commit("chat:42", "before");
    const [{ code }] = blocks;
    await run(code);
    await settle();
    assert.deepEqual(seen.at(-1), ["draw", ["before", { body: "hello" }]]);
    assert.deepEqual(server.tokens, ["token"]);
  });

  it("connects, asks, and leaves", async (t) => {
    const { server, seen, run } = world(t);
    await run(example("connect"));
    assert.deepEqual(server.tokens, ["mine", "another token"]);
    assert.deepEqual(seen.map(([, state]) => state), ["connecting", "live", "closed"]);
    assert.equal(server.socket.url, "wss://example.org/ws?authenticate=message");
  });

  it("reads with handlers, by a loop and with a store", async (t) => {
    const { server, seen, names, run } = world(t);
    server.commit("chat:42", "before");
    const leat = names.connect("/ws");
    await leat.ready();
    await run(example("handlers").replace("topic.close()", "await again(); topic.close(); await again()"), { leat, again: settle });
    const [, data, at] = seen.shift();
    assert.deepEqual([data, at], [["before"], { topic: "chat:42", epoch: "e1", seq: 1, stale: false }]);

    const loop = run(example("loop"), { leat });
    await settle();
    assert.deepEqual(seen.at(-1), ["show", "snapshot", ["before"]]);
    leat.close();
    await loop;

    const another = names.connect("/ws");
    await another.ready();
    await run(example("store").replace("stop();", "await again(); stop();"), { leat: another, again: settle });
    const [, drawn, status] = seen.at(-1);
    assert.deepEqual([drawn, status], [["before"], { state: "live", stale: false, error: null }]);
  });

  it("writes, by socket and by HTTP, also before the server shows it", async (t) => {
    const { server, names, run } = world(t);
    const leat = names.connect("/ws");
    const store = client.createStore(leat.subscribe("chat:42"), list, []);
    await leat.ready();
    await settle();
    await run(example("write"), { leat, topic: store.topic });
    await run(example("optimistic"), { store });
    await settle();
    const bodies = server.topic("chat:42").log.map(({ data }) => data.body);
    assert.deepEqual(bodies, ["by socket", "by HTTP", "by HTTP"]);
    assert.deepEqual(store.get().map(({ body }) => body), bodies);
  });

  it("tells errors that pass from those that do not", async (t) => {
    const { server, seen, names, run } = world(t);
    const leat = names.connect("/ws");
    await leat.ready();
    const codes = ["unavailable", "forbidden"];
    server.onMessage = (socket, { id }) =>
      socket.deliver({ op: "error", id, code: codes.shift(), message: "no", retry_after_ms: 300 });
    await run(example("errors"), { leat });
    await run(example("errors"), { leat });
    const [[word, after, { id, body }], explained] = seen;
    assert.deepEqual([word, after, typeof id, body], ["tryAgainIn", 300, "string", "hello"]);
    assert.deepEqual(explained, ["explain", "no"]);
  });

  it("has a component for React", async (t) => {
    const { build } = await import("esbuild").catch(() => ({}));
    if (!build) return t.skip("esbuild is not installed");
    const { names } = world(t);
    const leat = names.connect("/ws");
    await leat.ready();
    const { code } = blocks.find((block) => block.code.includes("<List"));
    const contents = `
      import * as React from "react";
      import { renderToString } from "react-dom/server.edge";
      ${code.replace("@leat/client/react", "./src/react.js")}
      const List = ({ items, dim }) => <ul className={dim ? "dim" : "clear"}>{items.length}</ul>;
      export const html = renderToString(<React.StrictMode><Chat id={42} /></React.StrictMode>);`;
    const { outputFiles } = await build({
      stdin: { contents, loader: "jsx", resolveDir: fileURLToPath(new URL("..", import.meta.url)) },
      alias: { react: "react19", "react-dom": "react-dom19" },
      bundle: true,
      write: false,
      format: "iife",
      globalName: "page",
      conditions: ["browser"],
      define: { "process.env.NODE_ENV": '"development"' },
      logLevel: "silent",
    });
    const page = new Function("leat", "reduce", `${outputFiles[0].text}; return page;`)(leat, list);
    assert.equal(page.html, '<ul class="clear">0</ul>');
  });

  it("says all without the rest of the repository", async () => {
    assert.deepEqual([...text.matchAll(/\]\((?!https?:\/\/|#)[^)]*\)/g)].map(([link]) => link), []);
    const types = await readFile(new URL("../types/client.d.ts", import.meta.url), "utf8");
    const [union] = /type ErrorCode =[^;]*/.exec(types);
    const codes = [...union.matchAll(/"(\w+)"/g)].map(([, code]) => code).filter((code) => code !== "out_of_order");
    for (const code of codes) assert.match(text, new RegExp(`^\\|.*\`${code}\`.*\\|.*\\|$`, "m"));
  });

  it("names what there is", async () => {
    const imports = [...text.matchAll(/import \{ (.*?) \} from "@leat\/client(?:\/(\w+))?"/g)];
    assert.ok(imports.length >= 4);
    for (const [, names, entry = "client"] of imports) {
      const types = await readFile(new URL(`../types/${entry}.d.ts`, import.meta.url), "utf8");
      for (const name of names.split(", ")) assert.match(types, new RegExp(`export function ${name}\\b`));
    }
    const files = [...text.matchAll(/`\/leat\/(\w+\.js)`/g)].map(([, file]) => file);
    assert.ok(files.length >= 4);
    for (const file of files) await readFile(new URL(`../src/${file}`, import.meta.url));
  });
});
