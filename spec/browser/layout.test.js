/* A phone's width, and no mouse. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { enter, hasSaid, isLive, launch, leave, open, PHONE, say } from "./support/browser.js";
import { startServer } from "./support/server.js";

describe("the page", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const focused = (page) =>
    page.evaluate(() => document.activeElement.id || document.activeElement.textContent);

  // Presses Tab until that has the focus. Whatever has it on the way must show it.
  async function tabTo(page, what) {
    for (let n = 0; n < 60; n++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const element = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const visible = outlineStyle !== "none" && outlineWidth !== "0px";
        const text = element.innerText.replace(/\s+/g, " ").trim();
        const outside = element === document.body; // between the last and the first
        return { name: outside ? "" : element.id || text, visible: visible || outside };
      });
      assert.ok(at.visible, `${at.name} does not show that it has the focus`);
      if (what.test(at.name)) return;
    }
    assert.fail(`Tab never reached ${what}`);
  }

  context("on a phone", () => {
    it("goes from the list to a chat and back, and nothing is cut off", async () => {
      const page = await open(browser, server, { token: "alice-token", viewport: PHONE });
      await isLive(page);
      await page.click('#chats a:has-text("Lunch")');
      await page.waitForSelector("#composer", { state: "visible" });
      assert.equal(await page.isVisible("#sidebar"), false);

      await say(page, "a word so long that it must be broken: " + "m".repeat(200));
      await page.waitForFunction(
        () => document.querySelectorAll("#messages .message").length === 3,
      );
      const sizes = await page.evaluate(() => {
        const composer = document.querySelector("#composer").getBoundingClientRect();
        return { width: document.documentElement.scrollWidth, bottom: composer.bottom };
      });
      assert.ok(sizes.width <= PHONE.width, `the page is ${sizes.width} wide`);
      assert.ok(sizes.bottom <= PHONE.height, `the composer ends at ${sizes.bottom}`);

      await page.click("#back");
      await page.waitForSelector("#sidebar", { state: "visible" });
      assert.equal(await page.isVisible("#chat"), false);
      await leave(page);
    });

    it("opens the wire as a drawer, which Escape closes", async () => {
      const page = await enter(browser, server, "alice-token", { viewport: PHONE });
      assert.equal(await page.isVisible("#wire"), false);

      await page.click("#wire-toggle");
      await page.waitForSelector('#wire-lines [data-op="snapshot"]', { state: "visible" });
      assert.equal(await focused(page), "wire-close");
      await page.keyboard.press("Escape");

      assert.equal(await page.isVisible("#wire"), false);
      assert.equal(await focused(page), "wire-toggle");
      await leave(page);
    });
  });

  context("with the keyboard alone", () => {
    it("logs in, chooses a chat, writes, and works the gate", async () => {
      const page = await open(browser, server);
      await page.waitForSelector("#people a");
      await tabTo(page, /^B Bob/);
      await page.keyboard.press("Enter");
      await isLive(page);

      await page.waitForSelector("#gate:not([hidden])");
      await tabTo(page, /^Mill pond/);
      await tabTo(page, /^Lunch/);
      await page.keyboard.press("Enter");
      await page.waitForFunction(
        () => document.querySelector("#chat-title").textContent === "Lunch",
      );
      assert.equal(await focused(page), "draft");
      await page.keyboard.type("typed");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() =>
        /typed/.test(document.querySelector("#messages").textContent),
      );

      await page.keyboard.press("Shift+Tab");
      assert.equal(await focused(page), "gate-button");
      await page.keyboard.press("Space");
      await page.waitForSelector('#gate[data-status="paused"]');
      assert.equal(await focused(page), "gate-button");
      await page.keyboard.press("Space");
      await page.waitForSelector('#gate[data-status="open"]');
      await leave(page);
    });

    it("stays where it is in the list of chats when a message comes in", async () => {
      const alice = await enter(browser, server, "alice-token");
      const bob = await enter(browser, server, "bob-token", { chat: 43 });
      await alice.focus('#chats li[data-key="43"] a');

      await say(bob, "ping");

      await alice.waitForSelector('#chats li[data-key="43"] .unread');
      assert.match(await focused(alice), /^Lunch/);
      await leave(alice, bob);
    });

    it("opens a protocol message with the keyboard", async () => {
      const page = await enter(browser, server, "carol-token", { chat: 44 });
      await say(page, "look at this");
      await hasSaid(page, ["look at this"]);
      await tabTo(page, /event chat:44/);
      await page.keyboard.press("Enter");
      await page.waitForSelector('#wire-lines [data-op="event"] pre');
      await leave(page);
    });
  });
});

function context(condition, body) {
  describe(condition, body);
}
