/* The package as npm would publish it, in the runtimes that a program can choose from. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startServer } from "../../../spec/browser/support/server.js";

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const installed = (name) => here(`runtimes/node_modules/.bin/${name}`);
// A server that opens a WebSocket, and then swallows all that comes.
function startSwallower() {
  const server = createServer().on("upgrade", ({ headers }, socket) => {
    const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.on("error", () => {});
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Protocol: leat.v1\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

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
    for (const name of ["program.js", "leaving.js"]) await copyFile(here(`runtimes/${name}`), join(folder, name));
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

  const ends = [...RUNTIMES, { name: "Node with its own WebSocket", command: process.execPath, args: ["--experimental-websocket"] }];
  for (const { name, command, args } of ends) {
    it(`ends in ${name} though the other side says no goodbye`, async (t) => {
      if (!existsSync(command)) return t.skip(`${name} is not installed: npm could not reach it`);
      const swallower = await startSwallower();
      t.after(() => swallower.close());
      const url = `ws://127.0.0.1:${swallower.address().port}/ws`;
      const { stdout } = await run(command, [...args, "leaving.js", url], { cwd: folder, timeout: 30_000 });
      assert.equal(stdout.trim(), "closed");
    });
  }
});
