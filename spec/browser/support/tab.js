/* A tab that can be frozen. Playwright keeps its own pages visible, and a visible page is never frozen. */

import { setTimeout as pause } from "node:timers/promises";

const LIMIT_MS = 15_000;

/** A tab past Playwright, in Chromium's own context. */
export async function openTab(browser, url) {
  const session = await browser.newBrowserCDPSession();
  const { targetId } = await session.send("Target.createTarget", { url });
  const { sessionId } = await session.send("Target.attachToTarget", { targetId, flatten: false });
  const asked = new Map();
  let last = 0;
  session.on("Target.receivedMessageFromTarget", (event) => {
    if (event.sessionId !== sessionId) return;
    const { id, result, error } = JSON.parse(event.message);
    if (error) asked.get(id)?.reject(new Error(error.message));
    else asked.get(id)?.resolve(result);
  });

  const send = (method, params) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      asked.set(id, { resolve, reject });
      const message = JSON.stringify({ id, method, params });
      session.send("Target.sendMessageToTarget", { sessionId, message }).catch(reject);
    });

  const tab = {
    /** What a function gives that runs in the tab; promises are awaited. */
    async evaluate(act, ...args) {
      const expression = `(${act})(...${JSON.stringify(args)})`;
      const options = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails: thrown } = await send("Runtime.evaluate", options);
      if (thrown) throw new Error(thrown.exception?.description ?? thrown.text);
      return result.value;
    },
    async waitFor(act, ...args) {
      for (const end = Date.now() + LIMIT_MS; !(await tab.evaluate(act, ...args)); await pause(50)) {
        if (Date.now() > end) throw new Error(`not within ${LIMIT_MS} ms: ${act}`);
      }
    },
    /** Its timers and its sockets' events stand still from now on. */
    freeze: () => send("Page.setWebLifecycleState", { state: "frozen" }),
    thaw: () => send("Page.setWebLifecycleState", { state: "active" }),
    close: () => session.send("Target.closeTarget", { targetId }),
  };
  await tab.waitFor(() => document.readyState === "complete" && location.protocol === "http:");
  return tab;
}
