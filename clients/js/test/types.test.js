import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import * as client from "../src/client.js";
import * as worker from "../src/shared_worker.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

it("has types that a strict application compiles with", (t) => {
  const tsc = here("../node_modules/.bin/tsc");
  if (!existsSync(tsc)) return t.skip("TypeScript is not installed");
  const { status, stdout } = spawnSync(tsc, ["-p", here("types")], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

it("has a type, and an example of its use, for each function", async () => {
  const use = await readFile(here("types/use.ts"), "utf8");
  const inside = new Set(["TabHub"]); // what a worker is made of
  const modules = { client, shared_worker: worker };
  for (const name of ["react", "vue", "svelte"]) {
    const source = await readFile(here(`../src/${name}.js`), "utf8");
    modules[name] = Object.fromEntries([...source.matchAll(/^export function (\w+)/gm)].map(([, found]) => [found]));
  }
  for (const [module, names] of Object.entries(modules)) {
    const types = await readFile(here(`../types/${module}.d.ts`), "utf8");
    for (const name of Object.keys(names).filter((one) => !inside.has(one))) {
      assert.match(types, new RegExp(`export (function|class) ${name}\\b`), `${module}.d.ts`);
      assert.match(use, new RegExp(`\\b${name}\\b`));
    }
  }
});
