/* The entry for Node, which has a WebSocket of its own from version 22 on. */

import { connect as connectWith } from "./index.js";
import { NodeSocket } from "./node_socket.js";

export { createStore, LeatError } from "./index.js";

/** As in index.js. */
export function connect(url, options = {}) {
  return connectWith(url, { WebSocket: globalThis.WebSocket ?? NodeSocket, ...options });
}
