/* What happens between two steps: calls from within handlers, answers that come late, and others' mistakes. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "../src/client.js";
import { FakeServer, list, settle } from "./support/fake_server.js";

function start(t, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const server = new FakeServer();
  const leat = connect("ws://server/ws", { WebSocket: server.WebSocket, ...options });
  t.after(() => leat.close());
  return { server, leat };
}

async function pass(t, ms) {
  for (let passed = 0; passed < ms; passed += 500) {
    t.mock.timers.tick(500);
    await settle();
  }
}

/** Answers the first `times` requests of an op with an error that passes. */
function refuse(server, op, times, code = "rate_limited") {
  const answer = server.onMessage;
  server.onMessage = (socket, message) => {
    if (message.op !== op || times-- <= 0) return answer(socket, message);
    socket.deliver({ op: "error", id: message.id, code, message: "", retry_after_ms: 100 });
  };
}

describe("a subscription", () => {
  it("that its own handler closes while it is being asked for leaves nothing at the server", async (t) => {
    const { server, leat } = start(t);
    await settle();
    const topic = leat.subscribe("chat", {
      state: (state) => state === "subscribing" && queueMicrotask(() => topic.close()),
    });
    let other = null;
    other = leat.subscribe("other", { state: (state) => state === "subscribing" && other?.close() });
    server.cut();
    await pass(t, 500);
    assert.deepEqual([topic.state, other.state], ["closed", "closed"]);
    assert.deepEqual([...server.socket.subscribed], []);
  });

  it("that is closed while its answer is on its way does not cost the connection", async (t) => {
    const { server, leat } = start(t);
    await settle();
    const late = [];
    server.onMessage = (socket, message) => {
      if (message.op === "subscribe") late.push(() => server.answer(socket, message));
      else late.splice(0).forEach((answer) => answer()), server.answer(socket, message);
    };
    leat.subscribe("chat", {}).close();
    await pass(t, 60_000);
    assert.equal(leat.state, "live");
    assert.equal(server.sockets.length, 1);
  });

  it("can be made anew at once, though the server had no time for the end of the last one", async (t) => {
    const { server, leat } = start(t);
    const topic = leat.subscribe("chat", {});
    await settle();
    refuse(server, "unsubscribe", 2);
    topic.close();
    let state;
    const again = leat.subscribe("chat", { change: (change) => (state = list(state, change)) });
    await pass(t, 5_000);
    server.commit("chat", "a");
    assert.equal(again.state, "live");
    assert.deepEqual(state, ["a"]);
  });

  it("is ended at the server, even if that has no time at first", async (t) => {
    const { server, leat } = start(t);
    const topic = leat.subscribe("chat", {});
    await settle();
    refuse(server, "unsubscribe", 2);
    topic.close();
    await pass(t, 5_000);
    assert.deepEqual([...server.socket.subscribed], []);
  });

  it("starts over, though the server has no time for it at first", async (t) => {
    const { server, leat } = start(t);
    let state;
    const topic = leat.subscribe("chat", { change: (change) => (state = list(state, change)) });
    await settle();
    refuse(server, "unsubscribe", 2);
    server.socket.deliver({ op: "event", topic: "chat", seq: 7, data: "?" });
    await pass(t, 5_000);
    server.commit("chat", "a");
    assert.equal(topic.state, "live");
    assert.deepEqual(state, ["a"]);
  });

  it("of which a handler makes another one gets its events", async (t) => {
    const { server, leat } = start(t);
    let state;
    let next;
    let topic = null;
    topic = leat.subscribe("chat", {
      state(word) {
        if (word !== "waiting" || !topic || next) return;
        topic.close();
        next = leat.subscribe("chat", { change: (change) => (state = list(state, change)) });
      },
    });
    await settle();
    server.socket.deliver({ op: "event", topic: "chat", seq: 7, data: "?" }); // it starts over
    await settle();
    server.commit("chat", "a");
    await pass(t, 1_000);
    assert.equal(next.state, "live");
    assert.deepEqual(state, ["a"]);
    assert.equal(topic.state, "closed");
  });

  it("that a handler closes tells nothing more, and does not come back", async (t) => {
    const { server, leat } = start(t);
    server.commit("chat", "a");
    await settle();
    for (const [word, when] of [["state", "live"], ["snapshot"], ["event"], ["error"]]) {
      const told = [];
      const handlers = {};
      for (const name of ["state", "snapshot", "event", "change", "error", "closed"]) {
        handlers[name] = (value) => {
          told.push(name);
          if (name === word && (!when || value === when)) topic.close();
        };
      }
      let topic = null;
      topic = leat.subscribe("chat", handlers);
      await settle();
      server.commit("chat", "b");
      server.socket.deliver({ op: "event", topic: "chat", seq: 99, data: "?" });
      await pass(t, 2_000);
      assert.equal(told.indexOf("closed"), told.length - 1, `${word}: ${told.join()}`);
      assert.equal(topic.state, "closed", word);
      assert.deepEqual([...server.socket.subscribed], [], word);
    }
  });

  it("whose first handler closes the connection is closed with it", async (t) => {
    const { leat } = start(t);
    await settle();
    let closed;
    leat.subscribe("chat", { state: () => leat.close(), closed: ({ code }) => (closed = code) });
    assert.equal(closed, "closed");
  });

  it("that has ended before a loop reads it ends the loop", async (t) => {
    const { leat } = start(t);
    const topic = leat.subscribe("chat");
    leat.close();
    for await (const change of topic) assert.fail(change.type);
  });

  it("answers each of several who wait for its next change", async (t) => {
    const { server, leat } = start(t);
    const loop = leat.subscribe("chat")[Symbol.asyncIterator]();
    const answers = [loop.next(), loop.next(), loop.next()];
    await settle();
    server.commit("chat", "a");
    loop.return();
    const types = (await Promise.all(answers)).map(({ value, done }) => value?.type ?? done);
    assert.deepEqual(types, ["snapshot", "event", true]);
  });
});

