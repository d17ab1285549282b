/*
 * @leat/client: the browser's end of a Leat connection.
 *
 *   import { connect } from "@leat/client";
 *
 *   const leat = connect("/ws", { getToken });
 *   leat.subscribe("chat:42", {
 *     snapshot(chat) { … },     // the topic as it is: replaces whatever you had
 *     event(change) { … },      // every change after it: in order, each once
 *   });
 *   await leat.publish("chat:42", { body: "hello" });
 *
 * A lost connection mends itself: it waits (exponential back-off with full jitter, or as long as the
 * server asks), connects, and resumes each subscription at the position that it had. What was missed
 * then follows; if that is gone, a new snapshot comes. Either way `snapshot` and `event` are all that
 * an application handles.
 */

import { Connection } from "./connection.js";

export { LeatError } from "./error.js";
export { positionsOf } from "./positions.js";
export { createStore } from "./store.js";

/**
 * Connects, and stays connected until close(). Options:
 *   token      a token for all times, or
 *   getToken   called before each attempt, and before the token expires: returns (a promise of) a
 *              token, { token, expiresAt }, or null if the user is signed out
 *   check      a URL that answers 401 if the token is not good: a page is not told why its WebSocket
 *              did not open
 *   WebSocket  the class to use, if it is not the global one
 */
export function connect(url, options = {}) {
  return new Connection(url, options);
}
