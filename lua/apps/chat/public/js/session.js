/*
 * One person's chats: subscribes to all of them, keeps each as it is now, and sends what is written.
 * The views read it and are told by "change" that there is something to read.
 */

import { connect, createStore } from "/leat/client.js";
import { NOTHING, reduceChat } from "./chat-state.js";

const TYPING_SHOWN_MS = 4_000;
const TYPING_SENT_EVERY_MS = 2_500;

export class Session extends EventTarget {
  me = null;
  chats = new Map(); // id -> Chat
  connection = { state: "connecting" };
  #announced = false;

  constructor(token) {
    super();
    this.token = token;
    this.leat = connect("/ws", { token });
    this.leat.addEventListener("state", ({ detail }) => {
      this.connection = { ...detail, wasLive: this.connection.wasLive || detail.state === "live" };
      if (detail.state === "live") queueMicrotask(() => this.#enter()); // once all have heard it
      this.changed();
    });
  }

  close() {
    this.leat.close();
  }

  // Many things may change in one turn: the views are called once, at its end.
  changed() {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.dispatchEvent(new Event("change"));
    });
  }

  async #enter() {
    try {
      const { user, chats } = (await this.leat.call("home")).data;
      this.me = user;
      for (const { id, title } of chats) {
        if (!this.chats.has(id)) this.chats.set(id, new Chat(this, id, title));
      }
    } catch (error) {
      // Without an answer the next connection asks again; with one that says no, ask in a while.
      if (error.code !== "disconnected")
        setTimeout(() => this.#enter(), error.retryAfterMs || 2_000);
    }
    this.changed();
  }
}

class Chat {
  draft = "";
  typing = new Map(); // user id -> timer
  #session;
  #title; // until the first snapshot
  #store;
  #complaint = null; // why the gate could not be moved
  #readId = null; // the newest message that was there when the chat was looked at
  #unsent = []; // { key, body, state: waiting | failed | unsure, problem }
  #sending = false;
  #toldTyping = 0;
  #nextKey = 1;

  constructor(session, id, title) {
    this.#session = session;
    this.#title = title;
    this.id = id;
    this.topic = `chat:${id}`;
    this.subscription = session.leat.subscribe(this.topic);
    this.#store = createStore(this.subscription, (state, change) => this.#take(state, change), NOTHING);
    this.#store.subscribe(() => this.#onChange());
  }

  /** The rebuilt state: see chat-state.js. Null as long as nothing has come. */
  get data() {
    return this.#store.get().chat;
  }

  get title() {
    return this.data?.title ?? this.#title;
  }

  get isMine() {
    return this.data?.owner_id === this.#session.me?.id;
  }

  get isLive() {
    return this.subscription.state === "live";
  }

  get stale() {
    return this.#store.status().stale;
  }

  /** What is being mended, as a sentence. */
  get problem() {
    return this.#complaint ?? this.#store.status().error?.message ?? null;
  }

  /** The LeatError that ended the subscription. */
  get ended() {
    return this.subscription.state === "closed" ? this.#store.status().error : null;
  }

  /** One's own messages that the chat does not show yet, with the states sending and sent, too. */
  get outbox() {
    return [...this.#unsent, ...this.#store.get().outgoing].sort((a, b) => a.key - b.key);
  }

  get unread() {
    const isUnread = ({ id, user_id }) => id > this.#readId && user_id !== this.#session.me?.id;
    return this.data ? this.data.messages.filter(isUnread).length : 0;
  }

  markRead() {
    this.#readId = this.data?.messages.at(-1)?.id ?? this.#readId;
  }

  member(id) {
    return this.data?.members.find((member) => member.id === id);
  }

  // --- what comes ---

  // Each change that the server sends passes here once; only optimistic ones, without `at`, repeat.
  #take(state, change) {
    const { type, data, at } = change;
    if (type === "signal") this.#onSignal(data);
    if (type === "event" && at && data.message) this.#stoppedTyping(data.message.user_id);
    return reduceChat(state, change);
  }

  #onChange() {
    if (this.data) this.#readId ??= this.data.messages.at(-1)?.id ?? 0;
    this.#drain();
    this.#session.changed();
  }

  #onSignal({ type, user_id: userId }) {
    if (type !== "typing" || userId === this.#session.me?.id) return;
    clearTimeout(this.typing.get(userId));
    this.typing.set(
      userId,
      setTimeout(() => this.#stoppedTyping(userId), TYPING_SHOWN_MS),
    );
  }

  #stoppedTyping(userId) {
    clearTimeout(this.typing.get(userId));
    if (this.typing.delete(userId)) this.#session.changed();
  }

  // --- what goes ---

  /** Sends it, at once or when the connection is back. */
  send(body) {
    this.#unsent.push({ key: this.#nextKey++, body, state: "waiting" });
    this.#drain();
    this.#session.changed();
  }

  sendAgain(item) {
    item.state = "waiting";
    this.#drain();
    this.#session.changed();
  }

  discard(item) {
    this.#unsent = this.#unsent.filter((other) => other !== item);
    this.#session.changed();
  }

  async setStatus(status) {
    this.#complaint = null;
    try {
      await this.#session.leat.publish(this.topic, { type: "status", status });
    } catch (error) {
      this.#complaint = error.message;
    }
    this.#session.changed();
  }

  tellTyping() {
    const now = Date.now();
    if (!this.isLive || now - this.#toldTyping < TYPING_SENT_EVERY_MS) return;
    this.#toldTyping = now;
    this.#session.leat.call("typing", { chat_id: this.id }).catch(() => {}); // worth nothing later
  }

  // One after the other, so that they arrive in the order in which they were written.
  async #drain() {
    if (this.#sending) return;
    this.#sending = true;
    let item;
    while (
      this.isLive &&
      this.data &&
      (item = this.#unsent.find(({ state }) => state === "waiting"))
    ) {
      await this.#sendOne(item);
      this.#session.changed();
    }
    this.#sending = false;
  }

  // While it is on its way the store shows it, and drops it in the step that shows the real one:
  // the answer's positions say which event that is.
  async #sendOne(item) {
    this.#unsent = this.#unsent.filter((other) => other !== item);
    item.state = "sending";
    try {
      await this.#store.apply({ type: "outgoing", item }, async () => {
        const message = { type: "message", body: item.body };
        const answer = await this.#session.leat.publish(this.topic, message);
        item.state = "sent";
        return answer;
      });
      this.#toldTyping = 0;
    } catch (error) {
      item.state = error.code === "disconnected" ? "unsure" : "failed";
      item.problem = error.message;
      this.#unsent.push(item);
    }
  }
}
