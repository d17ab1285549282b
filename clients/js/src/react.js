/*
 * Hooks for React 18 and 19.
 *
 *   const { data, status, apply } = useTopic(leat, "chat:42", reduce);
 *   const state = useConnection(leat);
 *
 * Components that use the same topic of a connection share one subscription (shared_store.js).
 */

import { useCallback, useMemo, useSyncExternalStore } from "react";
import { sharedStore } from "./shared_store.js";

/**
 * `data` is the topic's state, made by `reduce`; `status` is { state, stale, error };
 * apply(data, send) shows a change before the server does. `options`: { initial, params, timeoutMs }.
 */
export function useTopic(connection, topic, reduce, options) {
  const store = sharedStore(connection, topic, reduce, options);
  const data = useSyncExternalStore(store.subscribe, store.get, store.get);
  const status = useSyncExternalStore(store.subscribe, store.status, store.status);
  return useMemo(() => ({ data, status, apply: store.apply }), [data, status, store]);
}

/** The state of the connection: "live", "waiting", ... */
export function useConnection(connection) {
  const subscribe = useCallback(
    (listener) => {
      connection.addEventListener("state", listener);
      return () => connection.removeEventListener("state", listener);
    },
    [connection],
  );
  const state = () => connection.state;
  return useSyncExternalStore(subscribe, state, state);
}
