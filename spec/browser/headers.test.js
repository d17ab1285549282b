/* The headers that every answer has, as a browser takes them: the default policy, and CORS. */

import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { launch } from "./support/browser.js";
import { startServer } from "./support/server.js";

const APP = `
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  if request.token ~= "good" then return leat.deny("unauthenticated", "who are you?") end
  return { id = 1 }
end)
app:route("GET /mine", function() return { body = { secret = 42 } } end)
app:route("PUT /mine", function(ctx, request) return { body = request.body } end)
app:topic("t", { subscribe = function(ctx)
  return leat.subscribe_authorized(ctx, {}, { snapshot = function() return "snap" end })
end })
app:stream("/stream", "t", { public = true })
return app
`;

// A page of another origin, which allowed_origins may name.
const startOther = () =>
  new Promise((resolve) => {
    const other = createServer((_, answer) => {
      answer.setHeader("Content-Type", "text/html");
      answer.end("<!doctype html><title>other</title>");
    });
    other.listen(0, "127.0.0.1", () => resolve(other));
  });

describe("a page under the default policy", () => {
  let folder, server, browser, other, origin;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "leat-headers-"));
    await mkdir(join(folder, "public"));
    await writeFile(join(folder, "app.lua"), APP);
    await writeFile(join(folder, "schema.sql"), "select 1");
    await writeFile(
      join(folder, "public", "index.html"),
      '<!doctype html><title>page</title><body><script>window.inline = true</script><script src="/own.js"></script>',
    );
    await writeFile(join(folder, "public", "own.js"), "window.own = true");
    other = await startOther();
    origin = `http://127.0.0.1:${other.address().port}`;
    server = await startServer(join(folder, "app.lua"), { LEAT_ALLOWED_ORIGINS: origin });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    other?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("runs its own scripts, and none that are inline", async () => {
    const page = await browser.newPage();
    await page.goto(server.url);

    assert.equal(await page.evaluate(() => window.own), true);
    assert.equal(await page.evaluate(() => window.inline), undefined);
    await page.close();
  });

  it("is not framed by others", async () => {
    const page = await browser.newPage();
    await page.goto(origin);
    await page.evaluate((url) => {
      const frame = document.createElement("iframe");
      frame.src = url;
      document.body.append(frame);
      return new Promise((resolve) => frame.addEventListener("load", resolve));
    }, server.url);

    const framed = page.frames().find((frame) => frame !== page.mainFrame());
    assert.ok(!framed.url().startsWith(server.url), framed.url());
    await page.close();
  });

  it("lets an allowed origin read routes, refusals and streams, after a preflight", async () => {
    const page = await browser.newPage();
    await page.goto(origin);

    const found = await page.evaluate(async (url) => {
      const headers = { Authorization: "Bearer good", "Content-Type": "application/json" };
      const read = await (await fetch(`${url}/mine`, { headers })).json();
      const written = await (await fetch(`${url}/mine`, { method: "PUT", headers, body: "[1]" })).text();
      const refused = await fetch(`${url}/mine`);
      const source = new EventSource(`${url}/stream`);
      const event = await new Promise((resolve, reject) => {
        source.addEventListener("snapshot", (e) => resolve(JSON.parse(e.data).data));
        source.addEventListener("error", () => reject(new Error("no stream")));
      });
      source.close();
      return { read, written, refused: [refused.status, (await refused.json()).code], event };
    }, server.url.replace(/\/$/, ""));

    assert.deepEqual(found, {
      read: { secret: 42 },
      written: "[1]",
      refused: [401, "unauthenticated"],
      event: "snap",
    });
    await page.close();
  });

  it("hides its answers from an origin that is not allowed", async () => {
    const page = await browser.newPage();
    await page.goto(origin.replace("127.0.0.1", "localhost"));

    const outcome = await page.evaluate(
      (url) =>
        fetch(`${url}/mine`, { headers: { Authorization: "Bearer good" } }).then(
          () => "read",
          () => "hidden",
        ),
      server.url.replace(/\/$/, ""),
    );

    assert.equal(outcome, "hidden");
    await page.close();
  });
});
