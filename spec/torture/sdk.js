// Clients of centrifuge-js, which come and go by chance; what an application is told is written line by line (sdk.h).
// Lines to this program: begin, port, disturb, rest. With the end of its input it ends.

import { createInterface } from "node:readline";
import { Centrifuge as JsonClient } from "centrifuge";
import { Centrifuge as ProtobufClient } from "centrifuge/build/protobuf";
import WebSocket from "ws";

const MOVE_MS = 180;
let settings;
let resting = false;
const all = [];

// Mulberry32: small, and the same everywhere.
function dice(seed) {
  let state = seed >>> 0;
  const roll = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
  return { below: (n) => Math.floor(roll() * n), chance: (percent) => roll() * 100 < percent };
}

class Client {
  constructor(id) {
    this.id = id;
    this.isProtobuf = id % 2 === 1;
    this.dice = dice(settings.seed * 1000 + id);
    const client = this;
    // The port is that of the server of the day; the socket is kept, so that it can be cut.
    class Socket extends WebSocket {
      constructor(_, protocols) {
        super(`ws://127.0.0.1:${settings.port}/connection/websocket`, protocols);
        client.socket = this;
      }
    }
    const Sdk = this.isProtobuf ? ProtobufClient : JsonClient;
    this.sdk = new Sdk("ws://127.0.0.1/connection/websocket", {
      token: `token-${id % settings.users}`, websocket: Socket, minReconnectDelay: 20, maxReconnectDelay: 200,
    });
    this.sdk.on("connected", () => this.tell("connected"));
    this.sdk.on("error", ({ error }) => this.tell("error", { code: error.code }));
    this.sdk.on("disconnected", ({ code }) => code !== 0 && this.tell("disconnected", { code }));
    this.sdk.connect();
    this.move();
  }

  tell(op, what) {
    process.stdout.write(`${JSON.stringify({ op, id: this.id, ...what })}\n`);
  }

  decode(data) {
    return this.isProtobuf && data?.length ? JSON.parse(new TextDecoder().decode(data)) : data;
  }

  follow(topic) {
    const sub = this.sdk.newSubscription(topic, { minResubscribeDelay: 20, maxResubscribeDelay: 200 });
    sub.on("subscribing", ({ code }) => this.tell("subscribing", { topic, code }));
    sub.on("subscribed", ({ data, recovered, streamPosition: at }) => {
      const where = { topic, epoch: at.epoch, seq: at.offset };
      if (recovered) this.tell("recovered", where);
      else this.tell("snapshot", { ...where, data: this.decode(data) });
    });
    sub.on("publication", ({ data, offset }) => {
      if (offset) this.tell("event", { topic, seq: offset, data: this.decode(data) });
      else this.tell("signal", { topic });
    });
    sub.on("unsubscribed", ({ code }) => this.tell("unsubscribed", { topic, code }));
    sub.on("error", ({ error }) => this.tell("error", { code: error.code }));
    return sub;
  }

  cut() {
    this.socket?._socket?.resetAndDestroy();
  }

  // Does not read for a while.
  pause(forMs) {
    const socket = this.socket?._socket;
    socket?.pause();
    setTimeout(() => socket?.resume(), forMs);
  }

  move() {
    if (resting) return;
    const kind = this.dice.below(1000);
    const topic = settings.topics[this.dice.below(settings.topics.length)];
    const sub = this.sdk.getSubscription(topic);
    if (kind < 550) (sub ?? this.follow(topic)).subscribe();
    else if (kind < 850) sub?.unsubscribe();
    else if (kind < 880) {
      this.sdk.disconnect();
      setTimeout(() => this.sdk.connect(), this.dice.below(300));
    } else if (kind < 910 && settings.cut) this.cut();
    else if (kind < 920 && settings.slow) this.pause(200 + this.dice.below(2800));
    setTimeout(() => this.move(), 1 + this.dice.below(MOVE_MS));
  }
}

const acts = {
  begin(what) {
    settings = what;
    for (let id = 0; id < settings.clients; id++) all.push(new Client(id));
  },
  port: ({ port }) => (settings.port = port),
  disturb({ cut, pause, for_ms: forMs }) {
    if (resting) return;
    for (const client of all) {
      if (client.dice.chance(cut)) client.cut();
      if (client.dice.chance(pause)) client.pause(forMs);
    }
  },
  rest: () => (resting = true),
};

const lines = createInterface(process.stdin);
lines.on("line", (line) => {
  const step = JSON.parse(line);
  acts[step.do](step);
});
lines.on("close", () => process.exit(0));
