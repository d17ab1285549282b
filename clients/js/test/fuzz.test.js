/* A server that does at random what servers, proxies and networks do. Whatever it does: each view is
 * the log, every request is answered, and no state lasts for ever. */

import assert from "node:assert/strict";
import { it } from "node:test";
import { connect } from "../src/client.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

const RUNS = Number(process.env.LEAT_FUZZ_RUNS ?? 40);
const STEPS = 120;
const NAMES = ["a", "b", "c"];

// Mulberry32: a small generator with a seed.
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Chaos extends FakeServer {
  constructor(random) {
    super();
    this.random = random;
    this.onMessage = (socket, message) => this.maybe(socket, message);
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  maybe(socket, message) {
    const { id, topic } = message;
    const dice = this.calm ? 1 : this.random();
    if (dice < 0.05) return; // a proxy has swallowed it
    if (dice < 0.1) {
      const code = this.pick(["unavailable", "deadline_exceeded", "rate_limited"]);
      return socket.deliver({ op: "error", id, topic, code, message: "", retry_after_ms: 300 });
    }
    if (dice < 0.13) return this.cut();
    this.answer(socket, message);
  }

  step() {
    const name = this.pick(NAMES);
    const topic = this.topic(name);
    const commit = () => this.commit(name, topic.seq + 1);
    const acts = [
      commit,
      commit,
      commit,
      () => this.cut(),
      () => this.cut(1001, "retry_after_ms=200"),
      () => (this.accepts = !this.accepts),
      // an event is swallowed
      () => topic.log.push({ seq: ++topic.seq, data: topic.seq }),
      // the same event twice
      () => this.socket?.deliver({ op: "event", topic: name, ...(topic.log.at(-1) ?? { seq: 0 }) }),
      // a resync
      () => this.socket?.subscribed.has(name) && this.snapshot(this.socket, name),
      // another numbering
      () => this.topics.set(name, { epoch: `e${this.random()}`, seq: 0, log: [] }),
      // answers to questions that nobody asked, and messages of a later protocol
      () => this.socket?.deliver({ op: "ok", id: 1 }),
      () => this.socket?.deliver({ op: "snapshot", id: 3, topic: name, epoch: "x", seq: 9, data: [] }),
      () => this.socket?.deliver({ op: "dance", topic: name }),
    ];
    this.pick(acts)();
  }
}

for (let seed = 1; seed <= RUNS; seed++) {
  it(`shows the log, whatever happens: seed ${seed}`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const random = generator(seed);
    t.mock.method(Math, "random", random);
    const server = new Chaos(random);
    const leat = connect("ws://server/ws", { WebSocket: server.WebSocket });
    t.after(() => leat.close());
    const views = new Map();
    const errors = [];
    for (const name of NAMES) {
      views.set(name, []);
      leat.subscribe(name, {
        change: (change) => views.set(name, list(views.get(name), change)),
        error: ({ code }) => errors.push(code),
      });
    }
    let unanswered = 0;
    for (let i = 0; i < STEPS; i++) {
      server.step();
      if (random() < 0.2) {
        unanswered++;
        const answered = () => unanswered--;
        leat.call("anything").then(answered, answered);
      }
      await settle();
      if (random() < 0.6) t.mock.timers.tick(random() * 4_000);
      await settle();
    }

    server.calm = server.accepts = true;
    for (let i = 0; i < 40; i++) {
      t.mock.timers.tick(2_500);
      await settle();
    }
    // A swallowed last event shows with the next one.
    for (const name of NAMES) server.commit(name, "last");
    for (let i = 0; i < 20; i++) {
      t.mock.timers.tick(2_500);
      await settle();
    }

    for (const name of NAMES) {
      const truth = server.topic(name).log.map(({ data }) => data);
      assert.deepEqual(views.get(name), truth, `${name} after ${errors.join(" ")}`);
    }
    assert.equal(unanswered, 0);
  });
}
