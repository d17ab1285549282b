/*
 * leat.js: the browser's end of a Leat connection.
 *
 *   import { connect } from "/js/leat.js";
 *
 *   const leat = connect("/ws?token=alice-token");
 *   leat.subscribe("chat:42", {
 *     snapshot(chat) { … },     // the topic as it is: replaces whatever you had
 *     event(change) { … },      // every change after it: in order, each once
 *   });
 *   await leat.publish("chat:42", { type: "message", body: "hello" });
 *
 * A lost connection mends itself: it waits (exponential back-off with full jitter, or as long as the
 * server asks), connects, and resumes each subscription at the position it had. What was missed then
 * follows, or, if that is gone, a new snapshot. Either way `snapshot` and `event` are all that an
 * application handles.
 */

const BACKOFF_MS = { first: 500, most: 30_000 };
const OPEN_MS = 10_000; // how long a connection may take to open
const ANSWER_MS = 15_000; // well past the server's own deadline: such a silence is a dead connection
const PING_MS = 4_000; // the same, when there is reason to doubt
const STEADY_MS = 10_000; // a connection that held for so long begins its back-off anew
const ASLEEP_MS = 30_000; // a clock that jumps by so much belonged to a sleeping computer
const IDENTITY_REFUSED = 4401; // a close code

// Errors of a subscription that pass by themselves. The others are decisions and stay.
const PASSING = new Set(["unavailable", "deadline_exceeded", "rate_limited"]);

/**
 * Connects, and stays connected until close(). `options.check`: a URL that answers 401 if the
 * WebSocket was refused for its token. `options.token`: the token, or a function that returns it or
 * a promise of it; it goes into the first message, and not into the URL.
 */
export function connect(url, options = {}) {
  return new Connection(url, options);
}

/**
 * Why a request failed: one of the protocol's codes, or "disconnected": no answer came, so it may or
 * may not have been done.
 */
