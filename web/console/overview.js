/* How the server fares as a whole: what is wrong, figures of now, and charts of a minute or an hour. */

import { poll } from "./api.js";
import { Chart, binaryTop, timeTop } from "./chart.js";
import { factList, h, keyedTable, setText } from "./dom.js";
import { bytes, duration, number, rate, short } from "./format.js";

const SPANS = { minute: "Last minute", hour: "Last hour" };
const PROBLEMS_MS = 3000;

let span = "minute"; // stays when the view is left

export function overview(view, { samples }) {
  const problems = h("div", { role: "status" });
  const about = factList();
  const errors = errorsTable();
  const tiles = makeTiles(samples);
  const charts = makeCharts(samples).map(
    (options) =>
      new Chart({
        ...options,
        span: () => ({
          end_ms: samples.of("minute").at(-1)?.[0] ?? Date.now(),
          length_ms: samples.length_ms(span),
          step_ms: samples.step(span),
        }),
      }),
  );
  const draw = () => {
    tiles.draw();
    for (const chart of charts) chart.draw();
  };

  view.append(
    h("h1", { text: "Overview" }),
    problems,
    tiles.element,
    h("div", { class: "head" }, h("h2", { text: "History" }), spanChoice(draw)),
    h(
      "div",
      { class: "charts" },
      charts.map((chart) => chart.element),
    ),
    h("h2", { text: "Errors since the start, by code" }),
    h("div", { class: "card flush" }, errors.element),
    h("h2", { text: "Server" }),
    h("div", { class: "card" }, about.element),
  );

  samples.addEventListener("sample", draw);
  const asked = poll(
    "summary",
    () => ({}),
    PROBLEMS_MS,
    (answer) => {
      showProblems(problems, problemsOf(answer));
      about.set(factsOf(answer));
      errors.set(
        Object.entries(answer.errors)
          .filter(([, count]) => count > 0)
          .sort((a, b) => b[1] - a[1]),
      );
    },
    (refusal) => showProblems(problems, [refusal.message]),
  );
  draw();
  return () => {
    samples.removeEventListener("sample", draw);
    asked.stop();
  };
}

/* --- what is wrong --- */

function problemsOf(answer) {
  const list = [...answer.problems];
  for (const worker of answer.silent) list.push(`Worker ${worker} does not answer.`);
  if (answer.state !== "serving") list.push(`The server is ${answer.state}.`);
  if (answer.pool_waiters > 0 && answer.pool_idle === 0)
    list.push(`Requests that wait for a database connection: ${number(answer.pool_waiters)}.`);
  if (answer.topics_unreadable > 0)
    list.push(`Topics that cannot be read from the outbox: ${number(answer.topics_unreadable)}.`);
  return list;
}

function showProblems(element, list) {
  const text = list.join("\n");
  if (element.dataset.text === text) return; // said once
  element.dataset.text = text;
  element.replaceChildren(
    list.length === 0
      ? h("p", { class: "good", text: "No problem is known." })
      : h(
          "ul",
          { class: "problems" },
          list.map((problem) => h("li", { text: problem })),
        ),
  );
}

function errorsTable() {
  return keyedTable({
    caption: "Errors since the start, by code",
    key: ([code]) => code,
    empty: "No client was told an error.",
    columns: [
      { title: "Code", text: ([code]) => code },
      { title: "Times", number: true, text: ([, count]) => number(count) },
    ],
  });
}

function factsOf(answer) {
  return [
    ["Version", answer.version],
    ["State", answer.state],
    ["Up for", duration(answer.uptime_s * 1000)],
    ["Listens on", answer.address || "–"],
    ["Process", String(answer.pid)],
    ["Resident memory", bytes(answer.resident_bytes)],
    ["Workers", String(answer.workers.length)],
    ["Topics, of all workers", number(answer.topics)],
    ["Trimming is behind by", duration(answer.trim_backlog_seconds * 1000)],
    ["Listener reconnects", number(answer.listener_reconnects_total)],
  ];
}

/* --- figures of now --- */

