/* The README's live chat, both halves, as they stand there. */

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./support/browser.js";
import { startServer } from "./support/server.js";

// What the README's Lua reads and writes.
const SCHEMA = `
  create table users (id bigint primary key, name text not null, token text unique);
  create table chats (id bigint primary key, title text not null);
  create table messages (id bigint generated always as identity primary key,
    chat_id bigint not null references chats, author text not null, body text not null);
  insert into users values (1, 'Alice', 'alice-token');
  insert into chats values (1, 'First');
  insert into messages (chat_id, author, body) values (1, 'Bob', 'was here before')`;

const block = (text, language) => text.match(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``))[1];
const seen = (page, text) =>
  page.waitForFunction((wanted) => document.body.innerText.includes(wanted), text);

describe("the README's example", () => {
  let folder, server, browser;
  before(async () => {
    const readme = await readFile(fileURLToPath(new URL("../../README.md", import.meta.url)), "utf8");
    folder = await mkdtemp(join(tmpdir(), "leat-readme-"));
    await mkdir(join(folder, "public"));
    await writeFile(join(folder, "app.lua"), block(readme, "lua"));
    await writeFile(join(folder, "schema.sql"), SCHEMA);
    await writeFile(join(folder, "public", "chat.js"), block(readme, "js"));
    await writeFile(
      join(folder, "public", "index.html"),
      '<!doctype html><title>chat</title><body><script type="module" src="/chat.js"></script>',
    );
    server = await startServer(join(folder, "app.lua"));
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("shows what was said, what is said, and what others commit", async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    await seen(page, "Bob: was here before");

    await page.evaluate(() => window.say("hello"));
    await seen(page, "Alice: hello");

    await server.sql(
      "select leat.publish('chat:1', '{\"author\": \"psql\", \"body\": \"from any language\"}')",
    );
    await seen(page, "psql: from any language");
    await page.close();
  });
});
