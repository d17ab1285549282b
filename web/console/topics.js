/* The topics: the first ones in some order; and one of them, with what happens on it. */

import { act, poll, stream } from "./api.js";
import { actionButton } from "./confirm.js";
import { choice, factList, h, keyedTable, setText } from "./dom.js";
import { bytes, number, rate, short } from "./format.js";

const EVERY_MS = 2000;
const SHOWN = 50;
const FOLLOWED = 50;

const ORDERS = { busiest: "Busiest", largest: "Largest rings", subscribers: "Most subscribers" };

let order = "busiest";

export function topicLink(name) {
  return h("a", { href: `#topic/${encodeURIComponent(name)}`, text: name });
}

export function topics(view) {
  const total = h("p", { class: "note" });
  const table = keyedTable({
    caption: "Topics",
    key: (row) => row.topic,
    empty: "Nobody has subscribed to anything.",
    columns: [
      { title: "Topic", make: (row) => topicLink(row.topic) },
      { title: "Subscribers", number: true, text: (row) => number(row.subscribers) },
      { title: "Events", number: true, text: (row) => rate(row.events_per_s) },
      { title: "In the ring", number: true, minor: true, text: (row) => number(row.ring_events) },
      { title: "Ring", number: true, minor: true, text: (row) => bytes(row.ring_bytes) },
      {
        title: "Head",
        number: true,
        minor: true,
        text: (row) => (row.head === undefined ? "–" : String(row.head)),
      },
    ],
  });
  const patterns = patternsTable();
  const askedPatterns = poll(
    "patterns",
    () => ({ limit: 50 }),
    EVERY_MS,
    (answer) => patterns.set(answer.patterns),
    () => {},
  );
  const name = h("input", {
    type: "search",
    id: "topic-name",
    placeholder: "chat:42",
    autocomplete: "off",
  });
  const asked = poll(
    "topics",
    () => ({ by: order, limit: SHOWN }),
    EVERY_MS,
    (answer) => {
      table.set(answer.topics);
      setText(
        total,
        `${number(answer.topics.length)} of at least ${number(answer.at_least)} topics in memory.`,
      );
    },
    (refusal) => setText(total, refusal.message),
  );

  view.append(
    h("h1", { text: "Topics" }),
    h(
      "div",
      { class: "head" },
      choice("Order", ORDERS, order, (chosen) => {
        order = chosen;
        asked.now();
      }),
      h(
        "form",
        {
          class: "field",
          on: {
            submit: (event) => {
              event.preventDefault();
              if (name.value) location.hash = `#topic/${encodeURIComponent(name.value)}`;
            },
          },
        },
        h("label", { for: "topic-name", text: "Open by its name" }),
        h("span", { class: "joined" }, name, h("button", { text: "Open" })),
      ),
    ),
    total,
    h("div", { class: "card flush" }, table.element),
    h("h2", { text: "By pattern, since the start" }),
    h("div", { class: "card flush" }, patterns.element),
  );
  return () => {
    asked.stop();
    askedPatterns.stop();
  };
}

function patternsTable() {
  return keyedTable({
    caption: "By pattern, since the start",
    key: (row) => row.pattern,
    empty: "The app has registered no topic.",
    columns: [
      { title: "Pattern", text: (row) => row.pattern },
      { title: "Topics", number: true, minor: true, text: (row) => number(row.topics) },
      { title: "Subscriptions", number: true, text: (row) => number(row.subscriptions) },
      { title: "Events", number: true, text: (row) => short(row.events_total) },
      { title: "Deliveries", number: true, text: (row) => short(row.deliveries_total) },
      {
        title: "Refused",
        number: true,
        minor: true,
        text: (row) => number(row.handshakes_refused_total),
      },
    ],
  });
}

/* --- one topic --- */

