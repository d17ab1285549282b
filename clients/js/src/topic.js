/*
 * One subscription: its position, and who is told.
 *
 *   state        meaning
 *   idle         nobody reads it yet: nothing is asked of the server
 *   waiting      the connection is down, or the server asked to come back later
 *   subscribing  the server has been asked
 *   live         a snapshot or "resumed" has come; events follow it
 *   closed       it has ended: by close(), or by a decision of the server
 */

import { backoff } from "./backoff.js";
import { LeatError, report } from "./error.js";

const MAX_QUEUED = 1000; // changes that wait for a loop; more are replaced by a fresh snapshot

export class Topic {
  topic;
  state = "idle";
  epoch = null;
  seq = null;
  #link; // { isOpen(), request(message, options), forget(topic) } of the connection
  #handlers;
  #options;
  #attempt = 0; // what began before the latest attempt has no say any more
  #id; // of the subscribe that is being answered
  #failures = 0;
  #timer;
  #reached = new Set(); // { position, resolve, reject }
  #lastEpoch = null; // of the last snapshot, also while its position cannot be trusted
  #past = new Set(); // the epochs before it

  constructor(topic, handlers, options, link) {
    this.topic = topic;
    this.#handlers = handlers;
    this.#options = options;
    this.#link = link;
    if (handlers) this.#leaveIdle();
  }

  /** { topic, epoch, seq }, or null as long as nothing has come. */
  get position() {
    const { topic, epoch, seq } = this;
    return epoch === null ? null : { topic, epoch, seq };
  }

  /** Ends the subscription. Harmless if it has ended. */
  close() {
    if (this.state === "closed") return;
    const wasAsked = this.state === "live" || this.state === "subscribing";
    this.#end(new LeatError("closed", `${this.topic} was closed`));
    if (wasAsked && this.#link.isOpen()) {
      this.#link.request({ op: "unsubscribe", topic: this.topic }).catch(() => {});
    }
  }

  /** Takes the handlers of a reader that came after subscribe(). There is one reader. */
  attach(handlers) {
    if (this.state !== "idle") throw new Error(`${this.topic} is read by somebody already`);
    this.#handlers = handlers;
    this.#leaveIdle();
  }