function makeTiles(samples) {
  const figures = [
    ["Connections", () => short(samples.last("connections"))],
    ["Live subscriptions", () => short(samples.last("subscriptions_live"))],
    ["Commit to client, p99", () => duration(samples.latest("commit_to_client_p99_us", 0.001))],
    ["Events in", () => rate(samples.rate("events_total"))],
    ["Deliveries out", () => rate(samples.rate("deliveries_total"))],
    ["Waiting for the pool", () => short(samples.last("pool_waiters"))],
  ];
  const values = figures.map(() => h("b", { text: "–" }));
  return {
    element: h(
      "ul",
      { class: "tiles" },
      figures.map(([name], i) => h("li", {}, h("span", { text: name }), values[i])),
    ),
    draw: () => figures.forEach(([, value], i) => setText(values[i], value())),
  };
}

/* --- charts --- */

function spanChoice(draw) {
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", { class: "hidden", text: "Time shown" }),
    Object.entries(SPANS).map(([name, title]) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name: "span",
          value: name,
          checked: name === span,
          on: {
            change: () => {
              span = name;
              draw();
            },
          },
        }),
        h("span", { text: title }),
      ),
    ),
  );
}

function addSeries(a, b) {
  return a.map(([at, value], i) => [
    at,
    value === null || b[i][1] === null ? null : value + b[i][1],
  ]);
}

function makeCharts(samples) {
  const level = (name, field, scale) => ({ name, data: () => samples.series(span, field, scale) });
  const perSecond = (name, field) => ({ name, data: () => samples.growth(span, field) });
  const codes = (names) => ({
    name: names,
    data: () =>
      names
        .split(", ")
        .map((code) => samples.growth(span, `errors_${code}_total`))
        .reduce(addSeries),
  });
  return [
    {
      title: "Connections and subscriptions",
      kind: "lines",
      format: short,
      series: [
        level("connections", "connections"),
        level("live subscriptions", "subscriptions_live"),
      ],
    },
    {
      title: "From commit to client",
      kind: "lines",
      format: duration,
      top: timeTop,
      least: 0.1,
      note: "How long events took: half of them at most p50, 99 of 100 at most p99.",
      series: [
        level("p50", "commit_to_client_p50_us", 0.001),
        level("p99", "commit_to_client_p99_us", 0.001),
      ],
    },
    {
      title: "A handshake's time, by stage",
      kind: "bars",
      format: duration,
      top: timeTop,
      least: 0.1,
      note: "The average of those that ended.",
      series: ["queue", "authorise", "arm", "read", "replay"].map((stage) => ({
        name: stage,
        data: () => samples.average(span, `handshake_${stage}_us_total`, "handshakes_total", 0.001),
      })),
    },
    {
      title: "Events in",
      kind: "lines",
      format: rate,
      series: [perSecond("events", "events_total")],
    },
    {
      title: "Deliveries out",
      kind: "lines",
      format: rate,
      series: [perSecond("deliveries", "deliveries_total")],
    },
    {
      title: "Database pool",
      kind: "areas",
      format: short,
      note: "Connections by what they do, and who waits for one.",
      series: [
        level("busy", "pool_busy"),
        level("idle", "pool_idle"),
        level("connecting", "pool_connecting"),
        level("waiting requests", "pool_waiters"),
      ],
    },
    {
      title: "Memory by kind",
      kind: "areas",
      format: bytes,
      top: binaryTop,
      least: 1024,
      series: [
        level("rings", "ring_bytes"),
        level("send buffers", "send_buffer_bytes"),
        level("Lua", "script_bytes"),
        level("mail to workers", "mail_bytes"),
        level("received", "received_bytes"),
        level("requests", "request_bytes"),
      ],
    },
    {
      title: "Errors that clients were told",
      kind: "bars",
      format: rate,
      note: "By their codes, a second.",
      series: [
        codes("forbidden, not_found, unauthenticated, revoked"),
        codes("bad_request, too_large"),
        codes("limit, rate_limited"),
        codes("deadline_exceeded"),
        codes("unavailable"),
        codes("internal"),
      ],
    },
    {
      title: "Clients in trouble",
      kind: "bars",
      format: rate,
      note: "Slow ones that were closed, and connections beyond the limit.",
      series: [
        perSecond("slow, closed", "slow_clients_closed_total"),
        perSecond("connections refused", "connections_refused_total"),
      ],
    },
  ];
}
