/* The application's scripts: what is loaded, since when, and what went wrong. */

import { act, poll } from "./api.js";
import { actionButton } from "./confirm.js";
import { choice, h, keyedTable, setText } from "./dom.js";
import { bytes, clock, duration, number } from "./format.js";

const EVERY_MS = 2000;
const ORDERS = { p99: "Slowest", time: "Most time", calls: "Most calls", errors: "Most errors" };

let order = "p99";

export function script(view) {
  const note = h("p", { class: "note" });
  const refused = h("div", { role: "status" });
  const workers = keyedTable({
    caption: "Scripts of each worker",
    key: (row) => row.worker,
    empty: "No worker answers.",
    columns: [
      { title: "Worker", text: (row) => String(row.worker) },
      { title: "Loaded", text: (row) => clock(row.loaded_at) },
      { title: "Version", text: (row) => `no. ${row.loads}` },
      { title: "Code", class: "data", minor: true, text: (row) => row.version },
      {
        title: "Old versions in use",
        number: true,
        minor: true,
        text: (row) => number(row.old_versions),
      },
      { title: "Memory", number: true, minor: true, text: (row) => bytes(row.memory_bytes) },
      { title: "Errors", number: true, text: (row) => number(row.errors) },
      { title: "Stopped, too long", number: true, text: (row) => number(row.budget_exceeded) },
    ],
  });
  const handlers = handlersTable();
  const errors = errorList();
  const fail = (refusal) => setText(note, refusal.message);
  const askedHandlers = poll(
    "handlers",
    () => ({ by: order, limit: 50 }),
    EVERY_MS,
    (answer) => handlers.set(answer.handlers),
    fail,
  );
  const asked = poll(
    "script",
    () => ({}),
    EVERY_MS,
    (answer) => {
      setText(note, answer.app);
      workers.set(answer.workers);
      showRefused(
        refused,
        answer.workers.find((worker) => worker.refused),
      );
      errors.set(newestErrors(answer.workers));
    },
    fail,
  );

  view.append(
    h(
      "div",
      { class: "head" },
      h("h1", { text: "Script" }),
      actionButton({
        label: "Reload",
        title: "Reload the scripts?",
        text: "Scripts, certificates and the configuration's live keys are read again. What is under way ends on the old scripts. If the new ones do not load, the old ones stay. The log names who did it.",
        yes: "Reload",
        done: "The server reloads.",
        run: () => act("reload").then(asked.now),
      }),
    ),
    note,
    refused,
    h("h2", { text: "Workers" }),
    h("div", { class: "card flush" }, workers.element),
    h(
      "div",
      { class: "head" },
      h("h2", { text: "Handlers, last minute" }),
      choice("Order", ORDERS, order, (chosen) => {
        order = chosen;
        askedHandlers.now();
      }),
    ),
    h("div", { class: "card flush" }, handlers.element),
    h("h2", { text: "Last errors" }),
    errors.element,
  );
  return () => {
    asked.stop();
    askedHandlers.stop();
  };
}

function handlersTable() {
  const time = (seconds) => (seconds === null ? "–" : duration(seconds * 1000));
  return keyedTable({
    caption: "Handlers, last minute",
    key: (row) => `${row.handler} ${row.name}`,
    empty: "The app has registered none.",
    columns: [
      { title: "Handler", text: (row) => `${row.handler} ${row.name}` },
      { title: "Calls", number: true, text: (row) => number(row.recent) },
      { title: "p50", number: true, minor: true, text: (row) => time(row.p50_s) },
      { title: "p99", number: true, text: (row) => time(row.p99_s) },
      { title: "Time in all", number: true, minor: true, text: (row) => time(row.recent_s) },
      { title: "Errors since the start", number: true, text: (row) => number(row.errors) },
    ],
  });
}

/* --- errors --- */

/* The same error of several workers counts as one. */
function newestErrors(workers) {
  const all = new Map();
  for (const error of workers.flatMap((worker) => worker.last_errors)) {
    const key = `${error.handler} ${error.error}`;
    const known = all.get(key);
    if (!known) all.set(key, { ...error, key });
    else
      Object.assign(known, {
        count: known.count + error.count,
        first_at: Math.min(known.first_at, error.first_at),
        last_at: Math.max(known.last_at, error.last_at),
      });
  }
  return [...all.values()].sort((a, b) => b.last_at - a.last_at);
}

/* Entries stay open while new ones come. */
function errorList() {
  const element = h("div");
  const none = h("p", { class: "card note", text: "No handler has failed." });
  let known = new Map();
  return {
    element,
    set(errors) {
      const fresh = new Map();
      for (const error of errors) {
        const entry = known.get(error.key) ?? newEntry(error);
        setText(
          entry.when,
          `${number(error.count)} ${error.count === 1 ? "time" : "times"}, last ${clock(error.last_at)}`,
        );
        fresh.set(error.key, entry);
      }
      known = fresh;
      const wanted = errors.length > 0 ? [...fresh.values()].map((entry) => entry.element) : [none];
      if (
        wanted.length !== element.children.length ||
        wanted.some((child, i) => child !== element.children[i])
      )
        element.replaceChildren(...wanted);
    },
  };
}

function newEntry(error) {
  const when = h("span", { class: "note" });
  const [first] = error.error.split("\n");
  return {
    when,
    element: h(
      "details",
      { class: "card error" },
      h(
        "summary",
        {},
        h("b", { text: `${error.handler} ${error.name}` }),
        ` ${error.code}${error.sqlstate ? ` (${error.sqlstate})` : ""}: ${first} `,
        when,
      ),
      h("pre", { tabindex: "0", text: error.error }),
    ),
  };
}

function showRefused(element, worker) {
  const text = worker ? `${worker.refused_at} ${worker.refused}` : "";
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(
    ...(worker
      ? [
          h("p", {
            class: "bad",
            text: `The last reload failed (${clock(worker.refused_at)}); the old scripts stay:`,
          }),
          h("pre", { tabindex: "0", text: worker.refused }),
        ]
      : []),
  );
}
