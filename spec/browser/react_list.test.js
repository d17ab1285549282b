/* The example in React: two people, one list, and a server that is stopped between them. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, leave, open } from "./support/browser.js";
import { startServer } from "./support/server.js";

const FOLDER = fileURLToPath(new URL("../../lua/apps/react-list", import.meta.url));
const skip = !existsSync(resolve(FOLDER, "public/npm/react.js")) && "npm could not install React";

describe("the list in React", { skip }, () => {
  let server, browser;
  before(async () => {
    server = await startServer(resolve(FOLDER, "app.lua"));
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** A page whose `subscribes` has what it asked for, and whose window.seen each list that it has shown. */
  async function enter() {
    const subscribes = [];
    const page = await open(browser, server, {
      prepare: async (page) => {
        page.on("websocket", (socket) =>
          socket.on("framesent", ({ payload }) => payload.includes('"subscribe"') && subscribes.push(payload)),
        );
        await page.addInitScript(() => {
          window.seen = [];
          const look = () => {
            const items = [...document.querySelectorAll("li")].map(
              (item) => item.textContent.replace("×", "") + (item.matches(".sent") ? " (sent)" : ""),
            );
            if (window.seen.at(-1) !== items.join()) window.seen.push(items.join());
          };
          new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true });
        });
      },
    });
    await page.waitForSelector('[data-state="live"]');
    return Object.assign(page, { subscribes });
  }

  async function add(page, text) {
    await page.fill('[aria-label="New item"]', text);
    await page.press('[aria-label="New item"]', "Enter");
  }

  const shows = (page, ...items) =>
    page.waitForFunction((wanted) => window.seen.at(-1) === wanted, items.join());
  const seen = (page) => page.evaluate(() => window.seen.splice(0));

  it("shows each change at once, once, and to everybody", async () => {
    const [alice, bob] = [await enter(), await enter()];
    await add(alice, "milk");
    await shows(alice, "milk");
    await shows(bob, "milk");
    assert.deepEqual(await seen(alice), ["", "milk (sent)", "milk"]);
    assert.deepEqual(await seen(bob), ["", "milk"]);

    await bob.check("text=milk");
    await alice.waitForSelector("input:checked");
    await server.sql("insert into items (id, list, body) values (gen_random_uuid(), 'shopping', 'bread')");
    for (const page of [alice, bob]) await shows(page, "milk", "bread");
    await alice.click('[aria-label="Remove milk"]');
    for (const page of [alice, bob]) await shows(page, "bread");
    assert.deepEqual([alice.subscribes.length, bob.subscribes.length], [1, 1]); // though StrictMode mounts twice
    await leave(alice, bob);
  });

  it("keeps what it shows while the server is restarted, and then has what was missed", async () => {
    await server.sql("delete from items");
    const [alice, bob] = [await enter(), await enter()];
    await add(alice, "salt");
    for (const page of [alice, bob]) await shows(page, "salt");

    await server.shutDown();
    for (const page of [alice, bob]) await page.waitForSelector('[data-state="waiting"], [data-state="connecting"]');
    await bob.fill('[aria-label="New item"]', "typed meanwhile");
    await server.sql(`
      update items set done = true;
      insert into items (id, list, body) values (gen_random_uuid(), 'shopping', 'bread')`);
    await server.start();
    for (const page of [alice, bob]) await shows(page, "salt", "bread");
    await bob.waitForSelector("input:checked");
    await bob.press('[aria-label="New item"]', "Enter");
    for (const page of [alice, bob]) await shows(page, "salt", "bread", "typed meanwhile");

    const flashed = [...(await seen(alice)), ...(await seen(bob))].filter((items) => !/salt/.test(items));
    assert.ok(flashed.every((items) => items === "") && flashed.length <= 2, flashed.join(" | ")); // before they were live
    await leave(alice, bob);
  });

  it("takes back what the server refuses", async () => {
    await server.sql("delete from items; alter table items add constraint no_sweets check (body <> 'sweets')");
    const page = await enter();
    await add(page, "sweets");
    await page.waitForFunction(() => document.querySelector("[role=alert]").textContent !== "");
    await shows(page, "");
    assert.ok((await seen(page)).includes("sweets (sent)"));
    await leave(page);
  });
});
