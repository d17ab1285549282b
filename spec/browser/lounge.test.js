/* The lounge: a program in Lua with an HTTP server of its own and Leat inside, and two people who talk. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, leave, open } from "./support/browser.js";
import { startServer } from "./support/server.js";

const APP = fileURLToPath(new URL("../../lua/apps/lounge", import.meta.url));
const MODULES = resolve(dirname(process.env.LEAT_BIN ?? "/"), "../host"); // of the build tree

/** What stock Lua needs to find leat.host there, and the sanitizers with which it may be built. */
function environment() {
  const library = readFileSync(`${MODULES}/leat/host_core.so`, "latin1");
  const sanitizers = new Set(library.match(/lib(asan|ubsan)\.so\.\d+/g));
  return {
    LUA_PATH: `${MODULES}/?.lua;;`,
    LUA_CPATH: `${MODULES}/?.so;;`,
    ...(sanitizers.size > 0 && { LD_PRELOAD: [...sanitizers].join(":"), ASAN_OPTIONS: "detect_leaks=0" }),
  };
}

describe("the lounge", () => {
  let host, browser;
  before(async () => {
    const command = (database, address) => ["lua5.4", `${APP}/main.lua`, database, address];
    host = await startServer(`${APP}/app.lua`, environment(), command);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await host?.stop();
  });

  const isLive = (page) => page.waitForSelector('#connection[data-state="live"]', { state: "attached" });

  async function comeIn(name) {
    const page = await open(browser, host);
    await page.fill("#name", name);
    await page.click("#door button");
    await isLive(page);
    return page;
  }

  async function say(page, text) {
    await page.fill("#draft", text);
    await page.press("#draft", "Enter");
  }

  /** Waits until the page shows exactly these messages, as "Ann: hello". */
  async function shows(page, ...expected) {
    const said = () => page.$$eval("#messages li", (items) =>
      items.map((item) => `${item.querySelector("b").textContent}: ${item.querySelector("span").textContent}`));
    const same = (texts) => JSON.stringify(texts) === JSON.stringify(
      [...document.querySelectorAll("#messages li")].map((item) =>
        `${item.querySelector("b").textContent}: ${item.querySelector("span").textContent}`));
    await page.waitForFunction(same, expected).catch(async () => assert.deepEqual(await said(), expected));
  }

  it("lets two people talk, and takes back what is rude; a restart loses nothing", async () => {
    const ann = await comeIn("Ann");
    const ben = await comeIn("Ben");

    await say(ann, "good evening");
    await shows(ben, "Ann: good evening");
    await say(ben, "hello, you blockhead");
    await shows(ben, "Ann: good evening", "Ben: taken back by the moderator");
    await say(ben, "hello, Ann");
    const talk = ["Ann: good evening", "Ben: taken back by the moderator", "Ben: hello, Ann"];
    await shows(ann, ...talk);
    await shows(ben, ...talk);

    await host.shutDown();
    await host.start();
    await say(ann, "are you still here?");
    await shows(ben, ...talk, "Ann: are you still here?");
    await ann.reload(); // her cookie is good still
    await isLive(ann);
    await shows(ann, ...talk, "Ann: are you still here?");
    await leave(ann, ben);
  });

  it("shows older messages when asked", async () => {
    await host.sql("insert into lounge_messages (room_id, author, body) select 2, 'Cleo', n from generate_series(1, 60) n");
    const page = await comeIn("Ann");
    await page.click('#rooms a[href="#2"]');
    const numbers = (first) => Array.from({ length: 61 - first }, (_, i) => `Cleo: ${first + i}`);
    await shows(page, ...numbers(11));

    await page.click("#older");

    await shows(page, ...numbers(1));
    await leave(page);
  });
});
