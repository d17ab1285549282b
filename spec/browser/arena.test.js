/* The arena: a C program with Leat inside, and two people who play. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, leave, open } from "./support/browser.js";
import { startServer } from "./support/server.js";

const APP = fileURLToPath(new URL("../../lua/apps/arena/app.lua", import.meta.url));

/** The room that the page has, once condition([room, ...args]) holds for it. */
async function roomWhere(page, condition, ...args) {
  const handle = await page.evaluateHandle(async () => (await import("/js/main.js")).room);
  await page.waitForFunction(condition, [handle, ...args]);
  return handle.evaluate((room) => ({ ...room, players: [...room.players.values()] }));
}

const isThere = ([room, id]) => room.moment?.players.some((player) => player.id === id);
const hasMoved = ([room, id, from]) => {
  const now = room.moment.players.find((player) => player.id === id);
  return Math.abs(now.x - from.x) + Math.abs(now.y - from.y) > 40;
};
const hasPoints = ([room, id]) => room.players.get(id)?.points >= 1;

const skip = !process.env.LEAT_ARENA && "LEAT_ARENA does not name the program that lua/apps/arena/host builds";

describe("the arena", { skip }, () => {
  let host, browser;
  before(async () => {
    host = await startServer(APP, {}, (database, address) => [process.env.LEAT_ARENA, database, APP, address]);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await host?.stop();
  });

  async function enter(token) {
    const page = await open(browser, host, { token });
    await page.waitForSelector('#connection[data-state="live"]', { state: "attached" });
    return page;
  }

  /** Where that page sees everybody. */
  async function look(page, id) {
    const { moment } = await roomWhere(page, isThere, id);
    return moment.players.find((player) => player.id === id);
  }

  it("shows two players each other's moves", async () => {
    const ada = await enter("ada-token");
    const bert = await enter("bert-token");
    for (const [mover, watcher, id] of [[ada, bert, 1], [bert, ada, 2]]) {
      const { x, y } = await look(watcher, id);
      const key = x > 400 ? "ArrowLeft" : "ArrowRight";
      await mover.keyboard.down(key);
      await roomWhere(watcher, hasMoved, id, { x, y });
      await roomWhere(mover, hasMoved, id, { x, y });
      await mover.keyboard.up(key);
    }
    await leave(ada, bert);
  });

  it("counts who takes the gem, and the points outlive the host", async () => {
    const cleo = await enter("cleo-token");
    const watcher = await enter("dan-token");
    await look(cleo, 3);
    await chase(cleo, 3);
    await roomWhere(watcher, hasPoints, 3);
    await host.shutDown();
    const stored = await host.sql("select sum(points) from arena_scores");
    assert.equal(await host.sql("select count(*) from leat.event where topic = 'room:1'"), stored);

    await host.start();

    const late = await enter("ada-token");
    const { players } = await roomWhere(late, ([room]) => room.players.size > 0);
    assert.equal(String(players.reduce((sum, { points }) => sum + points, 0)), stored);
    await roomWhere(watcher, isThere, 1); // who was there before goes on
    await leave(cleo, watcher, late);
  });

  it("lets nobody in whose token is not good", async () => {
    const page = await open(browser, host, { token: "mallory" });
    await page.waitForSelector('#connection[data-state="refused"]');
    await page.context().close();
  });
});

/** Presses keys until that player has a point. */
async function chase(page, id) {
  await page.evaluate(async (player) => {
    const { room } = await import("/js/main.js");
    const press = (type, code) => dispatchEvent(new KeyboardEvent(type, { code }));
    const wish = (code, on) => press(on ? "keydown" : "keyup", code);
    while (room.players.get(player).points === 0) {
      const { gem, players } = room.moment;
      const me = players.find((one) => one.id === player);
      wish("ArrowLeft", gem.x < me.x - 8);
      wish("ArrowRight", gem.x > me.x + 8);
      wish("ArrowUp", gem.y < me.y - 8);
      wish("ArrowDown", gem.y > me.y + 8);
      await new Promise(requestAnimationFrame);
    }
    for (const code of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) wish(code, false);
  }, id);
}
