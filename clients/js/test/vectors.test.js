/* The test vectors of clients/protocol, against a server that follows them: each as a server may choose. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { connect } from "../src/client.js";
import { settle } from "./support/fake_server.js";
import { ScriptedServer } from "./support/scripted_server.js";

const folder = new URL("../../protocol/leat.v1/", import.meta.url);
const LAST = 0.999; // the last of the alternatives that a server has

/** @leat/client, with the acts and the words that the vectors use. */
class Subject {
  told = [];
  #leat;
  #topics = new Map();

  connect({ token }, WebSocket) {
    this.#leat = connect("ws://server/ws", { token, WebSocket });
    this.#leat.addEventListener("state", ({ detail: { state } }) => {
      if (state === "refused") this.told.push({ told: "state", state });
    });
  }

  subscribe({ topic, params }) {
    const tell = (told, more) => this.told.push({ told, topic, ...more });
    const handlers = {
      snapshot: (data, { seq }) => tell("snapshot", { data, seq }),
      event: (data, { seq }) => tell("event", { data, seq }),
      signal: (data) => tell("signal", { data }),
      error: ({ code }) => code !== "out_of_order" && tell("error", { code }),
      closed: ({ code }) => code !== "closed" && tell("closed", { code }),
    };
    this.#topics.set(topic, this.#leat.subscribe(topic, handlers, { params }));
  }

  unsubscribe({ topic }) {
    this.#topics.get(topic).close();
  }

  publish({ topic, data }) {
    this.#await(this.#leat.publish(topic, data));
  }

  call({ method, params }) {
    this.#await(this.#leat.call(method, params));
  }

  authenticate({ token }) {
    this.#await(this.#leat.authenticate(token));
  }

  close() {
    this.#leat.close();
  }

  #await(answer) {
    answer.then(
      (value) => this.told.push({ told: "answer", data: value?.data }),
      ({ code }) => this.told.push({ told: "error", code }),
    );
  }
}

async function play(t, vector, choose) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const subject = new Subject();
  const server = new ScriptedServer(vector, subject, t.mock.timers);
  t.after(() => subject.close());
  await server.play(vector.steps, choose);
  await settle();
  server.assertOver();
}

const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

for (const file of files) {
  const { vectors } = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
  describe(`the vectors of ${file}`, () => {
    for (const vector of vectors.filter((one) => one.for.includes("client"))) {
      it(vector.name, (t) => play(t, vector, 0));
      if (/"one_of"|"any_order"/.test(JSON.stringify(vector))) {
        it(`${vector.name}, with a server that chooses otherwise`, (t) => play(t, vector, LAST));
      }
    }
  });
}

it("there are vectors", () => assert.ok(files.length >= 6));
