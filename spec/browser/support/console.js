/* The console of a server, in a browser; and clients that give it something to show. */

import { DESKTOP } from "./browser.js";

export const TOKEN = "a-token-of-a-test-0123456789";
export const VARIABLES = { LEAT_CONSOLE_LISTEN: "127.0.0.1:0", LEAT_CONSOLE_TOKEN: TOKEN };

/** The console's address: http://127.0.0.1:PORT/console/ */
export async function consoleUrl(server) {
  const [, address] = await server.logged(/console open address=(\S+)/);
  return `http://${address}/console/`;
}

/** A page of its own context with the console in it, at the login. page.complaints gathers what must not happen. */
export async function openConsole(
  browser,
  url,
  { viewport = DESKTOP, hash = "", dark = false } = {},
) {
  const context = await browser.newContext({
    viewport,
    locale: "en-GB",
    colorScheme: dark ? "dark" : "light",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (/security policy|trusted/i.test(message.text())) page.complaints.push(message.text());
  });
  await page.goto(url + hash);
  return page;
}

export async function logIn(page, token = TOKEN) {
  await page.fill("#token", token);
  await page.press("#token", "Enter");
  await page.waitForSelector('#stream[data-state="live"]');
}

/**
 * WebSocket clients, which have subscribed: one for each topic of the list. They live in a page, which is returned, and
 * end with its context.
 */
export async function connectCrowd(browser, server, token, topics) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(server.url);
  await page.evaluate(
    ([secret, names]) => {
      globalThis.crowd = names.map((topic) => {
        const address = `${location.origin.replace("http", "ws")}/ws?token=${secret}`;
        const socket = new WebSocket(address);
        socket.onopen = () => socket.send(JSON.stringify({ op: "subscribe", id: 1, topic }));
        return new Promise((resolve) => {
          socket.onmessage = () => resolve(socket);
          socket.onerror = () => resolve(null);
        });
      });
      return Promise.all(globalThis.crowd).then((sockets) => sockets.length);
    },
    [token, topics],
  );
  return page;
}
