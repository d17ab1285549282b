import type {
  Connection, ConnectionState, Reduce, SharedStore, SubscribeOptions, TopicStatus,
} from "./client.js";

export interface UsedTopic<T> {
  readonly data: T;
  readonly status: TopicStatus;
  readonly apply: SharedStore<T>["apply"];
}

export function useTopic<T, S = any, E = any>(
  connection: Connection,
  topic: string,
  reduce: Reduce<T, S, E>,
  options: SubscribeOptions & { initial: T },
): UsedTopic<T>;
export function useTopic<T, S = any, E = any>(
  connection: Connection,
  topic: string,
  reduce: Reduce<T | undefined, S, E>,
  options?: SubscribeOptions,
): UsedTopic<T | undefined>;

export function useConnection(connection: Connection): ConnectionState;
