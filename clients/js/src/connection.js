/*
 * One connection to a Leat server, which mends itself.
 *
 *   state        meaning
 *   connecting   a token is being fetched, a socket is opening, or the server looks at the token
 *   live         messages pass
 *   waiting      until the next attempt (`retryAt`)
 *   sleeping     the page is in the browser's back/forward cache
 *   refused      the server does not accept the token, or getToken() gave none
 *   closed       close() was called
 */

import { backoff, later, wanted } from "./backoff.js";
import { LeatError, told } from "./error.js";
import { checkHandlers, Topic } from "./topic.js";
import { expiryOf, isToken, value } from "./token.js";
import { watchPage } from "./page.js";
import { want, wantFunction, wantName, wantTimeout } from "./want.js";

const OPEN_MS = 10_000; // how long a token and a socket may take
const ANSWER_MS = 15_000; // well past the server's own deadline: then the connection is dead
const PROBE_MS = 4_000; // the same, when there is reason to doubt
const QUIET_MS = 30_000; // a connection on which nothing comes for so long is asked whether it lives
const STEADY_MS = 10_000; // a connection that held for so long begins its back-off anew
const LEAST_ASKED_MS = 500; // a server that asks for less is believed once
const LEAST_RENEWAL_MS = 5_000; // a token is not renewed more often
const IDENTITY_REFUSED = 4401; // a close code
const TOKEN = "a token must be a string, or { token, expiresAt }";
// Why nothing can be asked in these states.
const ENDS = {
  closed: ["closed", "the connection was closed"],
  refused: ["unauthenticated", "the token was refused"],
};

/*
 * Dispatches  "state"    detail: { state, retryAt, reason }
 *             "message"  detail: { direction: "in" | "out", text }: the protocol as it passes by
 */
export class Connection extends EventTarget {
  state = "connecting";
  #url;
  #options;
  #socket = null;
  #isOpen = false; // messages can be sent
  #attempt = 0; // what began before the latest attempt has no say any more
  #failures = 0;
  #refusals = 0; // of tokens, one after the other
  #fetching = null; // the promise of a token: who needs one meanwhile waits for the same
  #liveSince = 0;
  #heardAt = 0;
  #cancelTimer = () => {};
  #cancelRenewal = () => {};
  #nextId = 1;
  #requests = new Map(); // id -> { resolve, reject, cancel, subscribes: a topic's name }
  #unsent = new Set(); // { send(), fail(error) }: what was asked while no messages passed
  #topics = new Map(); // name -> Topic
  #stopWatching;

  constructor(url, options) {
    super();
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.hash = "";
    this.#options = options;
    const { getToken, token } = options;
    want(/^wss?:$/.test(this.#url.protocol), `${url} is not an address of ws or http`);
    want(options.WebSocket ?? globalThis.WebSocket, "there is no WebSocket here: give one as an option");
    if (getToken !== undefined) wantFunction(getToken, "getToken");
    want(token == null || isToken(token), TOKEN);
    this.#stopWatching = watchPage({
      wake: () => this.#wake(),
      doubt: () => this.#doubt(PROBE_MS),
      sleep: () => this.#sleep(),
      tick: () => this.#tick(),
    });
    queueMicrotask(() => this.#open()); // so that listeners added now hear of the first state
  }

  /**
   * Subscribes to a topic. Handlers, all optional:
   *   snapshot(data, at)   the topic as it is: replaces what you had; at.stale: a fresh one follows
   *   event(data, at)      every change after it: in order, each once
   *   change({ type, data, at })   both of them, and signals
   *   skip(at)             the position moved on, and there is nothing to show
   *   signal(data)         not stored, at most once
   *   state(state)         see topic.js
   *   error(error)         something went wrong that is being mended
   *   closed(error)        the subscription has ended, and why
   * Without handlers the topic is subscribed when it is first read: by a loop or a store.
   */
  subscribe(name, handlers, { params, timeoutMs } = {}) {
    wantName(name, "a topic");
    wantTimeout(timeoutMs);
    if (this.state === "closed") throw new LeatError(...ENDS.closed);
    if (this.#topics.has(name)) throw new Error(`already subscribed to ${name}`);
    const topic = new Topic(name, { params, timeoutMs }, this.#link);
    if (handlers) checkHandlers(handlers);
    this.#topics.set(name, topic);
    if (handlers) topic.attach(handlers);
    return topic;
  }

  /** Resolves with { data, at }: what the topic's publish handler returned, and the positions of
   * the events that it published. Waits for a connection if there is none. Is never sent twice. */
  async publish(topic, data, options) {
    wantName(topic, "a topic");
    return this.#ask({ op: "publish", topic, data }, options);
  }

  /** Resolves with { data, at } likewise. */
  async call(method, params, options) {
    wantName(method, "a method");
    return this.#ask({ op: "call", method, params }, options);
  }

  /** Shows the server another token, for the same connection. */
  async authenticate(token) {
    want(isToken(token), TOKEN);
    const attempt = this.#attempt;
    this.#options = { ...this.#options, token };
    await this.#request({ op: "authenticate", token: value(token) });
    if (attempt === this.#attempt) this.#planRenewal(token);
  }

  /** Resolves when the connection is live; rejects if it is refused or closed before. */
  ready() {
    if (this.state === "live") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!["live", "refused", "closed"].includes(this.state)) return;
        this.removeEventListener("state", look);
        if (this.state === "live") resolve();
        else reject(new LeatError(this.state === "closed" ? "closed" : "unauthenticated"));
      };
      this.addEventListener("state", look);
      look();
    });
  }

