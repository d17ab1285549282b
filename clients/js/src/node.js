/* The entry for Node, which has a WebSocket of its own from version 22 on. */

import { connect as connectWith } from "./client.js";
import { NodeSocket } from "./node_socket.js";

export { createStore, LeatError, positionsOf } from "./client.js";

/** As in client.js. */
export function connect(url, options = {}) {
  return connectWith(url, { WebSocket: globalThis.WebSocket ?? NodeSocket, ...options });
}
