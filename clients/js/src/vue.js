/*
 * For Vue 3:
 *
 *   const { data, status, apply } = useTopic(leat, "chat:42", reduce);
 *
 * The topic may be a ref or a getter; the subscription follows it, and ends with the component.
 */

import { onScopeDispose, readonly, shallowRef, toValue, watchEffect } from "vue";
import { sharedStore } from "./shared_store.js";

export function useTopic(connection, topic, reduce, options) {
  const data = shallowRef();
  const status = shallowRef();
  let store;
  watchEffect((onCleanup) => {
    store = sharedStore(connection, toValue(topic), reduce, options);
    const look = () => ([data.value, status.value] = [store.get(), store.status()]);
    onCleanup(store.subscribe(look));
    look();
  });
  return { data, status, apply: (...change) => store.apply(...change) };
}

export function useConnection(connection) {
  const state = shallowRef(connection.state);
  const look = () => (state.value = connection.state);
  connection.addEventListener("state", look);
  onScopeDispose(() => connection.removeEventListener("state", look));
  return readonly(state);
}
