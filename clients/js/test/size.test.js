import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { it } from "node:test";

const MOST_BYTES = 6 * 1024;

it("is under 6 kB, minified and gzipped", async (t) => {
  const { build } = await import("esbuild").catch(() => ({}));
  if (!build) return t.skip("esbuild is not installed");
  const entry = fileURLToPath(new URL("../src/client.js", import.meta.url));
  const options = { bundle: true, minify: true, format: "esm", write: false };
  const [{ contents }] = (await build({ entryPoints: [entry], ...options })).outputFiles;
  const size = gzipSync(contents).length;
  t.diagnostic(`${size} bytes`);
  assert.ok(size < MOST_BYTES, `${size} bytes`);
});
