/* The pages of the browser tests as one script each. What npm could not install is not tested. */

import { fileURLToPath } from "node:url";

const pages = fileURLToPath(new URL("../pages/", import.meta.url));

/** Returns the script, or throws if a framework or the bundler is not installed. */
export async function bundle(page, alias = {}) {
  const { build } = await import("esbuild");
  const result = await build({
    entryPoints: [`${pages}${page}.js`],
    alias,
    absWorkingDir: fileURLToPath(new URL("../../", import.meta.url)), // aliases start here
    bundle: true,
    write: false,
    format: page === "worker" ? "iife" : "esm",
    define: { "process.env.NODE_ENV": '"development"' },
    conditions: ["browser"],
    plugins: page === "svelte" ? [await svelte()] : [],
    logLevel: "silent",
  });
  return result.outputFiles[0].text;
}

async function svelte() {
  const { compile } = await import("svelte/compiler");
  const { readFile } = await import("node:fs/promises");
  return {
    name: "svelte",
    setup({ onLoad }) {
      onLoad({ filter: /\.svelte$/ }, async ({ path }) => {
        const { js } = compile(await readFile(path, "utf8"), { filename: path });
        return { contents: js.code };
      });
    },
  };
}
