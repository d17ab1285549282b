/* The console in a browser: who gets in, what it shows, what it does, and for whom it can be used. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { hasText, launch, leave } from "./support/browser.js";
import { connectCrowd, consoleUrl, logIn, openConsole, VARIABLES } from "./support/console.js";
import { startServer } from "./support/server.js";

const PHONE = { width: 360, height: 740 };
const VIEWS = {
  overview: "Overview",
  topics: "Topics",
  "topic/chat%3A42": "chat:42",
  clients: "Clients",
  script: "Script",
  postgres: "Postgres",
};

describe("the console", () => {
  let server, browser, url, crowd;
  before(async () => {
    server = await startServer(undefined, { ...VARIABLES, LEAT_WORKERS: "2" });
    browser = await launch();
    url = await consoleUrl(server);
    const topics = ["chat:42", "chat:42", "chat:42", "chat:43"];
    crowd = await connectCrowd(browser, server, "alice-token", topics);
  });
  after(async () => {
    await crowd?.context().close();
    await browser?.close();
    await server?.stop();
  });

  async function enter(options) {
    const page = await openConsole(browser, url, options);
    await logIn(page);
    return page;
  }

  async function go(page, hash) {
    await page.evaluate((to) => {
      location.hash = to;
    }, hash);
    await hasText(page, "h1", new RegExp(VIEWS[hash] ?? ""));
  }

  const publish = (n) => server.sql(`select leat.publish('chat:42', '{"n":${n}}')`);
  const tile = (page, name) => page.textContent(`.tiles li:has-text("${name}") b`);

  describe("the login", () => {
    it("lets nobody in with a wrong token, and keeps whoever has the right one", async () => {
      const page = await openConsole(browser, url);
      assert.equal(await page.title(), "Console: log in");
      await page.fill("#token", "another-token-0123456789");
      await page.press("#token", "Enter");
      await hasText(page, "[role=alert]", /This is not the token/);
      await logIn(page);

      await page.reload();
      await page.waitForSelector('#stream[data-state="live"]');
      assert.equal(page.url(), url);
      await leave(page);
    });

    it("leads to the view that was asked for, after a wrong token too", async () => {
      const page = await openConsole(browser, url, { hash: "#topic/chat%3A42" });
      await page.fill("#token", "another-token-0123456789");
      await page.press("#token", "Enter");
      await hasText(page, "[role=alert]", /This is not the token/);
      await logIn(page);
      await hasText(page, "h1", /chat:42/);
      assert.equal(page.url(), `${url}#topic/chat%3A42`);
      await leave(page);
    });

    it("shows something for whatever is typed behind the address", async () => {
      const titles = { "#toString": /Overview/, "#topic/100%": /100%/ };
      for (const [hash, title] of Object.entries(titles)) {
        const page = await enter({ hash });
        await hasText(page, "h1", title);
        await leave(page);
      }
    });

    it("comes back when the session is over", async () => {
      const page = await enter();
      await go(page, "clients");
      await page.context().clearCookies();
      await page.waitForSelector("#token");
      await logIn(page);
      await hasText(page, "h1", /Clients/);
      await leave(page);
    });

    it("is asked for again after logging out", async () => {
      const page = await enter();
      await page.click("#logout");
      await page.waitForSelector("#token");
      assert.deepEqual(await page.context().cookies(), []);
      await leave(page);
    });
  });

  it("without a token offers no way to log out", async () => {
    const open = await startServer(undefined, { LEAT_CONSOLE_LISTEN: "127.0.0.1:0" });
    const page = await openConsole(browser, await consoleUrl(open));
    await page.waitForFunction(() =>
      performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/api/config")),
    );
    await page.waitForSelector('#stream[data-state="live"]');
    assert.equal(await page.isVisible("#logout"), false);
    await leave(page);
    await open.stop();
  });

  describe("the overview", () => {
    it("changes live", async () => {
      const page = await enter();
      await page.waitForFunction(() => document.querySelector(".tiles b").textContent === "4");
      assert.equal(await tile(page, "Live subscriptions"), "4");
      await hasText(page, ".good", /No problem is known/);
      const newcomer = await connectCrowd(browser, server, "alice-token", ["chat:42"]);

      await page.waitForFunction(() => document.querySelector(".tiles b").textContent === "5");
      await newcomer.context().close();
      await page.waitForFunction(() => document.querySelector(".tiles b").textContent === "4");
      await leave(page);
    });

    it("asks again if what came before the page was open did not arrive", async () => {
      const page = await openConsole(browser, url);
      await page.route("**/api/history", (route) => route.abort(), { times: 1 });
      await logIn(page);
      await leave(page);
    });

    it("does not mind that its history fails when nobody sees it any more", async () => {
      const page = await openConsole(browser, url);
      await page.clock.install();
      const see = (state) =>
        page.evaluate((to) => {
          Object.defineProperty(document, "visibilityState", { value: to, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }, state);
      const asked = new Promise((resolve) => {
        page.route("**/api/history", resolve, { times: 1 });
      });
      await page.fill("#token", VARIABLES.LEAT_CONSOLE_TOKEN);
      await page.press("#token", "Enter");
      const history = await asked;
      await see("hidden");
      await page.clock.fastForward(31_000);
      await history.abort();

      await see("visible");
      await page.waitForSelector('#stream[data-state="live"]');
      await leave(page);
    });

    it("draws what came before the page was open, for a minute or an hour", async () => {
      const page = await enter();
      const drawn = () => page.getAttribute(".chart .line", "d");
      await page.waitForFunction(() =>
        document.querySelector(".chart .line")?.getAttribute("d").includes("L"),
      );
      const minute = await drawn();

      await page.check('input[value="hour"]', { force: true });

      await hasText(page, ".chart .grid", /60 min ago/);
      assert.notEqual(await drawn(), minute);
      await leave(page);
    });

    it("says in words and in a table what a chart draws", async () => {
      const page = await enter();
      const label = () => page.getAttribute(".chart svg", "aria-label");
      await page.waitForFunction(() =>
        /now 4/.test(document.querySelector(".chart svg").getAttribute("aria-label")),
      );
      assert.match(
        await label(),
        /^Connections and subscriptions\. connections: now 4, least \d+, most \d+\./,
      );

      await page.click(".chart summary");
      await hasText(page, ".chart tbody th", /now/);
      await leave(page);
    });

    it("tells what is wrong", async () => {
      const page = await enter();
      await page.route("**/api/summary", (route) => route.abort());
      await hasText(page, ".problems", /The server does not answer/);
      await leave(page);
    });
  });

  it("shows each view from its top", async () => {
    const page = await enter({ viewport: PHONE });
    await go(page, "postgres");
    await page.waitForFunction(() => document.documentElement.scrollHeight > innerHeight + 300);
    await page.evaluate(() => window.scrollTo(0, 300));
    await go(page, "overview");
    assert.equal(await page.evaluate(() => window.scrollY), 0);
    await leave(page);
  });

  it("shows topics in the order that is chosen, and what happens on one", async () => {
    const page = await enter();
    await page.click("nav a:has-text('Topics')");
    await page.selectOption("#order", "subscribers");
    await hasText(page, "tbody tr:first-child th", /chat:42/);
    await page.click("tbody a:has-text('chat:42')");
    await hasText(page, "h1", /chat:42/);
    await hasText(page, ".facts", /Subscribers3/);
    await hasText(page, '[aria-label="Subscribers by state"] tbody', /LIVE3/);

    await page.click("button:has-text('Follow')");
    await hasText(page, "#view", /Following from position/);
    await publish(7);
    await hasText(page, ".tail code", /"n":\s*7/);
    await hasText(page, '[aria-label="Last events"] tbody', /"n":7/);
    await leave(page);
  });

  it("shows clients, and the subscriptions of one", async () => {
    const page = await enter();
    await page.click("nav a:has-text('Clients')");
    await hasText(page, "#view .note", /4 of 4 clients/);
    await page.click("tbody tr:first-child a");
    await hasText(page, ".facts", /Subscriptions1/);
    await hasText(page, "table tbody", /chat:4\dLIVE/);
    await leave(page);
  });

  it("shows the script and the database", async () => {
    await server.sql(
      "create table noted (id integer primary key, chat_id integer); select leat.watch('noted', 'chat:{chat_id}')",
    );
    const page = await enter();
    const newcomer = await connectCrowd(browser, server, "alice-token", ["chat:42"]); // a handler has just run
    await go(page, "script");
    await hasText(page, "#view .note", /app\.lua/);
    await hasText(page, "tbody", /no\. 1[0-9a-f]{16}/);
    await hasText(page, '[aria-label="Handlers, last minute"]', /subscribe chat:\{id:int\}[1-9]/);
    await hasText(page, "#view", /No handler has failed/);
    await go(page, "postgres");
    await hasText(page, ".facts", /Listener is behind by at most\d/);
    await hasText(page, '[aria-label="Connections of the server"]', /leat listener/);
    await hasText(
      page,
      '[aria-label="Statements that took most of the time"]',
      /select[^]*from messages/,
    );
    await hasText(page, '[aria-label="Watches"]', /noted/);
    await newcomer.context().close();
    await leave(page);
  });

  describe("an action", () => {
    it("does nothing without the confirmation", async () => {
      const page = await enter();
      const asked = [];
      page.on("request", (request) => request.method() === "POST" && asked.push(request.url()));
      await go(page, "topic/chat%3A42");
      await page.click("button:has-text('Resync')");
      assert.ok(await page.isVisible("dialog[open]"));
      await page.click("dialog button:has-text('Cancel')");
      await page.click("button:has-text('Resync')");
      await page.keyboard.press("Escape");
      assert.equal(await page.isVisible("dialog"), false);
      assert.deepEqual(asked, []);
      await leave(page);
    });

    it("is done after it, and the log names who did it", async () => {
      const page = await enter();
      await go(page, "topic/chat%3A42");
      await page.click("button:has-text('Resync')");
      await page.click("#confirm-yes");
      await hasText(page, "#said", /get a fresh snapshot/);
      await go(page, "script");
      await page.click("button:has-text('Reload')");
      await page.click("#confirm-yes");
      await hasText(page, "tbody", /no\. 2/);

      const victim = await connectCrowd(browser, server, "alice-token", ["chat:42", "chat:43"]);
      await go(page, "clients");
      await hasText(page, "#view .note", /6 of 6 clients/);
      await page.click("tbody tr:last-child a");
      await page.click("button:has-text('Disconnect')");
      await page.click("#confirm-yes");
      await hasText(page, "#view .note", /This client is gone/);

      for (const action of ["resync topic=chat:42", "reload", "disconnect client=\\d-\\d+"])
        await server.logged(
          new RegExp(`done by an operator action=${action} by=127.0.0.1:\\d+ door=console`),
        );
      await victim.context().close();
      await leave(page);
    });

    it("that fails says why", async () => {
      const page = await enter();
      await page.route("**/api/resync*", (route) =>
        route.fulfill({ status: 503, json: { error: "no connection" } }),
      );
      await go(page, "topic/chat%3A42");
      await page.click("button:has-text('Resync')");
      await page.click("#confirm-yes");
      await hasText(page, "#said", /Resync failed: no connection/);
      await leave(page);
    });
  });

  describe("without a mouse", () => {
    const at = (page) =>
      page.evaluate(() => {
        const element = document.activeElement;
        const inside = element.matches("input[type=radio]") ? element.nextElementSibling : element;
        const { outlineStyle, outlineWidth } = getComputedStyle(inside);
        return {
          name:
            element.id ||
            element.innerText?.trim() ||
            element.getAttribute("aria-label") ||
            element.tagName,
          visible: element === document.body || (outlineStyle !== "none" && outlineWidth !== "0px"),
        };
      });

    async function tabTo(page, what) {
      for (let n = 0; n < 60; n++) {
        await page.keyboard.press("Tab");
        const { name, visible } = await at(page);
        assert.ok(visible, `${name} does not show that it has the focus`);
        if (what.test(name)) return;
      }
      assert.fail(`Tab never reached ${what}`);
    }

    it("goes into a topic, resyncs it, and stands where it was", async () => {
      const page = await openConsole(browser, url);
      await page.waitForSelector("#token:focus"); // by itself, when the page is drawn
      await page.keyboard.type(VARIABLES.LEAT_CONSOLE_TOKEN);
      await page.keyboard.press("Enter");
      await page.waitForSelector('#stream[data-state="live"]');

      await tabTo(page, /^Skip to the content$/);
      await tabTo(page, /^Topics$/);
      await page.keyboard.press("Enter");
      await hasText(page, "tbody", /chat:42/);
      assert.equal((await at(page)).name.split("\n")[0], "view");
      await tabTo(page, /^chat:42$/);
      await page.keyboard.press("Enter");
      await hasText(page, "h1", /chat:42/);
      await tabTo(page, /^Resync$/);
      await page.keyboard.press("Enter");
      assert.equal((await at(page)).name, "Cancel");
      await page.keyboard.press("Tab");
      assert.equal((await at(page)).name, "confirm-yes");
      await page.keyboard.press("Enter");
      await hasText(page, "#said", /get a fresh snapshot/);
      assert.equal((await at(page)).name, "Resync");
      await leave(page);
    });

    it("keeps the focus on a row while its figures change", async () => {
      const page = await enter({ hash: "#topics" });
      await go(page, "topics");
      await hasText(page, "tbody", /chat:42/);
      await page.focus("tbody a:has-text('chat:43')");
      await server.sql("select leat.publish('chat:43', '{}') from generate_series(1, 20)");
      await hasText(page, "tbody tr:first-child", /chat:43/); // it moves to the first row
      assert.equal((await at(page)).name, "chat:43");
      await leave(page);
    });
  });

  describe("on a phone", () => {
    it("is not wider than the screen, in any view", async () => {
      const page = await enter({ viewport: PHONE });
      for (const hash of Object.keys(VIEWS)) {
        await go(page, hash);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= PHONE.width, `${hash} is ${width} wide`);
      }
      await leave(page);
    });

    it("shows whole tables: none scrolls sideways, in any view", async () => {
      await server.sql(`create table pressed (id integer primary key, the_number_of_the_chat integer);
        select leat.watch('pressed', 'chat:{the_number_of_the_chat}'); alter table pressed disable trigger all`);
      const page = await enter({ viewport: PHONE });
      for (const hash of Object.keys(VIEWS)) {
        await go(page, hash);
        if (hash === "postgres") {
          await hasText(page, '[aria-label="Statements that took most of the time"]', /select/);
          await hasText(page, '[aria-label="What is wrong with the schema"]', /pressed/);
        }
        const wide = await page.$$eval(".scroll", (all) =>
          all
            .filter((one) => one.scrollWidth > one.clientWidth)
            .map((one) => `${one.getAttribute("aria-label")} ${one.scrollWidth}`),
        );
        assert.deepEqual({ hash, wide }, { hash, wide: [] });
      }
      await leave(page);
      await server.sql("drop table pressed");
    });

    it("has targets that a finger meets", async () => {
      const page = await enter({ viewport: PHONE });
      for (const hash of Object.keys(VIEWS)) {
        await go(page, hash);
        const small = await page.$$eval(
          "button, nav a, select, input[type=search], .choice label",
          (all) =>
            all
              .filter((one) => one.checkVisibility())
              .filter((one) => one.getBoundingClientRect().height < 36)
              .map((one) => one.textContent),
        );
        assert.deepEqual(small, []);
      }
      await leave(page);
    });
  });

  describe("its accessibility", () => {
    for (const dark of [false, true])
      it(`has no flaw that axe finds, in the ${dark ? "dark" : "light"}`, async (t) => {
        const axe = await import("axe-core").catch(() => null);
        if (axe === null) return t.skip("npm could not install axe-core");
        const page = await enter({ dark });
        for (const hash of Object.keys(VIEWS)) {
          await go(page, hash);
          await page.evaluate(axe.default.source);
          const found = await page.evaluate(async () => {
            const { violations } = await globalThis.axe.run();
            return violations.map(
              ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(", ")}`,
            );
          });
          assert.deepEqual({ hash, found }, { hash, found: [] });
        }
        await leave(page);
      });
  });

  it("loads nothing from elsewhere, and no address has the token", async () => {
    const page = await openConsole(browser, url);
    const asked = [];
    page.on("request", (request) => asked.push(request));
    await logIn(page);
    for (const hash of Object.keys(VIEWS)) await go(page, hash);
    for (const request of asked) {
      assert.ok(request.url().startsWith(url), request.url());
      assert.ok(!request.url().includes(VARIABLES.LEAT_CONSOLE_TOKEN));
      assert.ok(!(request.headers().referer ?? "").includes(VARIABLES.LEAT_CONSOLE_TOKEN));
    }
    await leave(page);
  });
});