describe("an answer", () => {
  const ANSWERS = {
    "ok, but no snapshot": { op: "ok" },
    "a snapshot without a position": { op: "snapshot", topic: "chat", data: ["bad"] },
    "a snapshot with half a position": { op: "snapshot", topic: "chat", epoch: "e1", data: ["bad"] },
    "a snapshot whose position is no number": { op: "snapshot", topic: "chat", epoch: "e1", seq: "7", data: ["bad"] },
    "resumed, from nowhere": { op: "resumed", topic: "chat", epoch: null, seq: null },
    "an event": { op: "event", topic: "chat", seq: 1, data: "bad" },
    "the end of what has not begun": { op: "closed", topic: "chat", code: "revoked" },
    "something of a later protocol": { op: "dance", topic: "chat" },
  };
  for (const [name, bad] of Object.entries(ANSWERS)) {
    it(`to a subscribe that is ${name} is not taken for one`, async (t) => {
      const { server, leat } = start(t);
      server.commit("chat", "good");
      let times = 2;
      server.onMessage = (socket, message) => {
        if (message.op !== "subscribe" || times-- <= 0) return server.answer(socket, message);
        socket.subscribed.add("chat");
        socket.deliver({ ...bad, id: message.id });
      };
      const seen = [];
      const errors = [];
      const topic = leat.subscribe("chat", { snapshot: (data) => seen.push(data), error: ({ code }) => errors.push(code) });
      await settle();
      assert.notEqual(topic.state, "live");
      await pass(t, 30_000);
      assert.deepEqual([topic.state, seen], ["live", [["good"]]]);
      assert.deepEqual(errors, ["out_of_order", "out_of_order"]);
    });
  }
});

