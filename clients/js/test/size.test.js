import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, it } from "node:test";

// Minified and gzipped, with all that it imports but the framework.
const MOST_BYTES = { client: 6 * 1024, react: 2 * 1024, vue: 2 * 1024, svelte: 2 * 1024, shared_worker: 8 * 1024 };

describe("the size", () => {
  for (const [name, most] of Object.entries(MOST_BYTES)) {
    it(`of ${name} is under ${most} bytes`, async (t) => {
      const { build } = await import("esbuild").catch(() => ({}));
      if (!build) return t.skip("esbuild is not installed");
      const entry = fileURLToPath(new URL(`../src/${name}.js`, import.meta.url));
      const external = ["react", "vue", "svelte/store"];
      const options = { bundle: true, minify: true, format: "esm", write: false, external };
      const [{ contents }] = (await build({ entryPoints: [entry], ...options })).outputFiles;
      const size = gzipSync(contents).length;
      t.diagnostic(`${size} bytes`);
      assert.ok(size < most, `${size} bytes`);
    });
  }
});
