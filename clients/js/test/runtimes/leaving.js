/* What the tests of runtimes.test.js run against a server that opens a WebSocket and then swallows all that comes: it ends
 * by itself once it has closed its connection. */

import process from "node:process";
import { connect } from "@leat/client";

const leat = connect(process.argv[2], { token: "alice" });
leat.subscribe("list:any", {});
const opened = new Promise((resolve) => leat.addEventListener("message", resolve, { once: true }));
await opened;
leat.close();
console.log(leat.state);
