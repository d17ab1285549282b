/* In Chromium, with the real frameworks, against a real server. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../../../spec/browser/support/browser.js";
import { startServer } from "../../../spec/browser/support/server.js";
import { bundle } from "./support/bundle.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const START = `
  import { mount } from "/page.js";
  import { connect } from "/client/client.js";
  window.topic = new URLSearchParams(location.search).get("topic");
  window.wire = [];
  window.leat = connect("/ws", { token: "alice" });
  window.leat.addEventListener("message", ({ detail }) => window.wire.push(detail));
  window.unmount = mount(window.leat, document.getElementById("page"));`;
const FRAMEWORKS = [
  { name: "React 18", page: "react", alias: { react: "react18", "react-dom": "react-dom18" } },
  { name: "React 19", page: "react", alias: { react: "react19", "react-dom": "react-dom19" } },
  { name: "Vue 3", page: "vue" },
  { name: "Svelte 5", page: "svelte" },
];

describe("in Chromium", { timeout: 240_000 }, () => {
  let folder, server, browser;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "leat-client-"));
    for (const file of ["app.lua", "schema.sql"]) await cp(here(`app/${file}`), join(folder, file));
    await cp(here("../src"), join(folder, "public/client"), { recursive: true });
    await writeFile(join(folder, "public/icon.svg"), '<svg xmlns="http://www.w3.org/2000/svg"/>');
    server = await startServer(join(folder, "app.lua"));
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Writes the files of a page that runs a script; false if it could not be bundled. */
  async function serve(t, name, source, alias) {
    const script = await bundle(source, alias).catch((error) => error);
    if (script instanceof Error) {
      t.skip(`not installed: ${script.message.split("\n").slice(0, 2).join(" ")}`);
      return false;
    }
    const put = (file, text) => writeFile(join(folder, "public", file), text);
    await put(`${name}.html`, `<!doctype html><link rel="icon" href="icon.svg"><div id="page"></div><script type="module" src="${name}.js"></script>`);
    await put(`${name}.js`, START.replace("/page.js", `/${name}_page.js`));
    await put(`${name}_page.js`, script);
    return true;
  }

  async function show(name, topic, context) {
    const page = await (context ?? (await browser.newContext())).newPage();
    page.setDefaultTimeout(20_000);
    page.complaints = [];
    page.on("pageerror", (error) => page.complaints.push(String(error)));
    page.on("console", (m) => m.type() === "error" && page.complaints.push(m.text()));
    await page.goto(`${server.url}${name}.html?topic=${topic}`);
    return page;
  }

  const publish = (list, body) =>
    server.sql(
      `with item as (insert into items (list, body) values ('${list}', '${body}') returning id, body)
       select leat.publish('list:${list}', to_jsonb(item)) from item`,
    );

  async function hasItems(page, expected) {
    const read = () => [...document.querySelectorAll("li")].map((item) => item.textContent);
    const same = (texts) => {
      const items = [...document.querySelectorAll("li")].map((item) => item.textContent);
      return JSON.stringify(items) === JSON.stringify(texts);
    };
    await page.waitForFunction(same, expected).catch(async (error) => {
      assert.deepEqual(await page.evaluate(read), expected, page.complaints.join("\n"));
      throw error;
    });
  }

  const asked = (page, op, topic) =>
    page.evaluate(
      ([op, topic]) =>
        window.wire.filter(({ direction, text }) => {
          const message = JSON.parse(text);
          return direction === "out" && message.op === op && message.topic === topic;
        }).length,
      [op, topic],
    );

  for (const { name, page: source, alias } of FRAMEWORKS) {
    it(`${name}: a topic is subscribed once, shown whole, and ended`, async (t) => {
      const file = name.toLowerCase().replace(" ", "");
      if (!(await serve(t, file, source, alias))) return;
      const [one, two] = [`${file}a`, `${file}b`];
      await publish(one, "old");
      const page = await show(file, `list:${one}`);
      await hasItems(page, ["old"]);
      await publish(one, "new");
      await hasItems(page, ["old", "new"]);
      assert.equal(await page.textContent("#count"), "2");
      assert.equal(await page.textContent("#state"), "live");

      await page.evaluate(() => window.say("mine"));
      await hasItems(page, ["old", "new", "mine"]);
      await page.evaluate(() => window.leat.reconnect());
      await publish(one, "after");
      await hasItems(page, ["old", "new", "mine", "after"]);
      assert.equal(await asked(page, "subscribe", `list:${one}`), 2); // one a connection

      await publish(two, "other");
      await page.evaluate((topic) => window.show(topic), `list:${two}`);
      await hasItems(page, ["other"]);
      await page.evaluate(() => window.unmount());
      const ended = (count) =>
        window.wire.filter(({ text }) => JSON.parse(text).op === "unsubscribe").length === count;
      await page.waitForFunction(ended, 2);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    });
  }

  it("tabs share one socket, and each shows everything", async (t) => {
    if (!(await serve(t, "tabs", "plain"))) return;
    await writeFile(join(folder, "public/worker.js"), await bundle("worker"));
    const context = await browser.newContext();
    await publish("tabs", "old");
    const first = await show("tabs", "list:tabs", context);
    await hasItems(first, ["old"]);
    const opened = await first.evaluateHandle(() => {
      const state = { count: 0 };
      new BroadcastChannel("sockets").onmessage = () => state.count++;
      return state;
    });
    const second = await show("tabs", "list:tabs", context);
    await hasItems(second, ["old"]);
    await publish("tabs", "new");
    for (const tab of [first, second]) await hasItems(tab, ["old", "new"]);
    await second.evaluate(() => window.say("mine"));
    for (const tab of [first, second]) await hasItems(tab, ["old", "new", "mine"]);
    assert.deepEqual(await opened.jsonValue(), { count: 0 });
    await first.close();
    await publish("tabs", "last");
    await hasItems(second, ["old", "new", "mine", "last"]);
    await context.close();
  });

  it("a dedicated worker follows a topic by itself, and close() leaves it no socket", async () => {
    await cp(here("pages/dedicated.js"), join(folder, "public/dedicated.js"));
    await writeFile(join(folder, "public/empty.html"), '<!doctype html><link rel="icon" href="icon.svg">');
    await publish("dedicated", "old");
    const page = await show("empty", "");
    await page.evaluate(() => {
      window.told = [];
      window.worker = new Worker("/dedicated.js", { type: "module" });
      window.worker.onmessage = ({ data }) => window.told.push(data);
    });
    const ask = (...act) => page.evaluate((act) => window.worker.postMessage(act), act);
    const shows = async (...bodies) => {
      const same = (wanted) => window.told.flatMap(({ shown }) => shown ?? []).join() === wanted;
      await page.waitForFunction(same, bodies.join()).catch(async (error) => {
        assert.deepEqual(await page.evaluate(() => window.told), bodies, page.complaints.join("\n"));
        throw error;
      });
    };
    const is = (state) => page.waitForFunction((state) => window.told.at(-1)?.state === state, state);

    await ask("follow", "list:dedicated");
    await shows("old");
    await publish("dedicated", "new");
    await shows("old", "new");
    await ask("reconnect");
    await page.waitForFunction(() => window.told.filter(({ state }) => state === "live").length === 2);
    await ask("say", { topic: "list:dedicated", body: "mine" });
    await shows("old", "new", "mine");
    await page.waitForFunction(() => window.told.some(({ said }) => said === "mine"));

    await ask("close");
    await is("closed");
    await publish("dedicated", "unheard");
    await shows("old", "new", "mine");
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
});