describe("a request", () => {
  const bodies = (server) => server.topic("chat").log.map(({ data }) => data);

  it("that is made before there is a connection waits for it", async (t) => {
    const { server, leat } = start(t, { token: "mine" });
    const draft = { body: "first" };
    const first = leat.publish("chat", draft);
    draft.body = "changed since";
    leat.addEventListener("state", ({ detail: { state } }) => state === "live" && leat.publish("chat", "second"));
    const { at } = await first;
    await settle();
    assert.deepEqual(at, [{ topic: "chat", epoch: "e1", seq: 1 }]);
    assert.deepEqual(bodies(server), [{ body: "first" }, "second"]);
  });

  it("that is made while the connection is lost waits for the next one", async (t) => {
    const { server, leat } = start(t);
    await settle();
    server.cut();
    const answer = leat.publish("chat", "late");
    await pass(t, 1_000);
    assert.equal((await answer).at[0].seq, 1);
  });

  it("that was sent is never sent again", async (t) => {
    const { server, leat } = start(t);
    await settle();
    server.onMessage = (socket, message) => {
      if (message.op !== "publish") return server.answer(socket, message);
      server.commit("chat", message.data);
      server.cut();
    };
    await assert.rejects(leat.publish("chat", "once"), { code: "disconnected" });
    await pass(t, 60_000);
    assert.deepEqual(bodies(server), ["once"]);
  });

  it("that waits is not spent on a connection that a listener has just ended", async (t) => {
    const { server, leat } = start(t);
    const codes = ["first", "second"].map((data) =>
      leat.publish("chat", data).then(
        () => "done",
        ({ code }) => code,
      ),
    );
    const meddle = { publish: () => leat.reconnect() };
    leat.addEventListener("message", ({ detail: { direction, text } }) => {
      const { op, data } = JSON.parse(text);
      if (direction === "out" && op === "publish" && data === "first") meddle.publish();
    });
    await pass(t, 5_000);
    assert.deepEqual(await Promise.all(codes), ["disconnected", "done"]);
    assert.equal(leat.state, "live");

    server.cut();
    const waiting = leat.publish("chat", "first").catch(({ code }) => code);
    meddle.publish = () => leat.close();
    await pass(t, 5_000);
    assert.equal(await waiting, "disconnected");
    assert.equal(leat.state, "closed");
  });

  it("that finds no connection in time was not sent, and says so", async (t) => {
    const { server, leat } = start(t);
    server.accepts = false;
    const told = [];
    leat.publish("chat", "lost").catch(({ code, passing }) => told.push(code, passing));
    leat.call("hurry", {}, { timeoutMs: 1_000 }).catch(({ code }) => told.push(code));
    await pass(t, 1_000);
    assert.deepEqual(told, ["unavailable"]);
    await pass(t, 14_000);
    assert.deepEqual(told, ["unavailable", "unavailable", true]);
    server.accepts = true;
    await pass(t, 60_000);
    assert.equal(leat.state, "live");
    assert.deepEqual(bodies(server), []);
  });

  it("waits neither for a connection that is closed nor for one that is refused", async (t) => {
    const { leat } = start(t);
    const early = assert.rejects(leat.call("early"), { code: "closed", passing: false });
    leat.close();
    await early;
    await assert.rejects(leat.call("late"), { code: "closed" });

    const other = connect("ws://server/ws", { WebSocket: new FakeServer().WebSocket, getToken: () => null });
    await assert.rejects(other.call("early"), { code: "unauthenticated" });
    await assert.rejects(other.call("late"), { code: "unauthenticated" });
    other.close();
  });

  it("has a deadline of whole milliseconds, which may be far away", async (t) => {
    const { server, leat } = start(t);
    await settle();
    const asked = [];
    server.onMessage = (socket, message) => asked.push(message.timeout_ms);
    leat.call("slow", {}, { timeoutMs: 0.5 }).catch(() => {});
    leat.call("slow", {}, { timeoutMs: 2 ** 40 }).catch(() => {});
    await settle();
    t.mock.timers.tick(1);
    assert.deepEqual(asked, [1, 2 ** 40]);
    assert.equal(leat.state, "live");
  });
});

