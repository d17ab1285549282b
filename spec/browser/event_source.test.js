/* A browser's EventSource while the database does not answer: it comes back by itself. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { launch } from "./support/browser.js";
import { startServer } from "./support/server.js";

const APP = `
local leat = require "leat"
local app = leat.app()
app:topic("room:{id:int}", { subscribe = function(ctx, args)
  local room = ctx.db:one("select * from rooms where id = $1", args.id)
  if not room then return leat.deny("not_found") end
  return leat.subscribe_authorized(ctx, room, { snapshot = function() return { id = args.id } end })
end })
app:stream("/rooms/{id:int}/stream", "room:{id}", { public = true })
return app
`;
const SCHEMA = "create table rooms (id bigint primary key); insert into rooms values (1);";

const LOCKED = `select count(*) from pg_locks
  where relation = 'rooms'::regclass and mode = 'AccessExclusiveLock' and granted`;

describe("an EventSource", () => {
  let folder, server, browser, page;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "leat-eventsource-"));
    await writeFile(join(folder, "app.lua"), APP);
    await writeFile(join(folder, "schema.sql"), SCHEMA);
    process.env.LEAT_CONTROL_TIMEOUT_MS = "300";
    server = await startServer(join(folder, "app.lua"));
    delete process.env.LEAT_CONTROL_TIMEOUT_MS;
    browser = await launch();
    page = await browser.newPage();
    await page.goto(`${server.url}healthz`);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true });
  });

  function open(path) {
    return page.evaluate((address) => {
      const source = new EventSource(address);
      window.seen = { errors: [], snapshots: 0, source };
      source.addEventListener("error", (event) => window.seen.errors.push(event.data ?? null));
      source.addEventListener("snapshot", () => window.seen.snapshots++);
    }, path);
  }

  it("comes back until the database answers", async () => {
    const blocked = server.sql("begin; lock table rooms; select pg_sleep(3); commit");
    while ((await server.sql(LOCKED)) !== "1") continue;
    await open("/rooms/1/stream");
    await page.waitForFunction(() => window.seen.errors.some((data) => data));
    await blocked;

    await page.waitForFunction(() => window.seen.snapshots === 1);

    const { errors, state } = await page.evaluate(() => ({
      errors: window.seen.errors,
      state: window.seen.source.readyState,
    }));
    const error = JSON.parse(errors.find((data) => data));
    assert.equal(error.code, "deadline_exceeded");
    assert.equal(typeof error.retry_after_ms, "number");
    assert.equal(state, 1);
  });

  it("does not come back where waiting does not help", async () => {
    await open("/rooms/2/stream");

    await page.waitForFunction(() => window.seen.source.readyState === EventSource.CLOSED);
  });
});
