import type { Readable } from "svelte/store";
import type {
  Connection, ConnectionState, Reduce, SharedStore, SubscribeOptions, TopicStatus,
} from "./client.js";

export function topicStore<T, S = any, E = any>(
  connection: Connection,
  topic: string,
  reduce: Reduce<T | undefined, S, E>,
  options?: SubscribeOptions & { initial?: T },
): Readable<{ data: T | undefined; status: TopicStatus }> & Pick<SharedStore<T>, "apply">;

export function connectionStore(connection: Connection): Readable<ConnectionState>;
