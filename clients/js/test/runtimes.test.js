/* The package as npm would publish it, in the runtimes that a program can choose from. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startServer } from "../../../spec/browser/support/server.js";

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const installed = (name) => here(`runtimes/node_modules/.bin/${name}`);
const RUNTIMES = [
  { name: "Node", command: process.execPath, args: [] },
  { name: "Deno", command: installed("deno"), args: ["run", "--quiet", "--no-prompt", "--allow-net"] },
  { name: "Bun", command: installed("bun"), args: ["run"] },
];

describe("the package", { timeout: 120_000 }, () => {
  let folder, contents, server;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "leat-package-"));
    const packed = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: here("..") });
    const [{ filename, files }] = JSON.parse(packed.stdout);
    contents = files.map(({ path }) => path);
    const target = join(folder, "node_modules/@leat/client");
    await mkdir(target, { recursive: true });
    await run("tar", ["-xzf", join(folder, filename), "-C", target, "--strip-components=1"]);
    await copyFile(here("runtimes/program.js"), join(folder, "program.js"));
    await writeFile(join(folder, "package.json"), '{"type":"module","dependencies":{"@leat/client":"*"}}');
    server = await startServer(here("app/app.lua"));
  });
  after(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("has what it takes to use it, and nothing else", async () => {
    const sources = (await readdir(here("../src"))).map((name) => `src/${name}`);
    const types = (await readdir(here("../types"))).map((name) => `types/${name}`);
    const others = ["LICENSE", "README.md", "package.json"];
    assert.deepEqual(contents.toSorted(), [...sources, ...types, ...others].toSorted());
    const target = join(folder, "node_modules/@leat/client");
    assert.match(await readFile(join(target, "LICENSE"), "utf8"), /MIT License/);
    const { exports } = JSON.parse(await readFile(join(target, "package.json"), "utf8"));
    for (const entry of Object.values(exports)) {
      for (const path of Object.values(entry)) assert.ok(existsSync(join(target, path)), path);
    }
  });

  for (const { name, command, args } of RUNTIMES) {
    it(`works in ${name}, which ends when the connection is closed`, async (t) => {
      if (!existsSync(command)) return t.skip(`${name} is not installed: npm could not reach it`);
      const list = `list:${name}`;
      const url = new URL("ws", server.url).href.replace("http", "ws");
      const { stdout } = await run(command, [...args, "program.js", url, list], { cwd: folder, timeout: 60_000 });
      assert.deepEqual(JSON.parse(stdout), {
        bodies: ["mine", "ä€😀ä"],
        refusal: "not_found",
        isKnown: true,
        state: "closed",
      });
    });
  }
});