describe("a position", () => {
  it("of a numbering that was over before the topic was seen is reached", async (t) => {
    const { server, leat } = start(t);
    server.topics.set("chat", { epoch: "new", seq: 3, log: [] });
    const topic = leat.subscribe("chat", {});
    const early = topic.reached({ epoch: "old", seq: 99 });
    await settle();
    await early;

    const late = topic.reached({ epoch: "older", seq: 99 });
    await pass(t, 10_000);
    await late;
    assert.equal(topic.has({ epoch: "older", seq: 99 }), true);
    assert.equal(topic.state, "live");
  });

  it("of a numbering that the topic is about to get is awaited", async (t) => {
    const { server, leat } = start(t);
    const topic = leat.subscribe("chat", {});
    await settle();
    let reached = false;
    topic.reached({ epoch: "e2", seq: 2 }).then(() => (reached = true));
    server.topics.set("chat", { epoch: "e2", seq: 1, log: [] });
    await pass(t, 10_000);
    assert.equal(reached, false);
    server.commit("chat", "a");
    await settle();
    assert.equal(reached, true);
  });

  it("is not awaited by who has given up before, or gives up later", async (t) => {
    const { leat } = start(t);
    const topic = leat.subscribe("chat", {});
    await settle();
    const at = { epoch: "e1", seq: 9 };
    await assert.rejects(topic.reached(at, { signal: AbortSignal.abort(new Error("before")) }), /before/);
    const later = new AbortController();
    const waiting = topic.reached(at, { signal: later.signal });
    later.abort(new Error("later"));
    await assert.rejects(waiting, /later/);
  });
});

describe("a connection", () => {
  it("does not suffer from a value that is no JSON", async (t) => {
    const { server, leat } = start(t);
    await settle();
    await assert.rejects(leat.publish("chat", { n: 1n }), TypeError);
    await pass(t, 20_000);
    assert.equal(leat.state, "live");
    assert.equal(server.sockets.length, 1);
  });

  it("that brings what is no message is given up for another one", async (t) => {
    const { server, leat } = start(t);
    for (const text of ["<html>", "null", "7"]) {
      await settle();
      server.socket.onmessage({ data: text });
      assert.equal(leat.state, "waiting", text);
      await pass(t, 4_000);
      assert.equal(leat.state, "live", text);
    }
  });

  it("that brings nothing for half a minute is asked whether it lives", async (t) => {
    const { server, leat } = start(t);
    await settle();
    await pass(t, 120_000);
    assert.equal(server.sockets.length, 1);
    const answer = server.onMessage;
    server.onMessage = () => {}; // a proxy has lost the other half of it
    await pass(t, 50_000);
    server.onMessage = answer;
    await pass(t, 1_000);
    assert.equal(server.sockets.length, 2);
    assert.equal(leat.state, "live");
  });

  it("that cannot even begin is tried again", async (t) => {
    let fails = 2;
    const real = new FakeServer().WebSocket;
    const { leat } = start(t, {
      WebSocket: class extends real {
        constructor(url) {
          if (fails-- > 0) throw new Error("mixed content");
          super(url);
        }
      },
    });
    const reasons = [];
    leat.addEventListener("state", ({ detail }) => detail.reason && reasons.push(detail.reason));
    await pass(t, 5_000);
    assert.deepEqual(reasons, ["mixed content", "mixed content"]);
    assert.equal(leat.state, "live");
  });

  it("waits as long as the server asks, also in a tab whose timers are slow", async (t) => {
    const { server, leat } = start(t);
    await settle();
    server.cut(1001, "retry_after_ms=300000");
    for (let minute = 0; minute < 4; minute++) {
      t.mock.timers.setTime(Date.now() + 55_000); // an interval's callback runs once a minute
      t.mock.timers.tick(5_000);
      await settle();
      assert.equal(leat.state, "waiting");
    }
  });

  it("does not wait for ever, nor hardly at all, if it is asked to wait for very long", async (t) => {
    const { server, leat } = start(t);
    await settle();
    server.cut(1001, `retry_after_ms=${10 ** 15}`);
    await pass(t, 599_000);
    assert.equal(leat.state, "waiting");
    await pass(t, 2_000);
    assert.equal(leat.state, "live");

    let asked = 0;
    server.onMessage = (socket, { op, id }) => {
      if (op === "subscribe") asked++;
      socket.deliver({ op: "error", id, code: "unavailable", message: "", retry_after_ms: 10 ** 15 });
    };
    leat.subscribe("chat", {});
    await pass(t, 500_000);
    assert.equal(asked, 1);
  });

  it("has nothing left to do after close(), wherever it was", async (t) => {
    const getToken = async () => ({ token: "t", expiresAt: Date.now() + 600_000 });
    const points = {
      "before anything": () => {},
      "while the token is fetched": () => Promise.resolve(),
      "when the token is accepted": (leat, server) => {
        const { promise, resolve } = Promise.withResolvers?.() ?? deferred();
        server.onMessage = (socket, message) => {
          server.answer(socket, message);
          resolve();
        };
        return promise;
      },
      "while another token is shown": async (leat, server) => {
        await settle();
        const shown = leat.authenticate({ token: "u", expiresAt: Date.now() + 600_000 });
        server.onMessage = (socket, message) => {
          server.answer(socket, message);
          leat.close();
        };
        await shown.catch(() => {});
      },
      "while it waits": async (leat, server) => {
        await settle();
        server.cut();
      },
    };
    for (const [point, reach] of Object.entries(points)) {
      let asked = 0;
      const { server, leat } = start(t, { getToken: () => (asked++, getToken()) });
      await reach(leat, server);
      leat.close();
      await settle();
      const before = [asked, server.sockets.length];
      await pass(t, 1_200_000 / 4);
      t.mock.timers.tick(3_600_000);
      await settle();
      assert.deepEqual([asked, server.sockets.length], before, point);
      t.mock.timers.reset();
    }
  });
});

