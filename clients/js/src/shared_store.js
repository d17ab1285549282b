/*
 * Stores that several components share: one for each topic of a connection. The subscription is
 * made when the first listener comes, and ended a moment after the last has gone, so that a
 * component that is unmounted and mounted again neither ends nor repeats it.
 */

import { createStore } from "./store.js";

const LINGER_MS = 1_000;
const IDLE = Object.freeze({ state: "idle", stale: false, error: null });
const connections = new WeakMap(); // Connection -> Map(topic -> shared store)

/**
 * The shared store of a topic: get, status, subscribe and apply as those of createStore(). What is
 * given first for a topic counts: later reduce, initial, params are not looked at. Asking for it
 * has no effect upon the connection; listening has.
 */
export function sharedStore(connection, topic, reduce, { initial, ...options } = {}) {
  if (!connections.has(connection)) connections.set(connection, new Map());
  const stores = connections.get(connection);
  if (!stores.has(topic)) {
    const open = () => createStore(connection.subscribe(topic, null, options), reduce, initial);
    stores.set(topic, share(open, initial, () => stores.delete(topic)));
  }
  return stores.get(topic);
}

function share(open, initial, forget) {
  let store = null;
  let users = 0;
  let timer;
  const end = () => {
    forget();
    store.close();
  };
  return {
    get: () => (store ? store.get() : initial),
    status: () => store?.status() ?? IDLE,
    apply: (...change) => store.apply(...change),
    subscribe(listener) {
      clearTimeout(timer);
      users++;
      store ??= open();
      const unsubscribe = store.subscribe(listener);
      return () => {
        unsubscribe();
        if (--users === 0) timer = setTimeout(end, LINGER_MS);
      };
    },
  };
}
