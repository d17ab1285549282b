/*
 * A server that follows a vector of clients/protocol: it sends what the vector says, and expects of the client what
 * the vector says. Time is node:test's mock timers, so nothing waits.
 */

import assert from "node:assert/strict";
import { settle } from "./fake_server.js";

const WHOLE = /^\$\{([\w*]+)([+-]\d+)?\}$/;
const PART = /\$\{(\w+)\}/;

/** The variables of a vector: what is known of them, and what this side sends if it is the first to use one. */
class Values {
  #bound = new Map();
  #offered;

  constructor(offered = {}) {
    this.#offered = offered;
  }

  #get(name) {
    if (!this.#bound.has(name)) this.#bound.set(name, this.#offered[name]);
    assert.notEqual(this.#bound.get(name), undefined, `nothing is known of \${${name}}`);
    return this.#bound.get(name);
  }

  /** The message with its variables replaced; members that are ${none} are left out. */
  fill(node) {
    if (typeof node === "string") {
      const [, name, added = 0] = WHOLE.exec(node) ?? [];
      if (!name) return node.replace(PART, (_, inner) => this.#get(inner));
      if (name === "*") return "anything";
      const value = this.#get(name);
      return typeof value === "number" ? value + Number(added) : value;
    }
    if (Array.isArray(node)) return node.map((child) => this.fill(child));
    if (node === null || typeof node !== "object") return node;
    const kept = Object.entries(node).filter(([, child]) => child !== "${none}");
    return Object.fromEntries(kept.map(([key, child]) => [key, this.fill(child)]));
  }

  /** Fails unless `got` is what is expected; binds the variables that nothing is known of. */
  match(expected, got, where = "message") {
    const [, name, added = 0] = WHOLE.exec(expected) ?? [];
    if (name === "*") return assert.notEqual(got, undefined, `${where} is missing`);
    if (name === "none") return assert.equal(got, undefined, where);
    if (name && !this.#bound.has(name)) {
      assert.notEqual(got, undefined, `${where} is missing`);
      return this.#bound.set(name, typeof got === "number" ? got - Number(added) : got);
    }
    if (Array.isArray(expected)) {
      assert.equal(got?.length, expected.length, where);
      return expected.forEach((child, i) => this.match(child, got[i], `${where}[${i}]`));
    }
    if (expected === null || typeof expected !== "object") return assert.deepEqual(got, this.fill(expected), where);
    assert.ok(got && typeof got === "object", `${where} is no object`);
    for (const key of Object.keys(expected)) this.match(expected[key], got[key], `${where}.${key}`);
  }
}

/*
 * Plays a vector. client: what is under test:
 *   connect(WebSocket, { token }), then the other acts of an application, by name: client[act](step)
 *   told: a list to which it adds what the application is told, as the vectors write it
 */
export class ScriptedServer {
  #values;
  #client;
  #timers;
  #sockets = []; // that the client has made, and nobody has looked at
  #socket = null;
  #received = [];
  #at = 0;

  constructor(vector, client, timers) {
    this.#values = new Values(vector.variables);
    this.#client = client;
    this.#timers = timers;
  }

  /** The class that the client under test uses. */
  get WebSocket() {
    const server = this;
    return class {
      constructor(url, protocols) {
        Object.assign(this, { url: new URL(url), protocols });
        server.#sockets.push(this);
      }
      send(text) {
        const message = JSON.parse(text);
        // At any time a client may ask whether the connection still lives.
        if (message.method !== "ping") return server.#received.push(message);
        const answer = { op: "ok", id: message.id };
        queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(answer) }));
      }
      close(code = 1000, reason = "") {
        this.closed = { code, reason };
      }
    };
  }

  /** choose: which of the sequences a server sends first, where it is free; a number from 0 to 1. */
  async play(steps, choose) {
    for (const step of steps) {
      this.#at++;
      try {
        await this.#step(step, choose);
      } catch (error) {
        error.message = `step ${this.#at}, ${JSON.stringify(step).slice(0, 300)}\n${error.message}`;
        throw error;
      }
      await settle();
    }
  }

  /** Fails if the client has sent or told anything that the vector has not. */
  assertOver() {
    assert.deepEqual(this.#received, [], "messages that nobody expected");
    assert.deepEqual(this.#client.told, [], "what the application was told, and nobody expected");
    assert.deepEqual(this.#sockets, [], "connections that nobody expected");
  }

  #step(step, choose) {
    if (step.app) return this.#client[step.app](step, this.WebSocket);
    if (step.told) return this.#told(step);
    if (step.connect) return this.#connect(step);
    if (step.client) return this.#values.match(step.client, this.#received.shift());
    if (step.server) return this.#socket.onmessage({ data: JSON.stringify(this.#values.fill(step.server)) });
    if (step.server_close) return this.#close(this.#values.fill(step.server_close));
    if (step.client_close) return this.#values.match(step.client_close, this.#socket.closed);
    if (step.cut) return this.#close({ code: 1006 });
    if (step.pass_ms) return this.#pass(step.pass_ms);
    if (step.one_of) return this.play(step.one_of[Math.floor(choose * step.one_of.length)], choose);
    if (step.any_order) return this.#anyOrder(step.any_order, choose);
    assert.ok(step.sql || step.operator, "no such step");
  }

  #connect({ connect }) {
    assert.equal(this.#sockets.length, 1, "connections");
    this.#socket = this.#sockets.pop();
    assert.equal(this.#socket.url.pathname + this.#socket.url.search, connect);
    this.#socket.onopen?.({});
  }

  #close({ code, reason = "" }) {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket.closed) socket.onclose?.({ code, reason });
  }

  // What the application was told, in the order in which it was told; of a vector's steps the names count.
  #told({ told, ...expected }) {
    const got = this.#client.told.shift();
    assert.equal(got?.told, told);
    this.#values.match(expected, got);
  }

  async #pass(ms) {
    for (let passed = 0; passed < ms; passed += 500) {
      this.#timers.tick(Math.min(500, ms - passed));
      await settle();
    }
  }

  async #anyOrder(sequences, choose) {
    const rest = [...sequences];
    while (rest.length) {
      const [sequence] = rest.splice(Math.floor(choose * rest.length), 1);
      await this.play(sequence, choose);
    }
  }
}
