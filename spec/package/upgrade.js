/*
 * Clients that follow a topic of the example while the server is replaced.
 *   node upgrade.js WEBSOCKET-URL DATABASE-URL FILE
 * FILE.live appears when all clients are live. When FILE appears, the last event is published; each client must have all.
 */

import { execFile } from "node:child_process";
import { access, rm, writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { connect } from "../../clients/js/src/node.js";

const [url, database, file] = process.argv.slice(2);
const CLIENTS = 50;
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
const wrong = clients.filter((client) => client.last !== n || client.faults.length || client.snapshots !== 1);
for (const { leat } of clients) leat.close();
const returned = clients.filter(({ attempts }) => attempts > 1).length;
console.log(`# ${n} events, ${returned} of ${CLIENTS} clients came back, ${wrong.length} went wrong`);
for (const { last, faults, snapshots } of wrong.slice(0, 5)) console.log(`# last ${last} snapshots ${snapshots}`, faults);
process.exit(wrong.length === 0 && returned === CLIENTS ? 0 : 1);
