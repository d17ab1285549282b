/* The entry for Node, Deno and Bun. */

import { connect as connectWith } from "./client.js";
import { NodeSocket } from "./node_socket.js";

export { createStore, LeatError, positionsOf } from "./client.js";

// Their own WebSocket waits for the other side's goodbye, without an end, and the program with it. Node has none before
// version 22. A class that somebody has put in its place counts.
function socketClass() {
  const given = globalThis.WebSocket;
  return !given || /webidl|\.brand\b|\[native code\]/.test(String(given)) ? NodeSocket : given;
}

/** As in client.js. */
export function connect(url, options = {}) {
  return connectWith(url, { WebSocket: socketClass(), ...options });
}
