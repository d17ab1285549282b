/*
 * One socket for all tabs of a browser, held by a SharedWorker.
 *
 *   // leat_worker.js
 *   import { serveTabs } from "@leat/client/shared_worker";
 *   serveTabs("/ws", { getToken });
 *
 *   // each tab
 *   import { connectShared } from "@leat/client/shared_worker";
 *   const worker = new SharedWorker("/leat_worker.js", { type: "module" });
 *   const leat = connectShared(worker);
 *
 * Between a tab and the worker goes the same protocol as between a browser and a server: the tab's
 * connection is an ordinary one, whose WebSocket is a port. The worker subscribes once to what
 * several tabs want. When another tab comes to a topic, the worker takes a fresh snapshot, which all
 * tabs get: the same place for everybody, without keeping any state.
 *
 * One worker is one user. Tabs of several users need workers of different names. And one topic has
 * the same params in all tabs: a tab that asks for others while another one reads the topic is
 * refused (bad_request), because it would be shown what those others ask for.
 *
 * A tab that is frozen, or was killed, does not say so. The worker asks each tab now and then, and
 * lets go of one that is silent, so that nothing heaps up for it. If it comes back, it is told that
 * its socket is gone, and opens another one.
 */

import { connect } from "./client.js";

const PING_MS = 20_000;
const MAX_UNANSWERED = 3;
const OTHER_PARAMS = {
  code: "bad_request",
  message: "another tab reads this topic with other params: the tabs of one SharedWorker share a topic and its params",
};
const LET_GO = { code: 1006, reason: "the tab was silent" };

/** In a tab. `options` as in connect(), without a token: the worker has it. */
export function connectShared(worker, options = {}) {
  let sockets = 0;
  class PortSocket {
    constructor() {
      const { port } = worker;
      const number = ++sockets; // a word about an earlier socket is not for this one
      port.onmessage = ({ data: [type, detail, of] }) => of === number && this[`on${type}`]?.(detail);
      this.onping = () => port.postMessage(["pong"]);
      port.postMessage(["open", number]);
      this.onPageHide = () => this.close();
      globalThis.addEventListener?.("pagehide", this.onPageHide);
    }
    send(text) {
      worker.port.postMessage(["message", text]);
    }
    close() {
      globalThis.removeEventListener?.("pagehide", this.onPageHide);
      worker.port.postMessage(["close"]);
    }
  }
  return connect("ws://shared/", { WebSocket: PortSocket, ...options });
}

/** In the worker's script. */
export function serveTabs(url, options) {
  const hub = new TabHub(connect(url, options));
  globalThis.addEventListener("connect", ({ ports: [port] }) => hub.add(port));
}

/** What the worker does, for any kind of port. */
export class TabHub {
  #connection;
  #tabs = new Set(); // that want a socket
  #pinger;
  #topics = new Map(); // name -> { topic, params, tabs: Map(tab -> id of its unanswered subscribe) }

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("state", ({ detail }) => {
      for (const tab of this.#tabs) this.#follow(tab, detail);
    });
  }

  add(port) {
    const tab = { port, socket: 0, isOpen: false, unanswered: 0 };
    port.onmessage = ({ data: [type, detail] }) => {
      tab.unanswered = 0;
      if (type === "open") this.#open(tab, detail);
      else if (type === "close") this.#close(tab);
      else if (type !== "message") return;
      else if (tab.isOpen) this.#take(tab, JSON.parse(detail));
      else this.#tell(tab, "close", LET_GO);
    };
  }

  #open(tab, socket) {
    this.#close(tab);
    tab.socket = socket;
    this.#tabs.add(tab);
    this.#pinger ??= setInterval(() => this.#ping(), PING_MS);
    if (this.#connection.state === "refused") this.#connection.reconnect(); // somebody may have signed in
    else this.#follow(tab, { state: this.#connection.state });
  }

