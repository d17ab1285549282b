/*
 * Stores that several components share: one for each topic of a connection. The subscription is
 * made when the first listener comes, and ended a moment after the last has gone, so that a
 * component that is unmounted and mounted again neither ends nor repeats it.
 */

import { createStore } from "./store.js";
import { want, wantFunction, wantName } from "./want.js";

const LINGER_MS = 1_000;
const IDLE = Object.freeze({ state: "idle", stale: false, error: null });
const CLOSED = Object.freeze({ ...IDLE, state: "closed" });
const connections = new WeakMap(); // Connection -> Map(topic -> shared store)

/**
 * The shared store of a topic: get, status, subscribe and apply as those of createStore(). What is
 * given first for a topic counts: later reduce, initial, params are not looked at. Asking for it
 * has no effect upon the connection; listening has.
 */
export function sharedStore(connection, topic, reduce, { initial, ...options } = {}) {
  want(connection?.subscribe, "what comes before the topic must be a connection");
  wantName(topic, "a topic");
  wantFunction(reduce, "reduce");
  if (!connections.has(connection)) connections.set(connection, new Map());
  const stores = connections.get(connection);
  if (!stores.has(topic)) {
    const open = () => createStore(connection.subscribe(topic, null, options), reduce, initial);
    stores.set(topic, share(stores, topic, connection, open, initial));
  }
  return stores.get(topic);
}

function share(stores, topic, connection, open, initial) {
  let store = null;
  let users = 0;
  let timer;
  const forget = () => {
    if (stores.get(topic) === self) stores.delete(topic);
    store?.close();
    store = null;
  };
  const linger = () => {
    timer = setTimeout(forget, LINGER_MS);
    timer.unref?.(); // a Node process may end
  };
  // Another one may have been made since this one was forgotten. Who still has this one shares that.
  const other = () => (stores.get(topic) === self ? null : stores.get(topic));
  const self = {
    get() {
      const current = other() ?? store;
      return current ? current.get() : initial;
    },
    status: () =>
      (other() ?? store)?.status() ?? (connection.state === "closed" ? CLOSED : IDLE),
    // While nobody listens, there is nothing to show it in.
    apply: async (data, send) => (other() ?? store)?.apply(data, send) ?? send(),
    subscribe(listener) {
      if (other()) return other().subscribe(listener);
      if (!store && connection.state === "closed") return () => {};
      store ??= open();
      stores.set(topic, self);
      clearTimeout(timer);
      users++;
      const unsubscribe = store.subscribe(listener);
      let isGone = false;
      return () => {
        if (isGone) return;
        isGone = true;
        unsubscribe();
        if (--users === 0) linger();
      };
    },
  };
  linger(); // it may be that nobody comes
  return self;
}
