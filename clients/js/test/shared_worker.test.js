/* Several tabs at one worker, with ports of the test's own, which can be as slow as a frozen tab's. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "../src/client.js";
import { connectShared, TabHub } from "../src/shared_worker.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

/** Two ends of a channel. A frozen end takes nothing and says nothing until it is thawed. */
function channel() {
  const ends = [{}, {}];
  ends.forEach((end, i) => {
    const other = ends[1 - i];
    Object.assign(end, { waiting: [], unsent: [], isFrozen: false });
    end.take = () => {
      while (!end.isFrozen && end.waiting.length) end.onmessage?.({ data: end.waiting.shift() });
    };
    end.thaw = () => {
      end.isFrozen = false;
      end.take();
      end.unsent.splice(0).forEach(end.postMessage);
    };
    end.postMessage = (data) => {
      if (end.isFrozen) return end.unsent.push(data);
      other.waiting.push(structuredClone(data));
      queueMicrotask(other.take);
    };
  });
  return ends;
}

function start(t, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const server = new FakeServer();
  const shared = connect("ws://server/ws", { WebSocket: server.WebSocket, ...options });
  t.after(() => shared.close());
  const hub = new TabHub(shared);
  const openTab = () => {
    const [port, workersPort] = channel();
    hub.add(workersPort);
    const leat = connectShared({ port });
    t.after(() => leat.close());
    const tab = { leat, port, state: undefined, errors: [] };
    tab.topic = leat.subscribe("chat", {
      change: (change) => (tab.state = list(tab.state, change)),
      error: ({ code }) => tab.errors.push(code),
    });
    return tab;
  };
  return { server, shared, openTab };
}

async function pass(t, ms) {
  for (let passed = 0; passed < ms; passed += 500) {
    t.mock.timers.tick(500);
    await settle();
  }
}

describe("tabs that share a socket", () => {
  it("each show everything, though one of them is frozen and comes back", async (t) => {
    const { server, openTab } = start(t);
    const [awake, frozen] = [openTab(), openTab()];
    await pass(t, 1_000);
    assert.equal(server.sockets.length, 1);

    frozen.port.isFrozen = true;
    for (let i = 0; i < 100; i++) {
      server.commit("chat", i);
      await pass(t, 10_000);
    }
    assert.equal(awake.state.length, 100);
    // A minute's events, and a word about each of three questions, are all that waits for it.
    assert.ok(frozen.port.waiting.length < 20, `${frozen.port.waiting.length} messages`);

    frozen.port.thaw();
    await pass(t, 45_000);
    server.commit("chat", "last");
    await settle();
    assert.deepEqual(frozen.state, awake.state);
    assert.equal(frozen.state.length, 101);
    assert.equal(awake.topic.state, "live");
  });

  it("leave nothing behind when they are gone without a word", async (t) => {
    const { server, openTab } = start(t);
    const [one, two] = [openTab(), openTab()];
    await pass(t, 1_000);
    one.port.isFrozen = true;
    await pass(t, 100_000);
    assert.deepEqual([...server.socket.subscribed], ["chat"]);
    two.leat.close();
    await pass(t, 1_000);
    assert.deepEqual([...server.socket.subscribed], []);
  });

  it("that are silent, and have nothing to say, are kept", async (t) => {
    const { server, openTab } = start(t);
    const tab = openTab();
    await pass(t, 1_000);
    const states = [];
    tab.leat.addEventListener("state", ({ detail }) => states.push(detail.state));
    await pass(t, 300_000);
    assert.deepEqual(states, []);
    assert.equal(server.sockets.length, 1);
  });

  it("hear that the server has no time, and ask again", async (t) => {
    const { server, openTab } = start(t);
    let refusals = 2;
    server.onMessage = (socket, message) => {
      if (message.op !== "subscribe" || refusals-- <= 0) return server.answer(socket, message);
      socket.deliver({ op: "error", id: message.id, code: "unavailable", message: "full", retry_after_ms: 100 });
    };
    const tab = openTab();
    await pass(t, 10_000);
    server.commit("chat", "a");
    await settle();
    assert.ok(tab.errors.includes("unavailable"), tab.errors.join());
    assert.deepEqual(tab.state, ["a"]);
  });

  it("can sign in after the worker was refused", async (t) => {
    let token = null;
    const { openTab } = start(t, { getToken: () => token });
    const first = openTab();
    await pass(t, 1_000);
    assert.equal(first.leat.state, "refused");
    token = "good";
    const second = openTab();
    await pass(t, 1_000);
    assert.equal(second.leat.state, "live");
    first.leat.reconnect();
    await pass(t, 1_000);
    assert.equal(first.topic.state, "live");
  });

  it("share a topic only with the same params", async (t) => {
    const { server, openTab } = start(t);
    const read = (tab, params) => {
      const seen = { state: undefined, closed: undefined };
      seen.topic = tab.leat.subscribe("list", {
        change: (change) => (seen.state = list(seen.state, change)),
        closed: ({ code, message }) => (seen.closed = { code, message }),
      }, { params });
      return seen;
    };
    const [one, two] = [openTab(), openTab()];
    const first = read(one, { by: "name", of: [1, 2] });
    await pass(t, 1_000);
    const same = read(two, { of: [1, 2], by: "name" });
    await pass(t, 1_000);
    server.commit("list", "a");
    await settle();
    assert.deepEqual([first.state, same.state], [["a"], ["a"]]);
    same.topic.close();

    const other = read(two, { by: "age", of: [1, 2] });
    await pass(t, 1_000);
    assert.equal(other.closed?.code, "bad_request");
    assert.match(other.closed.message, /other params/);
    server.commit("list", "b");
    await settle();
    assert.deepEqual(first.state, ["a", "b"]);

    first.topic.close();
    await pass(t, 1_000);
    const alone = read(two, { by: "age", of: [1, 2] });
    await pass(t, 1_000);
    assert.equal(alone.topic.state, "live");
    alone.topic.close();
    const again = read(two, { by: "name" });
    await pass(t, 1_000);
    assert.equal(again.topic.state, "live");
  });

  it("wait as long as the server asks, and follow it", async (t) => {
    const { server, openTab } = start(t);
    const tabs = [openTab(), openTab()];
    await pass(t, 1_000);
    server.cut(1001, "retry_after_ms=7000");
    await pass(t, 6_000);
    assert.equal(server.sockets.length, 1);
    server.commit("chat", "meanwhile");
    await pass(t, 3_000);
    for (const { state } of tabs) assert.deepEqual(state, ["meanwhile"]);
  });
});