  #ping() {
    for (const tab of this.#tabs) {
      if (tab.unanswered++ < MAX_UNANSWERED) this.#tell(tab, "ping");
      else {
        this.#close(tab);
        this.#tell(tab, "close", LET_GO);
      }
    }
  }

  #tell(tab, type, detail = {}) {
    tab.port.postMessage([type, detail, tab.socket]);
  }

  // A tab's socket is open as long as the connection is live.
  #follow(tab, { state, retryAt, reason = "" }) {
    if (state === "live" && !tab.isOpen) {
      tab.isOpen = true;
      this.#tell(tab, "open");
    } else if (state !== "live" && state !== "connecting") {
      const code = state === "refused" ? 4401 : 1006;
      const wait = retryAt ? `retry_after_ms=${Math.max(0, retryAt - Date.now())}` : reason;
      this.#close(tab);
      this.#tell(tab, "close", { code, reason: wait });
    }
  }

  #close(tab) {
    tab.isOpen = false;
    tab.unanswered = 0;
    this.#tabs.delete(tab);
    if (this.#tabs.size === 0) this.#pinger = clearInterval(this.#pinger);
    for (const [name, { tabs }] of this.#topics) if (tabs.has(tab)) this.#leave(tab, name);
  }

  async #take(tab, message) {
    const { op, id, topic, data, method, params, token, timeout_ms: timeoutMs } = message;
    try {
      if (op === "subscribe") return this.#subscribe(tab, message);
      if (op === "unsubscribe") return this.#send(tab, { op: "ok", id, data: this.#leave(tab, topic) });
      const connection = this.#connection;
      const answer =
        op === "publish" ? await connection.publish(topic, data, { timeoutMs })
        : op === "call" ? await connection.call(method, params, { timeoutMs })
        : await connection.authenticate(token);
      this.#send(tab, { op: "ok", id, ...answer });
    } catch (error) {
      this.#send(tab, { op: "error", id, ...wire(error) });
    }
  }

  #subscribe(tab, { id, topic: name, params, timeout_ms: timeoutMs }) {
    const known = this.#topics.get(name);
    const tabs = known?.tabs ?? new Map();
    if ([...tabs.keys()].some((other) => other !== tab) && !isSame(known.params, params)) {
      return this.#send(tab, { op: "error", id, topic: name, ...OTHER_PARAMS });
    }
    tabs.set(tab, id);
    known?.topic.close();
    const each = (message) => {
      for (const reader of tabs.keys()) this.#send(reader, { topic: name, ...message });
    };
    const topic = this.#connection.subscribe(name, {
      snapshot: (data, { epoch, seq, stale }) => {
        for (const [reader, asked] of tabs) {
          this.#send(reader, { op: "snapshot", id: asked, topic: name, epoch, seq, data, stale });
          tabs.set(reader, undefined);
        }
      },
      skip: ({ seq }) => each({ op: "skip", seq }),
      event: (data, { seq }) => each({ op: "event", seq, data }),
      signal: (data) => each({ op: "signal", data }),
      error: (error) => {
        if (error.code === "disconnected" || error.code === "out_of_order") return;
        for (const [reader, asked] of tabs) {
          if (asked === undefined) continue;
          this.#leave(reader, name); // it is answered, and asks again
          this.#send(reader, { op: "error", id: asked, topic: name, ...wire(error) });
        }
      },
      closed: (error) => {
        if (error.code === "closed") return;
        this.#topics.delete(name);
        for (const [reader, asked] of tabs) {
          const op = asked === undefined ? "closed" : "error";
          this.#send(reader, { op, id: asked, topic: name, ...wire(error) });
        }
      },
    }, { params, timeoutMs });
    if (topic.state !== "closed") this.#topics.set(name, { topic, params, tabs });
  }

  #leave(tab, name) {
    const entry = this.#topics.get(name);
    if (!entry?.tabs.delete(tab) || entry.tabs.size > 0) return;
    this.#topics.delete(name);
    entry.topic.close();
  }

  #send(tab, message) {
    if (!tab.isOpen) return;
    this.#tell(tab, "message", { data: JSON.stringify(message) });
  }
}

/** Of two JSON values; the order of an object's members does not matter. */
function isSame(a, b) {
  const sorted = (_, value) =>
    value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value;
  return JSON.stringify(a, sorted) === JSON.stringify(b, sorted);
}

function wire({ code, message, retryAfterMs }) {
  return { code, message, retry_after_ms: retryAfterMs || undefined };
}
