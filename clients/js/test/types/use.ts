/* What an application in strict TypeScript writes. It is only compiled. */

import { connect, createStore, LeatError } from "@leat/client";
import type { Position } from "@leat/client";
import { useConnection, useTopic } from "@leat/client/react";
import { topicStore } from "@leat/client/svelte";
import { useTopic as useVueTopic } from "@leat/client/vue";
import { connectShared } from "@leat/client/shared_worker";

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
useVueTopic(leat, () => "chat:1", (n: number = 0) => n + 1).data.value?.toFixed();
connectShared(new SharedWorker("/worker.js")).close();
