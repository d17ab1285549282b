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

import { backoff, wanted } from "./backoff.js";
import { LeatError, report, told } from "./error.js";
import { want, wantHandlers } from "./want.js";

const MAX_QUEUED = 1000; // changes that wait for a loop; more are replaced by a fresh snapshot
const MAX_PAST = 100; // earlier numberings that are remembered
const DOUBT_MS = 5_000; // how long a numbering may take to come that an answer has spoken of

const HANDLERS = ["snapshot", "event", "change", "skip", "signal", "state", "error", "closed"];

export function checkHandlers(handlers) {
  wantHandlers(handlers, HANDLERS);
}

const isPosition = (one) => typeof one?.epoch === "string" && Number.isSafeInteger(one.seq);

export class Topic {
  topic;
  state = "idle";
  epoch = null;
  seq = null;
  #link; // { isOpen(), request(message, options), release(topic), forget(topic) } of the connection
  #handlers = null;
  #options;
  #attempt = 0; // what began before the latest attempt has no say any more
  #id; // of the subscribe that is being answered
  #isHeld = false; // the server has been asked, so in any state it may hold a subscription
  #asked = 0; // how many times
  #failures = 0;
  #restarts = 0; // without an event in between
  #timer;
  #doubt = null; // a timer
  #reached = new Set(); // { position, asked, resolve, reject }
  #lastEpoch = null; // of the last snapshot, also while its position cannot be trusted
  #past = new Set(); // the epochs before it

  constructor(topic, options, link) {
    this.topic = topic;
    this.#options = options;
    this.#link = link;
  }

  /** { topic, epoch, seq }, or null as long as nothing has come. */
  get position() {
    const { topic, epoch, seq } = this;
    return epoch === null ? null : { topic, epoch, seq };
  }

  /** Ends the subscription. Harmless if it has ended. */
  close() {
    this.#end(new LeatError("closed", `${this.topic} was closed`));
  }

