/* What happens to a page: networks come and go, computers sleep, browsers freeze tabs. */

const TICK_MS = 5_000;
const ASLEEP_MS = 70_000; // a clock that jumps by so much belonged to something that slept. The timers
// of a hidden tab run once a minute.

/**
 * Calls wake() when there is reason to look at the connection and to make it again, doubt() when there
 * is reason to look at it only, sleep() when the page goes into the back/forward cache, where an open
 * socket is not allowed, and tick() now and then. Returns a function that stops.
 */
export function watchPage({ wake, doubt, sleep, tick }) {
  const stop = new AbortController();
  const { signal } = stop;
  const on = (target, type, callback) => {
    target?.addEventListener?.(type, callback, { signal });
  };
  on(globalThis, "online", () => wake());
  on(globalThis, "offline", () => doubt());
  on(globalThis, "pageshow", ({ persisted }) => persisted && wake());
  on(globalThis, "pagehide", ({ persisted }) => persisted && sleep());
  on(globalThis.document, "resume", () => wake());

  let last = Date.now();
  const ticker = setInterval(() => {
    const slept = Date.now() - last > ASLEEP_MS;
    last = Date.now();
    if (slept) wake();
    else tick();
  }, TICK_MS);
  ticker.unref?.(); // a Node process may end
  return () => {
    stop.abort();
    clearInterval(ticker);
  };
}
