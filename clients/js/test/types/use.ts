/* What an application in strict TypeScript writes. It is only compiled. */

import { connect, createStore, LeatError, positionsOf } from "@leat/client";
import type { Connection, ConnectionState, Position, SharedStore, Store, Topic, TopicState } from "@leat/client";
import { useConnection, useTopic } from "@leat/client/react";
import { connectionStore, topicStore } from "@leat/client/svelte";
import { useConnection as useVueConnection, useTopic as useVueTopic } from "@leat/client/vue";
import { connectShared, serveTabs } from "@leat/client/shared_worker";

interface Message { id: number; body: string }
type Event = { type: "message"; message: Message };

const leat = connect("/ws", { getToken: async () => ({ token: "t", expiresAt: new Date() }) });
leat.addEventListener("state", ({ detail }) => console.log(detail.state, detail.retryAt));

const chat = leat.subscribe<Message[], Event>("chat:1", {
  snapshot: (messages, at) => console.log(messages[0]?.body, at.stale),
  event: ({ message }, { seq }) => console.log(message.body, seq),
  closed: (error: LeatError) => console.log(error.retryAfterMs),
});

const list = createStore<Message[], Message[], Event>(
  leat.subscribe("chat:2"),
  (state, change) =>
    change.type === "snapshot" ? change.data
    : change.type === "event" ? [...state, change.data.message]
    : state,
  [],
);

export async function run(): Promise<Position[]> {
  const { data, at } = await leat.publish<{ id: number }>("chat:1", { body: "hi" });
  await chat.reached(at);
  const answer = await list.apply({ type: "message", message: { id: data.id, body: "" } }, () =>
    leat.publish<string>("chat:2", {}),
  );
  for await (const change of leat.subscribe<Message[], Event>("chat:3")) {
    if (change.type === "event") console.log(change.data.message, change.at.seq);
    // @ts-expect-error a signal has no position
    if (change.type === "signal") console.log(change.at.seq);
  }
  return answer.at;
}

export function Component(): string {
  const { data, status, apply } = useTopic(leat, "chat:1", (n: number) => n + 1, { initial: 0 });
  void apply(1, async () => "answer").then((text) => text.length);
  // @ts-expect-error there is no such state
  if (useConnection(leat) === "dancing") return "";
  return data.toFixed() + status.state;
}

topicStore(leat, "chat:1", (n: number = 0) => n + 1).subscribe(({ data }) => data?.toFixed());
connectionStore(leat).subscribe((state: ConnectionState) => state.length);
useVueTopic(leat, () => "chat:1", (n: number = 0) => n + 1).data.value?.toFixed();
useVueConnection(leat).value satisfies ConnectionState;
connectShared(new SharedWorker("/worker.js")).close();
serveTabs(new URL("wss://example.org/ws"), { getToken: () => null });

// Each member of a connection, a topic, a store and an error.
export async function members(other: Connection, topic: Topic<string[], string>, store: Store<string[]>): Promise<void> {
  await other.ready();
  await other.authenticate("t");
  await other.authenticate({ token: "t", expiresAt: Date.now() + 60_000 });
  const { data } = await other.call<number>("count", { of: "chats" }, { timeoutMs: 2_000 });
  data.toFixed();
  other.subscribe("chat:4", null, { params: { since: "yesterday" }, timeoutMs: 1_000 }).attach({ signal: console.log });
  other.reconnect("the user asked for it");
  const listener = (): void => {};
  other.addEventListener("message", ({ detail }) => console.log(detail.direction, detail.text));
  other.removeEventListener("state", listener);
  // @ts-expect-error a token is no number
  await other.authenticate(42);

  const written = positionsOf(await fetch("/chats/42", { method: "POST" }));
  await topic.reached(written, { signal: AbortSignal.timeout(5_000) });
  const isThere: boolean = topic.has({ epoch: "e", seq: 1 }) && topic.position?.seq === 1;
  const state: TopicState = isThere ? topic.state : "idle";
  console.log(topic.topic, state);

  const stop = store.subscribe(listener);
  const shared: SharedStore<string[]> = store;
  const { stale, error } = shared.status();
  console.log(shared.get().length, stale, error?.code, store.topic.state);
  await store.apply("hello", async () => ({ at: written }));
  stop();
  store.close();
  topic.close();
  other.close();
  const mistake = new LeatError("unavailable", "full", 500);
  if (mistake.passing) console.log(mistake.code, mistake.message, mistake.retryAfterMs);
  connect("/ws", { token: "t", check: "/me", WebSocket });
}
