/* How long to wait before the next attempt. */

const FIRST_MS = 500;
const MOST_MS = 30_000;
const MOST_ASKED_MS = 600_000; // a server that asks for more has made a mistake

/** Full jitter: any time up to the limit, so that those who lost a server together do not return
 * together. `failures`: how many attempts have failed before. */
export function backoff(failures) {
  return Math.random() * Math.min(MOST_MS, FIRST_MS * 2 ** failures);
}

/** As long as the server asks for; undefined or 0 if it does not. */
export function wanted(retryAfterMs) {
  return Math.min(Math.max(Number(retryAfterMs) || 0, 0), MOST_ASKED_MS);
}

/** setTimeout for times that may be longer than its 2^31 ms. Returns a function that cancels. */
export function later(ms, callback) {
  const LONGEST_MS = 2 ** 31 - 1;
  let timer;
  const wait = (left) => {
    const step = Math.min(left, LONGEST_MS);
    timer = setTimeout(() => (left > step ? wait(left - step) : callback()), Math.max(0, step));
  };
  wait(ms);
  return () => clearTimeout(timer);
}