export function topic(view, { argument: name }) {
  const facts = factList();
  const note = h("p", { class: "note", role: "status" });
  const states = keyedTable({
    caption: "Subscribers by state",
    key: (row) => row.state,
    empty: "No subscriber.",
    columns: [
      { title: "State", text: (row) => row.state },
      { title: "Subscribers", number: true, text: (row) => number(row.count) },
    ],
  });
  const events = keyedTable({
    caption: "Last events",
    key: (row) => row.seq,
    empty: "No event is in memory.",
    columns: [
      { title: "Position", number: true, text: (row) => String(row.seq) },
      { title: "Kind", text: (row) => row.kind },
      { title: "Size", number: true, text: (row) => bytes(row.bytes) },
      {
        title: "Data",
        class: "data",
        text: (row) => (row.data === undefined ? "–" : JSON.stringify(row.data)),
      },
    ],
  });
  const follow = follower(name);
  const asked = poll(
    "topic",
    () => ({ name }),
    EVERY_MS,
    (answer) => {
      setText(note, "");
      const all = merge(answer.workers);
      facts.set(all.facts);
      states.set(all.states);
      events.set(all.events);
    },
    (refusal) =>
      setText(
        note,
        refusal.status === 404 ? "Nobody has subscribed to this topic." : refusal.message,
      ),
  );

  view.append(
    h("p", { class: "back" }, h("a", { href: "#topics", text: "All topics" })),
    h(
      "div",
      { class: "head" },
      h("h1", { class: "name", text: name }),
      actionButton({
        label: "Resync",
        title: "Resync this topic?",
        text: `Every subscriber of ${name} gets a fresh snapshot, which is read from the database. The log names who did it.`,
        yes: "Resync",
        done: `The subscribers of ${name} get a fresh snapshot.`,
        run: () => act("resync", { name }),
      }),
    ),
    note,
    h("div", { class: "card" }, facts.element),
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        {},
        h("h2", { text: "Subscribers by state" }),
        h("div", { class: "card flush" }, states.element),
      ),
      h(
        "div",
        {},
        h("h2", { text: "Last events" }),
        h("div", { class: "card flush" }, events.element),
      ),
    ),
    follow.element,
  );
  return () => {
    asked.stop();
    follow.stop();
  };
}

/* Every worker has a ring of its own. Head and events are those of the ring that is furthest ahead. */
function merge(workers) {
  const sum = (field) => workers.reduce((all, worker) => all + worker[field], 0);
  const first = workers.reduce(
    (best, worker) => ((worker.head ?? -1) > (best.head ?? -1) ? worker : best),
    workers[0],
  );
  const counts = new Map();
  for (const worker of workers)
    for (const [state, count] of Object.entries(worker.states))
      counts.set(state, (counts.get(state) ?? 0) + count);
  return {
    facts: [
      ["Head", first.head === undefined ? "not read yet" : String(first.head)],
      ["Epoch", first.epoch || "–"],
      ["Last revocation", first.revoked > 0 ? String(first.revoked) : "none"],
      ["Subscribers", number(sum("subscribers"))],
      ["Events", rate(Math.max(...workers.map((worker) => worker.events_per_s)))],
      ["Rings", `${number(first.ring_events)} events, ${bytes(sum("ring_bytes"))}`],
      ["Furthest behind", `${number(Math.max(...workers.map((worker) => worker.lag)))} events`],
      ["With a stale snapshot", number(sum("stale"))],
    ],
    states: [...counts].map(([state, count]) => ({ state, count })),
    events: first.events,
  };
}

/* A subscription through Leat itself, from now on, as `leat tail` has one. */
function follower(name) {
  const list = h("ol", {
    class: "tail",
    tabindex: "0",
    "aria-label": `Events of ${name} as they come`,
  });
  const note = h("p", { class: "note", role: "status" });
  let source = null;
  const add = (event) => {
    const { op, seq, data } = JSON.parse(event.data);
    list.prepend(
      h(
        "li",
        {},
        h("span", { class: "number", text: seq === undefined ? op : `${seq}` }),
        h("code", { text: data === undefined ? op : JSON.stringify(data) }),
      ),
    );
    while (list.children.length > FOLLOWED) list.lastElementChild.remove();
  };
  const stop = () => {
    source?.close();
    source = null;
    setText(button, "Follow");
  };
  const start = () => {
    setText(button, "Stop");
    setText(note, "Connecting …");
    source = stream(
      "tail",
      { name },
      {
        snapshot: (event) =>
          setText(note, `Following from position ${JSON.parse(event.data).seq}.`),
        resumed: () => setText(note, "Following again, and nothing was missed."),
        event: add,
        skip: add,
        signal: add,
        error: () =>
          setText(
            note,
            source?.readyState === EventSource.CLOSED
              ? "The server has ended it."
              : "No connection; it is tried again.",
          ),
      },
    );
  };
  const button = h("button", {
    type: "button",
    text: "Follow",
    on: { click: () => (source ? stop() : start()) },
  });
  return {
    element: h(
      "div",
      {},
      h("div", { class: "head" }, h("h2", { text: "Live" }), button),
      note,
      list,
    ),
    stop,
  };
}
