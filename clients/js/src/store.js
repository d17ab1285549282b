/*
 * A store: the state of a topic, with the changes on top that the user has made and the server has
 * not yet shown.
 *
 *   const store = createStore(leat.subscribe("chat:42"), reduce);
 *   store.subscribe(() => draw(store.get()));
 *   await store.apply({ type: "message", body }, () => leat.publish("chat:42", { … }));
 *
 * reduce(state, change) returns the next state and never alters the old one; `change` is
 * { type: "snapshot" | "event" | "signal", data, at }. An optimistic change goes through the same
 * function, as an event without `at`.
 *
 * While the connection is lost, or the topic resyncs, the last state stays: nothing flashes.
 */

import { report } from "./error.js";
import { want, wantFunction } from "./want.js";

// The event of a publish may come before the publish's own answer, which says which event it is.
// So long changes wait for that answer, so that a message is not seen twice.
const ANSWER_MS = 500;

/**
 * `topic`: what subscribe() returned without handlers. Members of the store:
 *   get()                     the state; the same object as long as nothing has changed
 *   status()                  { state, stale, error } of the topic; likewise
 *   subscribe(listener)       calls it after each change; returns a function that ends it
 *   apply(data, send)         shows data as an event, at once. It is dropped in the step that shows
 *                             the real event, or rolled back if send() fails. Resolves and rejects
 *                             as send() does.
 *   close()                   ends the subscription
 */
export function createStore(topic, reduce, initial) {
  want(topic?.attach, "a store needs a topic: what subscribe() returns");
  wantFunction(reduce, "reduce");
  const listeners = new Set();
  const optimistic = new Set(); // { data, at }, in the order of apply(); at: null as long as unknown
  let waiting = []; // changes that wait for an answer
  let timer = null;
  let base = initial; // what the server has shown
  let shown = initial; // with the optimistic changes
  let status = { state: topic.state, stale: false, error: null };

  const tell = () => [...listeners].forEach((listener) => attempt(listener));
  const set = (change) => {
    const same = Object.keys(change).every((key) => status[key] === change[key]);
    if (!same) status = { ...status, ...change };
  };
  const show = () => {
    clearTimeout(timer);
    timer = null;
    for (const change of waiting.splice(0)) {
      attempt(() => (base = reduce(base, change)));
      if (change.type === "snapshot") set({ stale: change.at.stale });
    }
    shown = base;
    for (const mine of optimistic) {
      if (mine.at && topic.has(mine.at)) optimistic.delete(mine);
      else attempt(() => (shown = reduce(shown, { type: "event", data: mine.data })));
    }
    tell();
  };

  topic.attach({
    change(change) {
      waiting.push(change);
      const isAnswered = [...optimistic].every(({ at }) => at);
      if (isAnswered) show();
      else timer ??= setTimeout(show, ANSWER_MS);
    },
    state(state) {
      set(state === "live" ? { state, error: null } : { state });
      tell();
    },
    error(error) {
      set({ error });
      tell();
    },
    closed(error) {
      set({ error: error.code === "closed" ? null : error });
      show();
    },
  });

  return {
    topic,
    get: () => shown,
    status: () => status,
    subscribe(listener) {
      wantFunction(listener, "a listener");
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async apply(data, send) {
      wantFunction(send, "send");
      const mine = { data, at: null };
      optimistic.add(mine);
      show();
      try {
        const answer = await send();
        const at = answer?.at ?? [];
        topic.has(at); // throws if those are no positions
        mine.at = at;
        topic.reached(mine.at).then(show, show);
        return answer;
      } catch (error) {
        optimistic.delete(mine);
        throw error;
      } finally {
        show();
      }
    },
    close: () => topic.close(),
  };
}

// A mistake of the application's, in one change or listener, is reported and does not stop the others.
function attempt(action) {
  try {
    action();
  } catch (error) {
    report(error);
  }
}
