import type { MaybeRefOrGetter, Ref, ShallowRef } from "vue";
import type {
  Connection, ConnectionState, Reduce, SharedStore, SubscribeOptions, TopicStatus,
} from "./client.js";

export function useTopic<T, S = any, E = any>(
  connection: Connection,
  topic: MaybeRefOrGetter<string>,
  reduce: Reduce<T | undefined, S, E>,
  options?: SubscribeOptions & { initial?: T },
): {
  data: ShallowRef<T | undefined>;
  status: ShallowRef<TopicStatus>;
  apply: SharedStore<T>["apply"];
};

export function useConnection(connection: Connection): Readonly<Ref<ConnectionState>>;