function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}

describe("a token", () => {
  it("that can be anything that getToken throws is fetched again", async (t) => {
    let n = 0;
    const { leat } = start(t, {
      getToken() {
        if (++n === 1) throw null; // eslint-disable-line no-throw-literal
        if (n === 2) return Promise.reject("words");
        return "t";
      },
    });
    await pass(t, 5_000);
    assert.equal(leat.state, "live");
  });

  it("that seems to have expired, by a clock that is wrong, is not renewed without end", async (t) => {
    let asked = 0;
    const getToken = () => (asked++, { token: "t", expiresAt: Date.now() - 3_600_000 });
    const { leat } = start(t, { getToken });
    await settle();
    await pass(t, 20_000);
    assert.ok(asked <= 3, `${asked} times`);
    assert.equal(leat.state, "live");
  });

  it("that has expired on its way is fetched once more, and no third time", async (t) => {
    let n = 0;
    const { server, leat } = start(t, { getToken: () => `t${++n}` });
    let good = ["t2"];
    server.onMessage = (socket, message) => {
      if (message.op !== "authenticate" || good.includes(message.token)) return server.answer(socket, message);
      socket.deliver({ op: "error", id: message.id, code: "unauthenticated", message: "expired" });
      server.cut(4401);
    };
    await pass(t, 2_000);
    assert.equal(leat.state, "live");

    good = [];
    server.cut();
    await pass(t, 120_000);
    assert.equal(leat.state, "refused");
    assert.equal(n, 4);
  });

  it("is not fetched twice at the same time", async (t) => {
    let running = 0;
    let most = 0;
    const getToken = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      running--;
      return { token: "t", expiresAt: Date.now() + 100_000 };
    };
    const { server, leat } = start(t, { getToken });
    t.mock.method(Math, "random", () => 0);
    await pass(t, 4_000);
    assert.equal(leat.state, "live");
    await pass(t, 50_500); // the renewal has begun
    assert.equal(running, 1);
    server.cut();
    await pass(t, 500);
    leat.reconnect();
    await pass(t, 10_000);
    assert.equal(leat.state, "live");
    assert.equal(most, 1);
  });

  it("that never comes in time is not waited for when the connection is made anew", async (t) => {
    let n = 0;
    const getToken = () => {
      if (++n === 2) return new Promise(() => {});
      return { token: `t${n}`, expiresAt: Date.now() + 60_000 };
    };
    const { server, leat } = start(t, { getToken });
    await settle();
    await pass(t, 60_000);
    server.cut(4401);
    await pass(t, 30_000);
    assert.equal(leat.state, "live");
    assert.equal(server.tokens.at(-1), "t3");
  });
});
