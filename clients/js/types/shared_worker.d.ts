import type { Connection, ConnectOptions } from "./client.js";

/**
 * In a tab: a connection over the socket that a SharedWorker holds for all tabs. A topic has the same `params` in all of
 * them: a tab that asks for other ones while another tab reads the topic is refused with `bad_request`.
 */
export function connectShared(worker: SharedWorker, options?: ConnectOptions): Connection;

/** In the worker's script: holds one connection for all tabs. */
export function serveTabs(url: string | URL, options?: ConnectOptions): void;
