/*
 * For Svelte 4 and 5: stores that a component reads as $chat and $state.
 *
 *   const chat = topicStore(leat, "chat:42", reduce);     // $chat.data, $chat.status
 *   const state = connectionStore(leat);
 */

import { readable } from "svelte/store";
import { sharedStore } from "./shared_store.js";

export function topicStore(connection, topic, reduce, options) {
  const store = () => sharedStore(connection, topic, reduce, options);
  const look = () => ({ data: store().get(), status: store().status() });
  const { subscribe } = readable(look(), (set) => {
    const unsubscribe = store().subscribe(() => set(look()));
    set(look());
    return unsubscribe;
  });
  return { subscribe, apply: (...change) => store().apply(...change) };
}

export function connectionStore(connection) {
  return readable(connection.state, (set) => {
    const look = () => set(connection.state);
    connection.addEventListener("state", look);
    look();
    return () => connection.removeEventListener("state", look);
  });
}
