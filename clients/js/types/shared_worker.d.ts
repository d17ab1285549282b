import type { Connection, ConnectOptions } from "./client.js";

/** In a tab: a connection over the socket that a SharedWorker holds for all tabs. */
export function connectShared(worker: SharedWorker, options?: ConnectOptions): Connection;

/** In the worker's script: holds one connection for all tabs. */
export function serveTabs(url: string | URL, options?: ConnectOptions): void;