export class LeatError extends Error {
  constructor(code, message, retryAfterMs = 0) {
    super(message || code);
    this.name = "LeatError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/*
 * Dispatches:  "state"    detail: { state, retryAt, reason }; state is connecting, live, waiting
 *                         (until retryAt), refused (the token is not good) or closed (by close())
 *              "message"  detail: { direction: "in" | "out", text }: the protocol as it passes by
 */
class Connection extends EventTarget {
  #url;
  #check;
  #token;
  #socket = null;
  #state = "closed";
  #attempts = 0;
  #liveSince = 0;
  #timer = 0;
  #nextId = 1;
  #requests = new Map(); // id -> { resolve, reject, timer }
  #subscriptions = new Map(); // topic -> Subscription
  #listeners = new AbortController();

  constructor(url, { check, token }) {
    super();
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#check = check;
    this.#token = token;
    if (token) this.#url.searchParams.set("authenticate", "message");
    this.#watchForSleep();
    queueMicrotask(() => this.#open()); // so that listeners added now hear the first state
  }

  get state() {
    return this.#state;
  }

  /**
   * Handlers, all optional but the first two; `at` is { topic, epoch, seq }:
   *   snapshot(data, { …at, stale })   event(data, at)   resumed(at)   signal(data)
   *   error(error)    something went wrong that is being mended
   *   closed(error)   the subscription has ended, and why
   */
  subscribe(topic, handlers, { params, timeoutMs } = {}) {
    if (this.#subscriptions.has(topic)) throw new Error(`already subscribed to ${topic}`);
    const subscription = new Subscription(topic, handlers, { params, timeout_ms: timeoutMs });
    this.#subscriptions.set(topic, subscription);
    if (this.#state === "live") this.#subscribe(subscription);

    return {
      topic,
      get live() {
        return subscription.live;
      },
      get epoch() {
        return subscription.epoch;
      },
      get seq() {
        return subscription.seq;
      },
      close: () => {
        if (!this.#forget(subscription) || this.#state !== "live") return;
        this.#request({ op: "unsubscribe", topic }).catch(() => {}); // already gone is as good
      },
    };
  }

  /** Resolves with what the topic's publish handler returned. */
  publish(topic, data) {
    return this.#request({ op: "publish", topic, data });
  }

  call(method, params) {
    return this.#request({ op: "call", method, params });
  }

  /** Connects now instead of waiting any longer; or gives the connection up for a new one. */
  reconnect(reason = "asked to") {
    if (this.#state === "waiting") this.#open();
    else this.#drop(reason);
  }

  close() {
    this.#listeners.abort();
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions.values()) this.#forget(subscription);
    this.#setState("closed");
    this.#drop("closed");
  }

  // --- the connection ---

  #open() {
    if (this.#listeners.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#setState("connecting");
    const socket = (this.#socket = new WebSocket(this.#url, "leat.v1"));
    this.#timer = setTimeout(() => this.#drop("no answer"), OPEN_MS);
    socket.onopen = async () => {
      const token = this.#token && (await this.#askForToken());
      if (socket !== this.#socket) return;
      clearTimeout(this.#timer);
      this.#liveSince = Date.now();
      this.#setState("live");
      if (token) this.#request({ op: "authenticate", token }).catch(() => {}); // refused: it closes
      for (const subscription of this.#subscriptions.values()) this.#subscribe(subscription);
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  async #askForToken() {
    if (typeof this.#token !== "function") return this.#token;
    return Promise.resolve(this.#token()).catch(() => this.#drop("no token"));
  }

  // Closing can take minutes if the other side is gone. Nobody waits for it.
  #drop(reason) {
    if (!this.#socket) return;
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#lost(0, reason);
  }

  async #lost(code, reason) {
    const opened = this.#state === "live";
    clearTimeout(this.#timer);
    this.#socket = null;
    const unanswered = new LeatError(
      "disconnected",
      "the connection was lost before an answer came",
    );
    for (const id of [...this.#requests.keys()]) this.#settle(id, unanswered);
    for (const subscription of this.#subscriptions.values()) subscription.pause();
    if (this.#state === "closed" || this.#state === "refused") return;

    if (opened && Date.now() - this.#liveSince > STEADY_MS) this.#attempts = 0;
    const delay = Number(/retry_after_ms=(\d+)/.exec(reason)?.[1] ?? backoff(this.#attempts++));
    this.#setState("waiting", { retryAt: Date.now() + delay, reason });
    this.#timer = setTimeout(() => this.#open(), delay);
    if (code === IDENTITY_REFUSED || (!opened && (await this.#refused()))) this.#refuse();
  }

  // A page is not told why its WebSocket was refused, so ask over HTTP.
  async #refused() {
    if (!this.#check) return false;
    const answer = await fetch(this.#check).catch(() => null);
    return answer?.status === 401;
  }

  #refuse() {
    if (this.#state !== "waiting" && this.#state !== "connecting") return;
    clearTimeout(this.#timer);
    this.#setState("refused");
    this.#drop("refused");
  }

  #setState(state, { retryAt, reason } = {}) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, retryAt, reason } }));
  }

  // A computer that slept, or changed its network, may have a connection that is dead without
  // knowing. Any answer, even "not_found", shows that it lives; silence makes #request drop it.
  #watchForSleep() {
    const { signal } = this.#listeners;
    const wake = () => {
      if (this.#state === "waiting") this.#open();
      if (this.#state !== "live") return;
      this.#request({ op: "call", method: "ping" }, PING_MS).catch(() => {});
    };
    addEventListener("online", wake, { signal });

    let last = Date.now();
    const ticker = setInterval(() => {
      if (Date.now() - last > ASLEEP_MS) wake();
      last = Date.now();
    }, 5_000);
    signal.addEventListener("abort", () => clearInterval(ticker));
  }

  // --- requests ---

  #request(message, answerMs = ANSWER_MS) {
    if (this.#state !== "live") {
      return Promise.reject(new LeatError("disconnected", "not connected"));
    }
    const id = message.id ?? this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#drop("no answer"), answerMs);
      this.#requests.set(id, { resolve, reject, timer });
      this.#send({ op: message.op, id, ...message });
    });
  }

  #settle(id, outcome) {
    const request = this.#requests.get(id);
    if (!request) return;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    if (outcome instanceof LeatError) request.reject(outcome);
    else request.resolve(outcome);
  }

  #send(message) {
    const text = JSON.stringify(message);
    this.#socket.send(text);
    const shown = message.token ? JSON.stringify({ ...message, token: "…" }) : text;
    this.dispatchEvent(new CustomEvent("message", { detail: { direction: "out", text: shown } }));
  }

  #receive(text) {
    this.dispatchEvent(new CustomEvent("message", { detail: { direction: "in", text } }));
    const message = JSON.parse(text);
    switch (message.op) {
      case "ok":
        return this.#settle(message.id, message.data);
      case "error":
        return this.#settle(
          message.id,
          new LeatError(message.code, message.message, message.retry_after_ms),
        );
    }
    const subscription = this.#subscriptions.get(message.topic);
    if (subscription) this.#deliver(subscription, message);
  }

  // --- subscriptions ---

  async #subscribe(subscription) {
    const { topic, options, epoch, seq } = subscription;
    const since = epoch === null ? undefined : { epoch, seq };
    const attempt = subscription.begin();
    const id = (subscription.id = this.#nextId++);
    try {
      const answerMs = ANSWER_MS + (options.timeout_ms ?? 0);
      await this.#request({ op: "subscribe", id, topic, since, ...options }, answerMs);
    } catch (error) {
      if (attempt === subscription.attempt) this.#failed(subscription, error);
    }
  }

  #deliver(subscription, message) {
    const { handlers, topic } = subscription;
    if (message.op === "snapshot" || message.op === "resumed") {
      // Not for us, if it answers a subscription that was closed before this one was made.
      if (message.id === undefined ? !subscription.live : message.id !== subscription.id) return;
      this.#settle(message.id, message);
    } else if (!subscription.live) return;

    const { epoch, seq } = message;
    const isNext = seq === subscription.seq + 1;
    switch (message.op) {
      case "snapshot":
        if (subscription.live && epoch === subscription.epoch && seq < subscription.seq) break;
        subscription.goLive(epoch, seq);
        return handlers.snapshot(message.data, {
          topic,
          epoch,
          seq,
          stale: message.stale === true,
        });
      case "resumed":
        if (epoch !== subscription.epoch || seq !== subscription.seq) break;
        subscription.goLive(epoch, seq);
        return handlers.resumed?.({ topic, epoch, seq });
      case "event":
        if (!isNext) break;
        subscription.seq = seq;
        return handlers.event(message.data, { topic, epoch: subscription.epoch, seq });
      case "skip": // a position with nothing to show
        if (!isNext) break;
        subscription.seq = seq;
        return;
      case "signal":
        return handlers.signal?.(message.data);
      case "closed":
        return this.#failed(subscription, new LeatError(message.code, message.message));
      default:
        return;
    }
    this.#startOver(
      subscription,
      `${message.op} with seq ${seq} came after seq ${subscription.seq}`,
    );
  }

  // Positions must follow one another. If ever they do not, what is shown cannot be trusted.
  #startOver(subscription, what) {
    const { topic, handlers } = subscription;
    const attempt = subscription.begin();
    subscription.epoch = subscription.seq = null;
    const again = () => this.#subscribeAgain(subscription, attempt);
    this.#request({ op: "unsubscribe", topic }).then(again, again);
    handlers.error?.(new LeatError("out_of_order", what));
  }

  #failed(subscription, error) {
    if (!PASSING.has(error.code)) {
      this.#forget(subscription);
      return subscription.handlers.closed?.(error);
    }
    const attempt = subscription.begin();
    const delay = error.retryAfterMs + backoff(subscription.failures++);
    subscription.timer = setTimeout(() => this.#subscribeAgain(subscription, attempt), delay);
    subscription.handlers.error?.(error);
  }

  #subscribeAgain(subscription, attempt) {
    if (attempt === subscription.attempt && this.#state === "live") this.#subscribe(subscription);
  }

  #forget(subscription) {
    subscription.pause();
    const { topic } = subscription;
    return this.#subscriptions.get(topic) === subscription && this.#subscriptions.delete(topic);
  }
}

/* One topic's position, and whether its events may be taken. */
class Subscription {
  epoch = null;
  seq = null;
  live = false;
  id = null; // of the subscribe that is being answered
  attempt = 0; // what began before the latest attempt has no say any more
  failures = 0;
  timer = 0;

  constructor(topic, handlers, options) {
    Object.assign(this, { topic, handlers, options });
  }

  begin() {
    this.pause();
    return this.attempt;
  }

  pause() {
    this.live = false;
    this.id = null;
    this.attempt++;
    clearTimeout(this.timer);
  }

  goLive(epoch, seq) {
    Object.assign(this, { epoch, seq, live: true, id: null, failures: 0 });
  }
}

// Full jitter: anything up to the limit, so that those who lost a server together do not return
// together.
function backoff(attempts) {
  return Math.random() * Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** attempts);
}