  /** Takes the handlers of a reader that came after subscribe(). There is one reader. */
  attach(handlers) {
    checkHandlers(handlers);
    if (this.#handlers) throw new Error(`${this.topic} is read by somebody already`);
    this.#handlers = handlers;
    if (this.state === "closed") this.#call("closed", new LeatError("closed", "it has ended"));
    else {
      this.#setState("waiting");
      if (this.#link.isOpen()) this.#subscribe();
    }
  }

  /** True if this topic has come to `position`, which may also be the `at` of a publish. */
  has(position) {
    const positions = [position].flat();
    want(positions.every(isPosition), "a position must be { epoch, seq }, or a list of them");
    return positions.every(({ topic = this.topic, epoch, seq }) => {
      if (topic !== this.topic || this.#past.has(epoch)) return true;
      return this.epoch === epoch && this.seq >= seq;
    });
  }

  /**
   * Resolves when this topic has come to `position`: { epoch, seq }, or the `at` of a publish.
   * A topic that has been numbered anew has passed every earlier position. Rejects if the topic
   * ends before.
   */
  async reached(position, { signal } = {}) {
    if (this.has(position)) return;
    if (this.state === "closed") throw new LeatError("closed", "it has ended");
    signal?.throwIfAborted();
    await new Promise((resolve, reject) => {
      const giveUp = () => this.#reached.delete(waiter) && reject(signal.reason);
      const settling = (settle) => (value) => {
        signal?.removeEventListener("abort", giveUp);
        settle(value);
      };
      const waiter = { position, asked: this.#asked, resolve: settling(resolve), reject: settling(reject) };
      signal?.addEventListener("abort", giveUp);
      this.#reached.add(waiter);
      this.#doubtForeign();
    });
  }

  /** Reads the topic as a loop does. Leaving the loop ends the subscription. */
  [Symbol.asyncIterator]() {
    let queue = [];
    let waiting = []; // { resolve, reject } of those who have asked for the next one
    let ended = null; // the error, if it was not our own close()
    const end = ({ resolve, reject }) => {
      if (ended.code === "closed") resolve({ value: undefined, done: true });
      else reject(ended);
    };
    this.attach({
      change: (change) => {
        if (change.type === "snapshot") queue = [];
        if (waiting.length) waiting.shift().resolve({ value: change, done: false });
        else if (queue.push(change) > MAX_QUEUED) {
          queue = [];
          this.#startOver();
        }
      },
      closed: (error) => {
        ended = error;
        waiting.splice(0).forEach(end);
      },
    });
    return {
      next: () =>
        new Promise((resolve, reject) => {
          if (queue.length) resolve({ value: queue.shift(), done: false });
          else if (ended) end({ resolve, reject });
          else waiting.push({ resolve, reject });
        }),
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
    this.#isHeld = false;
    if (this.state === "idle" || this.state === "closed") return;
    this.#begin("waiting");
  }

  /** The application has closed the connection. */
  connectionClosed() {
    this.#end(new LeatError("closed", "the connection was closed"));
  }

  /** A message of this topic. */
  receive(message) {
    const isAnswer = message.op === "snapshot" || message.op === "resumed";
    if (isAnswer && message.id !== undefined) {
      // An answer for a subscription that was closed before this one was made is not for us.
      if (message.id !== this.#id) return;
    } else if (this.state !== "live") return;
    this.#take(message);
  }

  // --- inside ---

  async #subscribe() {
    if (this.state !== "waiting") return; // a handler has closed it
    const { topic, epoch, seq } = this;
    const { params, timeoutMs } = this.#options;
    const attempt = this.#begin("subscribing");
    if (attempt !== this.#attempt) return;
    this.#isHeld = true;
    this.#asked++;
    const since = epoch === null ? undefined : { epoch, seq };
    const message = { op: "subscribe", topic, since, params };
    try {
      const { op } = await this.#link.request(message, { timeoutMs, onId: (id) => (this.#id = id) });
      // An answer, but none to this question.
      if (attempt === this.#attempt && this.state === "subscribing") this.#distrust("another answer");
    } catch (error) {
      if (attempt !== this.#attempt) return;
      // Which an earlier topic of that name has left, because the server had no time for its end.
      const isLeft = error.code === "already_subscribed";
      this.#isHeld = isLeft;
      if (isLeft) this.#again(backoff(this.#failures++));
      else this.#failed(error);
    }
  }

  #take(message) {
    const { op, data, epoch, seq } = message;
    const isNext = seq === this.seq + 1;
    switch (op) {
      case "snapshot": {
        if (!isPosition(message)) break;
        // Within one numbering a fresh snapshot never goes back.
        if (this.state === "live" && epoch === this.epoch && seq < this.seq) break;
        this.#goLive(epoch, seq, this.state === "subscribing");
        const at = { ...this.position, stale: message.stale === true };
        return this.#tell("snapshot", data, at);
      }
      case "resumed":
        if (!isPosition(message) || epoch !== this.epoch || seq !== this.seq) break;
        this.#goLive(epoch, seq, true);
        return this.#settleReached();
      case "event":
        if (!isNext) break;
        this.seq = seq;
        this.#restarts = 0;
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
        this.#isHeld = false;
        return this.#failed(told(message));
      default:
        return; // what a later protocol may add
    }
    this.#distrust(`${op} ${typeof seq === "number" ? seq : "without a position"}`);
  }

  #distrust(what) {
    const attempt = this.#attempt;
    this.#call("error", new LeatError("out_of_order", `${what} came after ${this.seq}`));
    if (attempt === this.#attempt) this.#startOver();
  }

  // A handler may close the topic: nothing is told after that.
  #tell(type, data, at) {
    if (this.state === "live") this.#call(type, data, at);
    if (this.state === "live") this.#call("change", { type, data, at });
    if (type === "snapshot") this.#settleReached();
  }

  // isAnswer: the server was asked, and this is how things stand after that.
  #goLive(epoch, seq, isAnswer) {
    this.#past.delete(epoch);
    if (this.#lastEpoch && this.#lastEpoch !== epoch) this.#pass(this.#lastEpoch);
    this.#lastEpoch = this.epoch = epoch;
    this.seq = seq;
    if (isAnswer) {
      for (const { position, asked } of this.#reached) {
        if (asked < this.#asked) this.#foreign(position).forEach((other) => this.#pass(other.epoch));
      }
      this.#doubtForeign();
    }
    this.#id = undefined;
    this.#failures = 0;
    this.#setState("live");
  }

  #pass(epoch) {
    this.#past.add(epoch);
    if (this.#past.size > MAX_PAST) this.#past.delete(this.#past.values().next().value);
  }

  // Those of the positions that belong to another numbering of this topic, not known to be over.
  #foreign(position) {
    const isForeign = ({ topic = this.topic, epoch }) =>
      topic === this.topic && epoch !== this.epoch && !this.#past.has(epoch);
    return [position].flat().filter(isForeign);
  }

  // A position of another numbering is one of the next, which is about to come, or of one that was
  // over before this topic was seen. If it does not come, asking again tells: what the server
  // answers now is later than the position.
  #doubtForeign() {
    const isWaiting = () => [...this.#reached].some((one) => this.#foreign(one.position).length);
    if (this.state === "waiting" || this.state === "closed" || this.#doubt || !isWaiting()) return;
    this.#doubt = setTimeout(() => {
      this.#doubt = null;
      if (this.state === "live" && isWaiting()) this.#again(0);
    }, DOUBT_MS);
  }

  // What is shown cannot be trusted, or cannot be kept: a fresh snapshot replaces it.
  #startOver() {
    this.epoch = this.seq = null;
    this.#again(this.#restarts++ ? backoff(this.#restarts) : 0);
  }

  // Asks the server anew, in a while.
  async #again(delay) {
    const released = this.#release();
    const attempt = this.#begin("waiting");
    await released;
    if (attempt !== this.#attempt || !this.#link.isOpen()) return;
    if (delay > 0) this.#timer = setTimeout(() => this.#link.isOpen() && this.#subscribe(), delay);
    else this.#subscribe();
  }

  // Sent before anybody is told of a new state, so that it goes ahead of what handlers send.
  #release() {
    if (!this.#isHeld) return null;
    this.#isHeld = false;
    return this.#link.release(this);
  }

  #failed(error) {
    if (!error.passing) return this.#end(error);
    const attempt = this.#begin("waiting");
    if (attempt === this.#attempt) this.#call("error", error);
    if (attempt !== this.#attempt || error.code === "disconnected") return;
    this.#again(wanted(error.retryAfterMs) + backoff(this.#failures++));
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
    this.#release();
    clearTimeout(this.#doubt);
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