  /** True if this topic has come to `position`, which may also be the `at` of a publish. */
  has(position) {
    return [position].flat().every(({ topic = this.topic, epoch, seq }) => {
      if (topic !== this.topic || this.#past.has(epoch)) return true;
      return this.epoch === epoch && this.seq >= seq;
    });
  }

  /**
   * Resolves when this topic has come to `position`: { epoch, seq }, or the `at` of a publish.
   * A topic that has been numbered anew has passed every earlier position. Rejects if the topic
   * ends before.
   */
  reached(position, { signal } = {}) {
    if (this.has(position)) return Promise.resolve();
    if (this.state === "closed") return Promise.reject(new LeatError("closed", "it has ended"));
    return new Promise((resolve, reject) => {
      const waiter = { position, resolve, reject };
      this.#reached.add(waiter);
      signal?.addEventListener("abort", () => {
        if (this.#reached.delete(waiter)) reject(signal.reason);
      });
    });
  }

  /** Reads the topic as a loop does. Leaving the loop ends the subscription. */
  [Symbol.asyncIterator]() {
    let queue = [];
    let wake = null; // { resolve, reject } of the loop that waits
    let ended = null; // the error, if it was not our own close()
    const put = (change) => {
      if (change.type === "snapshot") queue = [];
      if (wake) {
        wake.resolve({ value: change, done: false });
        wake = null;
      } else if (queue.push(change) > MAX_QUEUED) {
        queue = [];
        this.#startOver();
      }
    };
    this.attach({
      change: put,
      closed: (error) => {
        ended = error;
        if (!wake) return;
        if (error.code === "closed") wake.resolve({ value: undefined, done: true });
        else wake.reject(error);
        wake = null;
      },
    });
    return {
      next: () => {
        if (queue.length) return Promise.resolve({ value: queue.shift(), done: false });
        if (ended?.code === "closed") return Promise.resolve({ value: undefined, done: true });
        if (ended) return Promise.reject(ended);
        return new Promise((resolve, reject) => (wake = { resolve, reject }));
      },
      return: () => {
        this.close();
        return Promise.resolve({ value: undefined, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  // --- called by the connection ---

  /** The connection is open: asks the server. */
  connected() {
    if (this.state === "waiting") this.#subscribe();
  }

  /** The connection is gone. The position stays, to resume from. */
  disconnected() {
    if (this.state === "idle" || this.state === "closed") return;
    this.#begin("waiting");
  }

  /** The application has closed the connection. */
  connectionClosed() {
    this.#end(new LeatError("closed", "the connection was closed"));
  }

  /** A message of this topic. Returns true if it answers the request with its id. */
  receive(message) {
    const isAnswer = message.op === "snapshot" || message.op === "resumed";
    if (isAnswer && message.id !== undefined) {
      // An answer for a subscription that was closed before this one was made is not for us.
      if (message.id !== this.#id) return false;
    } else if (this.state !== "live") return false;
    this.#take(message);
    return isAnswer;
  }

  // --- inside ---

  #leaveIdle() {
    this.#setState("waiting");
    if (this.#link.isOpen()) this.#subscribe();
  }

  async #subscribe() {
    const { topic, epoch, seq } = this;
    const { params, timeoutMs } = this.#options;
    const attempt = this.#begin("subscribing");
    const since = epoch === null ? undefined : { epoch, seq };
    const message = { op: "subscribe", topic, since, params, timeout_ms: timeoutMs };
    try {
      await this.#link.request(message, { timeoutMs, onId: (id) => (this.#id = id) });
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(error);
    }
  }

  #take(message) {
    const { op, data, epoch, seq } = message;
    const isNext = seq === this.seq + 1;
    switch (op) {
      case "snapshot": {
        // Within one numbering a fresh snapshot never goes back.
        if (this.state === "live" && epoch === this.epoch && seq < this.seq) break;
        this.#goLive(epoch, seq);
        const at = { ...this.position, stale: message.stale === true };
        return this.#tell("snapshot", data, at);
      }
      case "resumed":
        if (epoch !== this.epoch || seq !== this.seq) break;
        return this.#goLive(epoch, seq);
      case "event":
        if (!isNext) break;
        this.seq = seq;
        this.#tell("event", data, this.position);
        return this.#settleReached();
      case "skip": // a position with nothing to show
        if (!isNext) break;
        this.seq = seq;
        this.#call("skip", this.position);
        return this.#settleReached();
      case "signal":
        return this.#tell("signal", data);
      case "closed":
        return this.#failed(new LeatError(message.code, message.message, message.retry_after_ms));
      default:
        return; // what a later protocol may add
    }
    this.#call("error", new LeatError("out_of_order", `${op} ${seq} came after ${this.seq}`));
    this.#startOver();
  }

  #tell(type, data, at) {
    this.#call(type, data, at);
    this.#call("change", { type, data, at });
    if (type === "snapshot") this.#settleReached();
  }

  #goLive(epoch, seq) {
    this.#past.delete(epoch);
    if (this.#lastEpoch && this.#lastEpoch !== epoch) this.#past.add(this.#lastEpoch);
    this.#lastEpoch = this.epoch = epoch;
    this.seq = seq;
    this.#id = undefined;
    this.#failures = 0;
    this.#setState("live");
  }

  // What is shown cannot be trusted, or cannot be kept: a fresh snapshot replaces it.
  #startOver() {
    const attempt = this.#begin("waiting");
    this.epoch = this.seq = null;
    const again = () => this.#again(attempt);
    this.#link.request({ op: "unsubscribe", topic: this.topic }).then(again, again);
  }

  #again(attempt) {
    if (attempt === this.#attempt && this.#link.isOpen()) this.#subscribe();
  }

  #failed(error) {
    if (!error.passing) return this.#end(error);
    const attempt = this.#begin("waiting");
    this.#call("error", error);
    if (attempt !== this.#attempt || error.code === "disconnected") return;
    const delay = error.retryAfterMs + backoff(this.#failures++);
    this.#timer = setTimeout(() => this.#again(attempt), delay);
  }

  #begin(state) {
    clearTimeout(this.#timer);
    this.#id = undefined;
    this.#attempt++;
    const attempt = this.#attempt;
    this.#setState(state);
    return attempt;
  }

  #end(error) {
    if (this.state === "closed") return;
    this.#link.forget(this);
    this.#begin("closed");
    for (const { reject } of this.#reached) reject(error);
    this.#reached.clear();
    this.#call("closed", error);
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.#call("state", state);
  }

  #call(name, ...values) {
    try {
      this.#handlers?.[name]?.(...values);
    } catch (error) {
      report(error);
    }
  }

  #settleReached() {
    for (const waiter of this.#reached) {
      if (!this.has(waiter.position)) continue;
      this.#reached.delete(waiter);
      waiter.resolve();
    }
  }
}
