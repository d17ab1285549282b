/* The database as the server sees it: connections, the pool, the outbox, watches. */

import { poll } from "./api.js";
import { factList, h, keyedTable, setText } from "./dom.js";
import { bytes, duration, number } from "./format.js";

const EVERY_MS = 3000;
const RARELY_MS = 10_000;
const STATEMENTS = 20;

export function postgres(view, { samples }) {
  const note = h("p", { class: "note", role: "status" });
  const facts = factList();
  const connections = connectionsTable();
  const pool = poolTable();
  const watches = watchesTable();
  const problems = problemsTable();
  const statements = statementsTable();
  const fail = (refusal) => setText(note, refusal.message);
  const asked = [
    poll(
      "postgres",
      () => ({}),
      EVERY_MS,
      (answer) => {
        setText(note, "");
        facts.set(factsOf(answer, samples));
        connections.set(answer.connections);
      },
      fail,
    ),
    poll(
      "pool",
      () => ({}),
      EVERY_MS,
      (answer) => pool.set(answer.workers),
      fail,
    ),
    poll(
      "statements",
      () => ({ limit: 100 }),
      EVERY_MS,
      (answer) => statements.set(merge(answer.workers)),
      fail,
    ),
    poll(
      "watches",
      () => ({}),
      RARELY_MS,
      (answer) => {
        watches.set(answer.watches);
        problems.set(answer.problems);
      },
      fail,
    ),
  ];

  view.append(
    h("h1", { text: "Postgres" }),
    note,
    h("div", { class: "card" }, facts.element),
    ...part("Connections of the server", connections),
    ...part("Pool of each worker", pool),
    ...part("Statements that took most of the time", statements),
    ...part("Watches", watches),
    ...part("What is wrong with the schema", problems),
  );
  return () => asked.forEach((one) => one.stop());
}

function part(title, table) {
  return [h("h2", { text: title }), h("div", { class: "card flush" }, table.element)];
}

function factsOf(answer, samples) {
  return [
    ["Version", answer.version],
    ["Database", answer.database],
    ["Role", answer.role],
    ["Standby", answer.standby ? "yes" : "no"],
    [
      "Connections in use",
      `${number(answer.connections_in_use)} of ${number(answer.max_connections)}`,
    ],
    ["Outbox", `${bytes(answer.outbox_bytes)}, about ${number(answer.outbox_events_about)} events`],
    ["Topics", `about ${number(answer.topics_about)}`],
    ["Trimming is behind by", duration(samples.last("trim_backlog_seconds") * 1000)],
    ["Listener is behind by at most", duration(samples.last("listener_behind_seconds") * 1000)],
    ["Listener reconnects", number(samples.last("listener_reconnects_total"))],
  ];
}

function connectionsTable() {
  return keyedTable({
    caption: "Connections of the server",
    key: (row) => row.pid,
    empty: "None is visible.",
    columns: [
      { title: "Backend", text: (row) => String(row.pid) },
      { title: "Name", text: (row) => row.name },
      { title: "State", text: (row) => row.state ?? "–" },
      { title: "For", number: true, text: (row) => duration(row.for_s * 1000) },
      { title: "Waits for", minor: true, text: (row) => row.waits_for ?? "–" },
      { title: "Blocked by", class: "data", text: (row) => row.blocked_by ?? "–" },
      { title: "Statement", class: "data", text: (row) => row.query ?? "–" },
    ],
  });
}

function poolTable() {
  return keyedTable({
    caption: "Pool of each worker",
    key: (row) => row.worker,
    empty: "No worker answers.",
    columns: [
      { title: "Worker", text: (row) => String(row.worker) },
      { title: "Reaches the server", text: (row) => (row.healthy ? "yes" : "no") },
      { title: "Size", number: true, minor: true, text: (row) => number(row.size) },
      { title: "Busy", number: true, text: (row) => number(row.busy) },
      { title: "Idle", number: true, text: (row) => number(row.idle) },
      { title: "Connecting", number: true, minor: true, text: (row) => number(row.connecting) },
      { title: "Waiting", number: true, text: (row) => number(row.waiters) },
      { title: "Wait", number: true, minor: true, text: (row) => duration(row.wait_ms) },
    ],
  });
}

/* Each worker counts its own statements. */
function merge(workers) {
  const all = new Map();
  for (const row of workers.flatMap((worker) => worker.statements)) {
    const known = all.get(row.statement);
    if (!known) all.set(row.statement, { ...row });
    else
      Object.assign(known, {
        count: known.count + row.count,
        errors: known.errors + row.errors,
        total_ms: known.total_ms + row.total_ms,
        longest_ms: Math.max(known.longest_ms, row.longest_ms),
      });
  }
  return [...all.values()].sort((a, b) => b.total_ms - a.total_ms).slice(0, STATEMENTS);
}

function statementsTable() {
  return keyedTable({
    caption: "Statements that took most of the time",
    key: (row) => row.statement,
    empty: "None was sent yet.",
    columns: [
      {
        title: "Statement",
        class: "data",
        text: (row) => row.statement.replace(/\s+/g, " ").slice(0, 300),
      },
      { title: "Times", number: true, text: (row) => number(row.count) },
      { title: "Time in all", number: true, text: (row) => duration(row.total_ms) },
      { title: "Average", number: true, text: (row) => duration(row.total_ms / row.count) },
      { title: "Longest", number: true, minor: true, text: (row) => duration(row.longest_ms) },
      { title: "Errors", number: true, text: (row) => number(row.errors) },
    ],
  });
}

function watchesTable() {
  return keyedTable({
    caption: "Watches",
    key: (row) => `${row.table} ${row.topics}`,
    empty: "No table is watched.",
    columns: [
      { title: "Table", class: "data", text: (row) => row.table },
      { title: "Topics", class: "data", text: (row) => row.topics },
      { title: "Fires", text: (row) => (row.fires ? "yes" : "no") },
      { title: "Complete", text: (row) => (row.complete ? "yes" : "no") },
    ],
  });
}

function problemsTable() {
  return keyedTable({
    caption: "What is wrong with the schema",
    key: (row) => row.problem,
    empty: "Nothing is known.",
    columns: [
      { title: "Problem", class: "data", text: (row) => row.problem },
      { title: "Severity", text: (row) => row.severity },
      { title: "Remedy", class: "data", text: (row) => row.remedy },
    ],
  });
}