  /** Connects now, or gives the connection up for a new one. Ends "refused", too. */
  reconnect(reason = "asked to") {
    if (this.state === "closed") return;
    this.#lose(0, reason);
    this.#open();
  }

  /** Ends everything. Nothing runs afterwards. */
  close() {
    if (this.state === "closed") return;
    this.#stopWatching();
    this.#leave("closed");
    for (const topic of [...this.#topics.values()]) topic.connectionClosed();
  }

  // --- the socket ---

  async #open() {
    if (this.state === "closed") return;
    const attempt = ++this.#attempt;
    this.#cancelTimer();
    this.#setState("connecting");
    if (attempt !== this.#attempt) return; // by a listener
    this.#cancelTimer = later(OPEN_MS, () => {
      this.#fetching = null; // if that is what does not come
      this.#lose(0, "no answer");
    });
    try {
      const token = await this.#token();
      if (attempt !== this.#attempt) return;
      if (token === null) this.#leave("refused");
      else this.#connect(token);
    } catch (error) {
      if (attempt === this.#attempt) this.#lose(0, String(error?.message ?? error));
    }
  }

  #connect(token) {
    // In the first message, since proxies write down what stands in a URL.
    const url = new URL(this.#url);
    if (token !== undefined) url.searchParams.set("authenticate", "message");
    const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
    const socket = (this.#socket = new Socket(url.href, "leat.v1"));
    socket.onopen = () => this.#opened(token);
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lose(code, reason);
    socket.onerror = () => {}; // onclose follows
  }

  // undefined: the connection needs no token; null: there is none, the user is signed out.
  async #token() {
    const { getToken, token } = this.#options;
    if (!getToken) return token;
    const fetching = (this.#fetching ??= fetchToken(getToken));
    try {
      return await fetching;
    } finally {
      if (fetching === this.#fetching) this.#fetching = null;
    }
  }

  // What follows the token waits at the server until it is accepted, so nothing waits here.
  async #opened(token) {
    const attempt = this.#attempt;
    this.#isOpen = true;
    const accepted =
      token === undefined ? null : this.#request({ op: "authenticate", token: value(token) });
    for (const topic of [...this.#topics.values()]) topic.connected();
    try {
      await accepted;
    } catch {
      return; // the server closes the connection, and says why
    }
    if (attempt !== this.#attempt) return;
    this.#cancelTimer();
    this.#liveSince = this.#heardAt = Date.now();
    this.#refusals = 0;
    for (const { send } of this.#unsent) {
      send(); // ahead of what listeners ask now
      if (attempt !== this.#attempt) return; // by a listener
    }
    this.#setState("live");
    if (token !== undefined) this.#planRenewal(token);
  }

  // Closing can take minutes if the other side is gone: nobody waits for it.
  #detach() {
    this.#attempt++;
    this.#isOpen = false;
    this.#cancelTimer();
    this.#cancelRenewal();
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const lost = new LeatError("disconnected", "the connection was lost before an answer came");
    for (const id of [...this.#requests.keys()]) this.#settle(id, lost);
  }

  #leave(state, detail) {
    this.#detach();
    const end = ENDS[state];
    if (end) for (const { fail } of this.#unsent) fail(new LeatError(...end));
    this.#setState(state, detail);
    for (const topic of [...this.#topics.values()]) topic.disconnected();
  }

  async #lose(code, reason = "") {
    if (this.state !== "live" && this.state !== "connecting") return;
    const wasLive = this.state === "live";
    if (wasLive && Date.now() - this.#liveSince > STEADY_MS) this.#failures = 0;
    // An expired token is replaced once; who is refused at once again has no good one.
    if (code === IDENTITY_REFUSED && (this.#refusals++ > 0 || !this.#options.getToken)) {
      this.#refusals = 0;
      return this.#leave("refused");
    }

    const delay = this.#pause(reason);
    this.#leave("waiting", { retryAt: Date.now() + delay, reason });
    const attempt = this.#attempt;
    if (this.state === "waiting") this.#cancelTimer = later(delay, () => this.#open());
    if (!wasLive && (await this.#isRefusedByHttp()) && attempt === this.#attempt) {
      this.#leave("refused");
    }
  }

  // As long as the server asks for. One that asks for next to nothing each time would be asked without an end.
  #pause(reason) {
    const named = /retry_after_ms=(\d+)/.exec(reason)?.[1];
    const asked = wanted(named);
    if (asked >= LEAST_ASKED_MS) return asked;
    const failures = this.#failures++;
    return named && failures === 0 ? asked : Math.max(asked, backoff(failures));
  }

  // A page is not told why its WebSocket did not open, so it asks a URL of the application.
  async #isRefusedByHttp() {
    const { check } = this.#options;
    if (!check) return false;
    const answer = await fetch(check, { signal: AbortSignal.timeout(OPEN_MS) }).catch(() => null);
    return answer?.status === 401;
  }

  #setState(state, { retryAt, reason } = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, retryAt, reason } }));
  }

  // --- the page ---

  #wake() {
    if (this.state === "waiting" || this.state === "sleeping") this.#open();
    else this.#doubt(PROBE_MS);
  }

  // A computer that slept, or changed its network, or whose router has forgotten it, may hold a
  // connection that is dead without knowing: a page does not see the server's pings. Any answer
  // shows that it lives; silence ends it.
  #doubt(answerMs) {
    if (this.state !== "live") return;
    this.#heardAt = Date.now();
    this.#request({ op: "call", method: "ping" }, { answerMs }).catch(() => {});
  }

  #tick() {
    // Either way: a clock can also be put back.
    if (Math.abs(Date.now() - this.#heardAt) >= QUIET_MS) this.#doubt(ANSWER_MS);
  }

  #sleep() {
    if (this.state !== "closed" && this.state !== "refused") this.#leave("sleeping");
  }

  // --- tokens ---

  #planRenewal(token) {
    this.#cancelRenewal();
    const { getToken } = this.#options;
    const expiresAt = expiryOf(token);
    const left = expiresAt - Date.now();
    // If it has expired by this clock, the clock is wrong. The server says when it really has.
    if (!getToken || expiresAt === null || !(left > 0)) return;
    // Somewhere in the last fifth of its life, but a minute before its end if that is more.
    const delay = Math.min(left * (0.8 + Math.random() * 0.1), Math.max(left - 60_000, left / 2));
    this.#cancelRenewal = later(Math.max(delay, LEAST_RENEWAL_MS), () => this.#renew());
  }

  async #renew() {
    const attempt = this.#attempt;
    try {
      const token = await this.#token();
      if (attempt !== this.#attempt) return;
      if (token === null) return this.#leave("refused");
      await this.#request({ op: "authenticate", token: value(token) });
      if (attempt === this.#attempt) this.#planRenewal(token);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error?.code === "unauthenticated") return this.#lose(IDENTITY_REFUSED, error.message);
      const delay = 1_000 + wanted(error?.retryAfterMs) + backoff(this.#failures++);
      this.#cancelRenewal = later(delay, () => this.#renew());
    }
  }

  // --- requests ---

  async #ask(message, { timeoutMs } = {}) {
    wantTimeout(timeoutMs);
    const isLive = this.state === "live";
    const answer = isLive ? this.#request(message, { timeoutMs }) : this.#enqueue(message, timeoutMs);
    const { data, at = [] } = await answer;
    return { data, at };
  }

  // Waits for messages to pass. What was not sent was not done, so its error says so.
  #enqueue(message, timeoutMs) {
    const end = ENDS[this.state];
    if (end) throw new LeatError(...end);
    const asked = JSON.parse(JSON.stringify(message)); // the caller may go on with its data
    return new Promise((resolve, reject) => {
      const fail = (error) => {
        cancel();
        this.#unsent.delete(one);
        reject(error);
      };
      const send = () => {
        cancel();
        this.#unsent.delete(one);
        resolve(this.#request(asked, { timeoutMs }));
      };
      const late = () => fail(new LeatError("unavailable", "there was no connection"));
      const cancel = later(timeoutMs ?? ANSWER_MS, late);
      const one = { send, fail };
      this.#unsent.add(one);
    });
  }

  #link = {
    isOpen: () => this.#isOpen,
    request: (message, options) => this.#request(message, options),
    release: (topic) => this.#release(topic),
    forget: (topic) => {
      if (this.#topics.get(topic.topic) === topic) this.#topics.delete(topic.topic);
    },
  };

  // timeoutMs: the caller's own deadline, which the server keeps. onId(id) runs before it is sent.
  #request(message, { timeoutMs = 0, answerMs = ANSWER_MS + timeoutMs, onId } = {}) {
    if (!this.#isOpen) {
      return Promise.reject(new LeatError("disconnected", "not connected"));
    }
    const id = this.#nextId++;
    const asked = { ...message, timeout_ms: timeoutMs ? Math.ceil(timeoutMs) : undefined, id };
    const text = JSON.stringify(asked); // throws before anything waits for an answer
    onId?.(id);
    const subscribes = message.op === "subscribe" ? message.topic : null;
    const answer = this.#await(id, answerMs, () => this.#lose(0, "no answer"), subscribes);
    this.#send(text, message.token && JSON.stringify({ ...asked, token: "…" }));
    return answer;
  }

  // Rejects if the connection is lost before.
  #await(id, ms, late, subscribes = null) {
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject, cancel: later(ms, late), subscribes });
    });
  }

  // Resolves when the server holds no subscription of that name. A server that has no time for it is
  // asked again, unless another topic has taken the name: that sees to it by itself.
  async #release(topic) {
    const { topic: name } = topic;
    for (let failures = 0; [topic, undefined].includes(this.#topics.get(name)); failures++) {
      try {
        return await this.#request({ op: "unsubscribe", topic: name });
      } catch (error) {
        if (!error.passing || error.code === "disconnected") return;
        const id = this.#nextId++;
        const pause = wanted(error.retryAfterMs) + backoff(failures);
        try {
          await this.#await(id, pause, () => this.#settle(id));
        } catch {
          return; // the connection is gone, and the subscription with it
        }
      }
    }
  }

  #settle(id, outcome) {
    const request = this.#requests.get(id);
    if (!request) return;
    this.#requests.delete(id);
    request.cancel();
    if (outcome instanceof LeatError) request.reject(outcome);
    else request.resolve(outcome);
  }

  #send(text, shown = text) {
    try {
      this.#socket.send(text);
    } catch {
      // It is closing, which not every platform takes in silence: onclose follows.
    }
    this.dispatchEvent(new CustomEvent("message", { detail: { direction: "out", text: shown } }));
  }

  #receive(text) {
    this.#heardAt = Date.now();
    this.dispatchEvent(new CustomEvent("message", { detail: { direction: "in", text } }));
    const message = parse(text);
    if (!message) return this.#lose(0, "what came is no message");
    const { op, id } = message;
    if (op === "ok") return this.#settle(id, message);
    if (op === "error") return this.#settle(id, told(message));
    this.#topics.get(message.topic)?.receive(message);
    // Also if that topic has been closed meanwhile.
    if (id !== undefined && this.#requests.get(id)?.subscribes === message.topic) this.#settle(id, message);
  }
}

async function fetchToken(getToken) {
  const token = (await getToken()) ?? null;
  want(token === null || isToken(token), `getToken: ${TOKEN}`);
  return token;
}

// A message, or null.
function parse(text) {
  try {
    const message = JSON.parse(text);
    return typeof message === "object" ? message : null;
  } catch {
    return null;
  }
}
