/* A server that does at random what servers, proxies and networks do, a page that is used at random, and a clock
 * that jumps. Whatever happens: each view is the log, every request and every wait is answered, no state lasts for ever,
 * and close() leaves nothing running. */

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

// What goes wrong: a client that is always cut off gets well by that, whatever else is wrong with it.
const WORLDS = [
  { cuts: true, holes: true, refusals: true, slow_ms: 20_000 },
  { cuts: false, holes: true, refusals: false, slow_ms: 12_000 },
  { cuts: false, holes: false, refusals: false, slow_ms: 3_000 }, // nothing that ends a connection
  { cuts: true, holes: false, refusals: true, slow_ms: 12_000 },
];

class Chaos extends FakeServer {
  constructor(random, world) {
    super();
    this.random = random;
    this.world = world;
    this.onMessage = (socket, message) => this.maybe(socket, message);
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  maybe(socket, message) {
    const { id, topic, op } = message;
    const { cuts, holes, refusals, slow_ms: slowMs } = this.world;
    const dice = this.calm ? 1 : this.random();
    if (socket.isDeaf || (holes && dice < 0.04)) return; // a proxy has swallowed it
    if (socket.late) return socket.late.push(message); // a server answers in order
    if (dice < 0.1) {
      const code = this.pick(["unavailable", "deadline_exceeded", "rate_limited"]);
      return socket.deliver({ op: "error", id, topic, code, message: "", retry_after_ms: 300 });
    }
    if (cuts && dice < 0.13) return this.cut();
    if (dice < 0.2) {
      socket.late = [message];
      return setTimeout(() => {
        for (const one of socket.late.splice(0)) if (socket.isOpen) this.answer(socket, one);
        socket.late = null;
      }, this.random() * slowMs);
    }
    if (refusals && op === "authenticate" && dice < 0.3) {
      socket.deliver({ op: "error", id, code: "unauthenticated", message: "no" });
      return socket.end(4401, "");
    }
    if (op === "subscribe" && dice > 0.9 && dice < 1) return this.nonsense(socket, message);
    this.answer(socket, message);
  }

  /** An answer that answers nothing. A subscription may be held all the same. */
  nonsense(socket, { id, topic }) {
    const position = this.pick([{}, { epoch: "e" }, { epoch: null, seq: null }, { epoch: "e", seq: "1" }, { seq: -1 }]);
    socket.subscribed.add(topic);
    const kind = this.pick(["ok", "snapshot", "resumed", "event", "skip", "signal", "closed", "dance", undefined, 7]);
    socket.deliver({ op: kind, id, topic, ...position, data: ["nonsense"], code: "revoked", at: [] });
  }

  /** A token as an application fetches it. */
  async getToken() {
    const dice = this.calm || !this.world.refusals ? 1 : this.random();
    if (dice < 0.1) throw this.pick([new Error("down"), "down", null]);
    if (dice < 0.15) return new Promise(() => {});
    if (dice < 0.2) return null; // signed out
    if (dice < 0.4) await new Promise((resolve) => setTimeout(resolve, this.random() * 12_000));
    const lives = this.calm ? [86_400_000] : [-3_600_000, 1_000, 90_000, 86_400_000];
    return { token: "t", expiresAt: Date.now() + this.pick(lives) };
  }

  acts() {
    const name = this.pick(NAMES);
    const topic = this.topic(name);
    const commit = () => this.commit(name, topic.seq + 1);
    const always = [
      commit,
      commit,
      commit,
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
    const cuts = [
      () => this.cut(),
      () => this.cut(1001, "retry_after_ms=200"),
      () => (this.accepts = !this.accepts),
      () => this.world.refusals && this.cut(4401, ""),
      () => this.socket?.isOpen && this.socket.onmessage?.({ data: this.pick(["<html>", "null", ""]) }),
    ];
    const holes = [
      // an event is swallowed
      () => topic.log.push({ seq: ++topic.seq, data: topic.seq }),
      // a proxy, or a router, has forgotten the connection: in one direction, or in both
      () => this.random() < 0.2 && this.socket && (this.socket.isDeaf = true),
      () => this.random() < 0.2 && this.socket && (this.socket.isMute = true),
      () => this.random() < 0.2 && this.socket && (this.socket.isDeaf = this.socket.isMute = true),
    ];
    return [...always, ...(this.world.cuts ? cuts : []), ...(this.world.holes ? holes : [])];
  }
}

/** A page: its views, its waits, and what its user does. */
class Page {
  views = new Map(NAMES.map((name) => [name, []]));
  topics = new Map();
  guest = null; // a topic that comes and goes
  errors = [];
  losses = [];
  waiting = 0;

  constructor(server, events) {
    this.server = server;
    this.events = events;
    this.leat = connect("ws://server/ws", { WebSocket: server.WebSocket, getToken: () => server.getToken() });
    for (const name of NAMES) this.subscribe(name);
    let wasLive = false;
    this.leat.addEventListener("state", ({ detail: { state, reason } }) => {
      if (wasLive && state === "waiting") this.losses.push(reason);
      wasLive = state === "live";
    });
  }

  subscribe(name) {
    const topic = this.leat.subscribe(name, {
      change: (change) => this.views.set(name, list(this.views.get(name), change)),
      error: ({ code }) => this.errors.push(code),
    });
    this.topics.set(name, topic);
  }

  /** The guest comes; whether it has been let in or not, it goes. */
  comeOrGo() {
    const isThere = this.guest && this.guest.state !== "closed";
    if (isThere) this.guest.close();
    else this.guest = this.leat.subscribe("guest", {});
  }

  await(promise) {
    this.waiting++;
    const answered = () => this.waiting--;
    promise.then(answered, answered);
  }

  /** Whether it had to sign in. */
  signIn() {
    if (this.leat.state === "refused") this.leat.reconnect();
  }

  acts() {
    const name = this.server.pick(NAMES);
    const topic = this.topics.get(name);
    const ask = () => this.await(this.leat.call("anything"));
    const again = () => (topic.close(), this.subscribe(name));
    const { epoch, seq } = this.server.topic(name);
    const tell = (type, init) => () => this.events.dispatchEvent(Object.assign(new Event(type), init));
    return [
      ask,
      ask,
      again,
      ...Array(4).fill(() => this.comeOrGo()),
      () => (again(), this.topics.get(name).close(), this.subscribe(name)),
      () => this.await(this.leat.publish(name, seq + 1).then(({ at }) => topic.reached(at))),
      () => this.await(topic.reached({ epoch, seq })),
      () => this.await(topic.reached({ epoch: "of old", seq: 7 })),
      () => this.await(this.leat.authenticate("u")),
      () => this.server.world.cuts && this.leat.reconnect(),
      () => this.signIn(),
      tell("online"),
      tell("offline"),
      () => this.server.world.cuts && tell("pagehide", { persisted: true })(),
      tell("pageshow", { persisted: true }),
    ];
  }
}

/** Timers, a clock that may be wrong, and the window of a page. */
function world(t) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const clock = { now: 1.7e12 };
  t.mock.method(Date, "now", () => clock.now);
  const events = new EventTarget();
  globalThis.addEventListener = events.addEventListener.bind(events);
  t.after(() => delete globalThis.addEventListener);
  const pass = async (ms) => {
    clock.now += ms;
    t.mock.timers.tick(ms);
    await settle();
  };
  return { clock, events, pass };
}

for (let seed = 1; seed <= RUNS; seed++) {
  it(`shows the log, whatever happens: seed ${seed}`, async (t) => {
    const { clock, events, pass } = world(t);
    const random = generator(seed);
    t.mock.method(Math, "random", random);
    const server = new Chaos(random, WORLDS[seed % WORLDS.length]);
    const page = new Page(server, events);
    t.after(() => page.leat.close());
    for (let i = 0; i < STEPS; i++) {
      server.pick(server.acts())();
      if (random() < 0.6) server.pick(page.acts())();
      if (random() < 0.03) clock.now += server.pick([-3_600_000, 3_600_000]);
      await settle();
      if (random() < 0.6) await pass(random() * 4_000);
    }

    server.calm = server.accepts = true;
    if (page.leat.state === "sleeping") events.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    for (let i = 0; i < 60; i++) {
      page.signIn();
      await pass(2_500);
    }
    // A swallowed last event shows with the next one.
    for (const name of NAMES) server.commit(name, "last");
    for (let i = 0; i < 20; i++) await pass(2_500);

    assert.equal(page.leat.state, "live");
    for (const name of NAMES) {
      const truth = server.topic(name).log.map(({ data }) => data);
      assert.deepEqual(page.views.get(name), truth, `${name} after ${page.errors.join(" ")}`);
    }
    assert.equal(page.waiting, 0);
    page.guest?.close();
    await pass(1_000);
    assert.deepEqual([...server.socket.subscribed].sort(), NAMES);
    if (!server.world.cuts && !server.world.holes) assert.deepEqual(page.losses, []);

    page.leat.close();
    const before = server.sockets.length;
    for (let i = 0; i < 20; i++) await pass(60_000);
    assert.equal(server.sockets.length, before);
  });
}
