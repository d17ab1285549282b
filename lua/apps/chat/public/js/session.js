/*
 * One person's chats: subscribes to all of them, keeps each as it is now, and sends what is written.
 * The views read it and are told by "change" that there is something to read.
 */

import { applyEvent } from "./chat-state.js";
import { connect } from "./leat.js";

const TYPING_SHOWN_MS = 4_000;
const TYPING_SENT_EVERY_MS = 2_500;

export class Session extends EventTarget {
  me = null;
  chats = new Map(); // id -> Chat
  connection = { state: "connecting" };
  #announced = false;

  constructor(token) {
    super();
    const query = new URLSearchParams({ token });
    this.token = token;
    this.leat = connect(`/ws?${query}`, { check: `/api/me?${query}` });
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
      const { user, chats } = await this.leat.call("home");
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
  data = null; // the rebuilt state: see chat-state.js
  stale = false;
  problem = null; // what is being mended, as a sentence
  ended = null; // the LeatError that ended the subscription
  unread = 0;
  draft = "";
  outbox = []; // { key, body, state: waiting | sending | sent | failed | unsure, problem }
  typing = new Map(); // user id -> timer
  #session;
  #newest = { message: 0, queued: 0 }; // ids: whatever is not newer has been seen
  #sending = false;
  #toldTyping = 0;
  #nextKey = 1;

  constructor(session, id, title) {
    this.#session = session;
    this.id = id;
    this.title = title;
    this.topic = `chat:${id}`;
    this.subscription = session.leat.subscribe(this.topic, {
      snapshot: (data, { stale }) => this.#onSnapshot(data, stale),
      event: (event) => this.#onEvent(event),
      resumed: () => this.#onLive(),
      signal: (signal) => this.#onSignal(signal),
      error: (error) => this.#onError(error),
      closed: (error) => this.#onClosed(error),
    });
  }

  get isMine() {
    return this.data?.owner_id === this.#session.me?.id;
  }

  member(id) {
    return this.data?.members.find((member) => member.id === id);
  }

  // --- what comes ---

  #onSnapshot(data, stale) {
    this.data = data;
    this.title = data.title;
    this.stale = stale;
    for (const message of data.messages) this.#saw("message", message);
    for (const message of data.queue) this.#saw("queued", message);
    // A snapshot read after an answer contains what was answered for.
    this.outbox = this.outbox.filter((item) => item.state !== "sent");
    this.#onLive();
  }

  #onLive() {
    this.problem = this.ended = null;
    this.#drain();
    this.#session.changed();
  }

  #onEvent(event) {
    this.data = applyEvent(this.data, event);
    this.problem = null;
    if (event.type === "message" || event.type === "queued") {
      this.#saw(event.type, event.message);
      this.#stoppedTyping(event.message.user_id);
    } else if (event.type === "flushed") {
      for (const message of event.messages) this.#saw("message", message);
    }
    const arrived = { message: [event.message], flushed: event.messages }[event.type] ?? [];
    this.unread += arrived.filter((message) => message.user_id !== this.#session.me?.id).length;
    this.#clearOutbox();
    this.#session.changed();
  }

  #onSignal({ type, user_id: userId }) {
    if (type !== "typing" || userId === this.#session.me?.id) return;
    clearTimeout(this.typing.get(userId));
    this.typing.set(
      userId,
      setTimeout(() => this.#stoppedTyping(userId), TYPING_SHOWN_MS),
    );
    this.#session.changed();
  }

  #stoppedTyping(userId) {
    clearTimeout(this.typing.get(userId));
    if (this.typing.delete(userId)) this.#session.changed();
  }

  #onError(error) {
    this.problem = error.message;
    this.#session.changed();
  }

  #onClosed(error) {
    this.ended = error;
    this.#session.changed();
  }

  // --- what goes ---

  /** Sends it, at once or when the connection is back. */
  send(body) {
    this.outbox.push({ key: this.#nextKey++, body, state: "waiting" });
    this.#drain();
    this.#session.changed();
  }

  sendAgain(item) {
    item.state = "waiting";
    this.#drain();
    this.#session.changed();
  }

  discard(item) {
    this.outbox = this.outbox.filter((other) => other !== item);
    this.#session.changed();
  }

  async setStatus(status) {
    try {
      this.problem = null;
      await this.#session.leat.publish(this.topic, { type: "status", status });
    } catch (error) {
      this.problem = error.message;
    }
    this.#session.changed();
  }

  tellTyping() {
    const now = Date.now();
    if (!this.subscription.live || now - this.#toldTyping < TYPING_SENT_EVERY_MS) return;
    this.#toldTyping = now;
    this.#session.leat.call("typing", { chat_id: this.id }).catch(() => {}); // worth nothing later
  }

  // One after the other, so that they arrive in the order in which they were written.
  async #drain() {
    if (this.#sending) return;
    this.#sending = true;
    let item;
    while (
      this.subscription.live &&
      (item = this.outbox.find(({ state }) => state === "waiting"))
    ) {
      item.state = "sending";
      await this.#sendOne(item);
      this.#session.changed();
    }
    this.#sending = false;
  }

  async #sendOne(item) {
    const { leat } = this.#session;
    try {
      item.answer = await leat.publish(this.topic, { type: "message", body: item.body });
      item.state = "sent";
      this.#toldTyping = 0;
      this.#clearOutbox();
    } catch (error) {
      item.state = error.code === "disconnected" ? "unsure" : "failed";
      item.problem = error.message;
    }
  }

  #saw(kind, message) {
    this.#newest[kind] = Math.max(this.#newest[kind], message.id);
  }

  // What was answered for and has come back as an event is no longer on its way.
  #clearOutbox() {
    this.outbox = this.outbox.filter(({ state, answer }) => {
      return state !== "sent" || answer.id > this.#newest[answer.queued ? "queued" : "message"];
    });
  }
}
