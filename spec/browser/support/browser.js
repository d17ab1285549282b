/* Chromium, and the example chat in it as somebody sees it. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const LIMIT_MS = 15_000;
const WHOLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SHELL = "/usr/bin/chromium-headless-shell"; // the same engine without windows: half the work
export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/** withCache: with the back/forward cache, which playwright turns off and the headless shell does not have. */
export function launch({ withCache = false } = {}) {
  return chromium.launch({
    executablePath: !withCache && existsSync(SHELL) ? SHELL : WHOLE,
    ignoreDefaultArgs: withCache ? ["--disable-back-forward-cache"] : [],
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * A page of its own context: a person at a computer of their own. `prepare(page)` runs before it
 * loads.
 */
export async function open(browser, server, { token, chat, viewport = DESKTOP, prepare } = {}) {
  const context = await browser.newContext({ viewport, locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (/security policy|trusted/i.test(message.text())) page.complaints.push(message.text());
  });
  await prepare?.(page);

  const address = new URLSearchParams({ ...(token && { token }), ...(chat && { chat }) });
  await page.goto(`${server.url}#${address}`);
  return page;
}

/** The chat with that token, live and with its messages. */
export async function enter(browser, server, token, { chat = 42, ...options } = {}) {
  const page = await open(browser, server, { token, chat, ...options });
  await isLive(page);
  await page.waitForSelector("#gate:not([hidden])");
  return page;
}

/** Closes the page; an error or a violated policy in it fails the test. */
export async function leave(...pages) {
  for (const page of pages) {
    await page.context().close();
    assert.deepEqual(page.complaints, []);
  }
}

export function isLive(page) {
  return page.waitForSelector('#connection[data-state="live"]');
}

export async function say(page, text) {
  await page.fill("#draft", text);
  await page.press("#draft", "Enter");
}

/** What was said in a list ("#messages", "#queue", "#outbox"), without the demo's own messages. */
export function said(page, list = "#messages") {
  return page.$$eval(`${list} .message`, (items) => {
    const old = 101; // demo rows have smaller ids
    return items
      .filter((item) => item.matches(".outgoing") || Number(item.dataset.key) >= old)
      .map((item) => item.querySelector(".body").textContent);
  });
}

/** Waits until exactly this has been said. */
export async function hasSaid(page, expected, list = "#messages") {
  const same = ([selector, texts]) => {
    const items = [...document.querySelectorAll(`${selector} .message`)]
      .filter((item) => item.matches(".outgoing") || Number(item.dataset.key) >= 101)
      .map((item) => item.querySelector(".body").textContent);
    return JSON.stringify(items) === JSON.stringify(texts);
  };
  try {
    await page.waitForFunction(same, [list, expected], { timeout: LIMIT_MS });
  } catch (error) {
    assert.deepEqual(await said(page, list), expected, error.message);
  }
}

export async function hasText(page, selector, pattern) {
  const matches = ([css, source]) =>
    new RegExp(source).test(document.querySelector(css)?.textContent ?? "");
  try {
    await page.waitForFunction(matches, [selector, pattern.source], { timeout: LIMIT_MS });
  } catch (error) {
    const text = await page.evaluate((css) => document.querySelector(css)?.textContent, selector);
    assert.match(text ?? `no ${selector}`, pattern, error.message);
    throw error;
  }
}

/** The messages in the wire panel, oldest first: [{ direction, op, text }]. */
export function wire(page) {
  return page.$$eval("#wire-lines li[data-op]", (lines) =>
    lines.map((line) => ({
      direction: line.classList.contains("in") ? "in" : "out",
      op: line.dataset.op,
      text: line.querySelector("summary").textContent,
    })),
  );
}
