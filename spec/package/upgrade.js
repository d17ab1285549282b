/*
 * Clients that follow a topic of the example while the server is replaced, and others that connect again and again.
 *   node upgrade.js WEBSOCKET-URL DATABASE-URL FILE port|sockets
 * FILE.live appears when all clients are live. When FILE appears, the last event is published; each client must have all.
 * With `sockets`, systemd holds the server's socket: every connection must be answered.
 */

import { execFile } from "node:child_process";
import { access, rm, writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { get } from "node:http";
import { promisify } from "node:util";
import { connect } from "../../clients/js/src/node.js";

const [url, database, file, held] = process.argv.slice(2);
const CLIENTS = 50;
const CALLERS = 4;
const run = promisify(execFile);
await rm(file, { force: true });
await rm(`${file}.live`, { force: true });

function publish(n) {
  const sql = `select leat.publish('chat:42', '{"type":"load","n":${n}}')`;
  return run("psql", ["-qX", "-v", "ON_ERROR_STOP=1", "-c", sql, database]);
}

const clients = Array.from({ length: CLIENTS }, () => {
  const leat = connect(url, { token: "alice-token" });
  const client = { leat, last: 0, faults: [], attempts: 0 };
  leat.addEventListener("state", ({ detail }) => (client.attempts += detail.state === "connecting"));
  client.topic = leat.subscribe("chat:42", {
    event({ n }) {
      if (n === undefined) return;
      if (client.last !== 0 && n !== client.last + 1) client.faults.push(`${n} after ${client.last}`);
      client.last = n;
    },
    snapshot: () => (client.snapshots = (client.snapshots ?? 0) + 1),
    closed: (error) => client.faults.push(error.code),
  });
  return client;
});

// Every answer or failure of a connection of its own, by what it was.
const answers = {};
let calling = true;
function call() {
  return new Promise((done) => {
    const request = get(url.replace(/^ws(.*)\/ws$/, "http$1/healthz"), { agent: false }, (answer) => {
      answer.resume().on("close", () => done(answer.statusCode));
    });
    request.on("error", ({ code }) => done(code));
  });
}
const callers = Array.from({ length: CALLERS }, async () => {
  while (calling) {
    const outcome = await call();
    answers[outcome] = (answers[outcome] ?? 0) + 1;
    await pause(outcome === 200 ? 1 : 20);
  }
});

while (!clients.every(({ topic }) => topic.state === "live")) await pause(20);
let n = 1;
await publish(n);
await writeFile(`${file}.live`, "");
while (!(await access(file).then(() => true, () => false))) {
  await publish(++n);
  await pause(20);
}
await publish(++n);

const end = Date.now() + 60_000;
while (Date.now() < end && !clients.every(({ last }) => last === n)) await pause(50);
calling = false;
await Promise.all(callers);
const refused = Object.keys(answers).some((outcome) => outcome !== "200");
const wrong = clients.filter((client) => client.last !== n || client.faults.length || client.snapshots !== 1);
for (const { leat } of clients) leat.close();
const returned = clients.filter(({ attempts }) => attempts > 1).length;
console.log(`# ${n} events, ${returned} of ${CLIENTS} clients came back, ${wrong.length} went wrong`);
for (const { last, faults, snapshots } of wrong.slice(0, 5)) console.log(`# last ${last} snapshots ${snapshots}`, faults);
console.log("# connections by their answer:", answers);
process.exit(wrong.length === 0 && returned === CLIENTS && !(held === "sockets" && refused) ? 0 : 1);
