/* The clients: the first ones in some order; and one of them, with its subscriptions. */

import { act, poll } from "./api.js";
import { actionButton } from "./confirm.js";
import { choice, factList, h, keyedTable, setText } from "./dom.js";
import { bytes, duration, number } from "./format.js";
import { topicLink } from "./topics.js";

const EVERY_MS = 2000;
const SHOWN = 50;

const ORDERS = {
  queued: "Most bytes queued",
  subscriptions: "Most subscriptions",
  silent: "Silent longest",
};

let order = "queued";
let user = "";

export function clients(view) {
  const total = h("p", { class: "note" });
  const table = keyedTable({
    caption: "Clients",
    key: (row) => row.client,
    empty: "No client.",
    columns: [
      {
        title: "Client",
        make: (row) => h("a", { href: `#client/${row.client}`, text: row.client }),
      },
      { title: "User", text: (row) => row.user ?? "–" },
      { title: "Address", minor: true, text: (row) => row.remote },
      { title: "Protocol", minor: true, text: (row) => row.protocol },
      {
        title: "Subscriptions",
        number: true,
        minor: true,
        text: (row) => number(row.subscriptions),
      },
      { title: "Queued", number: true, text: (row) => bytes(row.queued_bytes) },
      { title: "Silent for", number: true, minor: true, text: (row) => duration(row.silent_ms) },
      { title: "State", text: (row) => (row.slow ? "slow" : row.status) },
    ],
  });
  const asked = poll(
    "clients",
    () => ({ by: order, limit: SHOWN, user }),
    EVERY_MS,
    (answer) => {
      table.set(answer.clients);
      setText(
        total,
        `${number(answer.clients.length)} of ${number(answer.total)} clients${user ? ` that were looked at, of user ${user}` : ""}.`,
      );
    },
    (refusal) => setText(total, refusal.message),
  );

  view.append(
    h("h1", { text: "Clients" }),
    h(
      "div",
      { class: "head" },
      choice("Order", ORDERS, order, (chosen) => {
        order = chosen;
        asked.now();
      }),
      h(
        "div",
        { class: "field" },
        h("label", { for: "user", text: "Only of user" }),
        h("input", {
          id: "user",
          type: "search",
          value: user,
          autocomplete: "off",
          placeholder: "user.id",
          on: {
            change: (event) => {
              user = event.target.value;
              asked.now();
            },
          },
        }),
      ),
    ),
    total,
    h("div", { class: "card flush" }, table.element),
  );
  return asked.stop;
}

/* --- one client --- */

export function client(view, { argument: id }) {
  const facts = factList();
  const note = h("p", { class: "note", role: "status" });
  const table = keyedTable({
    caption: "Subscriptions",
    key: (row) => row.topic,
    empty: "No subscription.",
    columns: [
      { title: "Topic", make: (row) => topicLink(row.topic) },
      { title: "State", text: (row) => (row.stale ? `${row.state}, stale` : row.state) },
      {
        title: "Position",
        number: true,
        text: (row) => (row.seq === undefined ? "–" : String(row.seq)),
      },
      {
        title: "Behind by",
        number: true,
        text: (row) => (row.lag === undefined ? "–" : number(row.lag)),
      },
    ],
  });
  const asked = poll(
    "client",
    () => ({ client: id }),
    EVERY_MS,
    (answer) => {
      setText(note, "");
      facts.set([
        ["User", answer.user ?? "–"],
        ["Address", answer.remote],
        ["Protocol", answer.protocol],
        ["State", answer.slow ? `${answer.status}, slow` : answer.status],
        ["Subscriptions", number(answer.subscriptions)],
        ["Requests under way", number(answer.inflight)],
        ["Queued for it", bytes(answer.queued_bytes)],
        ["Received from it, held", bytes(answer.held_bytes)],
        ["Silent for", duration(answer.silent_ms)],
      ]);
      table.set(answer.topics);
    },
    (refusal) => setText(note, refusal.status === 404 ? "This client is gone." : refusal.message),
  );

  view.append(
    h("p", { class: "back" }, h("a", { href: "#clients", text: "All clients" })),
    h(
      "div",
      { class: "head" },
      h("h1", { class: "name", text: `Client ${id}` }),
      actionButton({
        label: "Disconnect",
        title: "Disconnect this client?",
        text: `The connection of client ${id} is closed (code 1001). Its program may connect again. The log names who did it.`,
        yes: "Disconnect",
        done: `Client ${id} was disconnected.`,
        run: () => act("disconnect", { client: id }),
      }),
    ),
    note,
    h("div", { class: "card" }, facts.element),
    h("h2", { text: "Subscriptions" }),
    h("div", { class: "card flush" }, table.element),
  );
  return asked.stop;
}
