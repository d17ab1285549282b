import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

it("has types that a strict application compiles with", (t) => {
  const tsc = here("../node_modules/.bin/tsc");
  if (!existsSync(tsc)) return t.skip("TypeScript is not installed");
  const { status, stdout } = spawnSync(tsc, ["-p", here("types")], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
