/*
 * A server in the test's own process: a WebSocket class for connect(), and what stands behind it.
 * Time is node:test's mock timers, so nothing waits.
 */

export class FakeServer {
  sockets = [];
  tokens = []; // that came
  accepts = true; // false: sockets close without opening; null: they do neither
  onMessage = (socket, message) => this.answer(socket, message);
  topics = new Map(); // name -> { epoch, seq, log: [{ seq, data }] }

  /** The class to hand to connect(). */
  get WebSocket() {
    const server = this;
    return class {
      constructor(url) {
        this.url = url;
        this.subscribed = new Set();
        server.sockets.push(this);
        queueMicrotask(() => {
          if (server.accepts === null) return;
          if (!server.accepts) return this.end(1006, "");
          this.isOpen = true;
          this.onopen?.({});
        });
      }
      send(text) {
        const message = JSON.parse(text);
        queueMicrotask(() => this.isOpen && server.onMessage(this, message));
      }
      close() {
        this.end(1000, "", false);
      }
      end(code, reason, tells = true) {
        this.isOpen = false;
        if (tells) this.onclose?.({ code, reason });
      }
      deliver(message) {
        if (this.isOpen && !this.isMute) this.onmessage?.({ data: JSON.stringify(message) });
      }
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  topic(name) {
    if (!this.topics.has(name)) this.topics.set(name, { epoch: "e1", seq: 0, log: [] });
    return this.topics.get(name);
  }

  /** Commits an event, and delivers it to everybody who is subscribed. Returns its position. */
  commit(name, data) {
    const topic = this.topic(name);
    topic.log.push({ seq: ++topic.seq, data });
    const event = { op: "event", topic: name, seq: topic.seq, data };
    for (const socket of this.sockets) if (socket.subscribed.has(name)) socket.deliver(event);
    return { topic: name, epoch: topic.epoch, seq: topic.seq };
  }

  answer(socket, { op, id, topic: name, since, data, token }) {
    const topic = name && this.topic(name);
    if (op === "authenticate") this.tokens.push(token);
    const refuse = (code) => socket.deliver({ op: "error", id, topic: name, code, message: code });
    if (op === "subscribe") {
      if (socket.subscribed.has(name)) return refuse("already_subscribed");
      socket.subscribed.add(name);
      if (since?.epoch === topic.epoch && since.seq <= topic.seq) {
        socket.deliver({ op: "resumed", id, topic: name, ...since });
        for (const event of topic.log.slice(since.seq)) {
          socket.deliver({ op: "event", topic: name, ...event });
        }
      } else this.snapshot(socket, name, id);
    } else if (op === "publish") {
      socket.deliver({ op: "ok", id, at: [this.commit(name, data)] });
    } else {
      if (op === "unsubscribe" && !socket.subscribed.delete(name)) return refuse("not_found");
      socket.deliver({ op: "ok", id });
    }
  }

  /** Sends what the topic is: the list of all that was committed. */
  snapshot(socket, name, id) {
    const { epoch, seq, log } = this.topic(name);
    const data = log.map((event) => event.data);
    socket.deliver({ op: "snapshot", id, topic: name, epoch, seq, data });
  }

  cut(code = 1006, reason = "") {
    this.socket?.end(code, reason);
  }
}

/** Lets everything run that waits for nothing but promises. */
export async function settle() {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** The list that a topic's changes make. */
export function list(state, { type, data }) {
  if (type === "snapshot") return data;
  return type === "event" ? [...state, data] : state;
}
