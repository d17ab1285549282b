/* Frames of all sizes, in pieces of all sizes: each message comes once, whole and in order. And servers that mean no
 * good: what they send is bounded, and leaves nothing behind. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { it } from "node:test";
import { NodeSocket } from "../src/node_socket.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const SIZES = [0, 1, 123, 124, 125, 126, 65_533, 65_534, 65_535, 300_000];
const PIECES = [1, 1, 2, 7, 1, 60_000, 3, 100_000];

function frame(opcode, isFinal, payload) {
  const head = Buffer.alloc(10);
  head[0] = opcode | (isFinal ? 0x80 : 0);
  head[1] = payload.length < 126 ? payload.length : payload.length < 65_536 ? 126 : 127;
  if (head[1] === 126) head.writeUInt16BE(payload.length, 2);
  if (head[1] === 127) head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head.subarray(0, { 126: 4, 127: 10 }[head[1]] ?? 2), payload]);
}

/** A server that says yes to each upgrade, and then does as it is told. Returns its URL. */
async function listen(t, upgraded, requested) {
  const server = createServer(requested).on("upgrade", ({ headers }, socket) => {
    const accept = createHash("sha1").update(headers["sec-websocket-key"] + GUID).digest("base64");
    socket.on("error", () => {});
    socket.write(`HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    upgraded(socket);
  });
  if (!upgraded) server.removeAllListeners("upgrade");
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => (server.closeAllConnections(), server.close()));
  return `ws://127.0.0.1:${server.address().port}/`;
}

const closed = (socket) => new Promise((resolve) => (socket.onclose = resolve));

it("a socket puts messages together", { timeout: 60_000 }, async (t) => {
  const texts = [...SIZES, ...SIZES].map((size, i) => "x".repeat(size) + "ä" + i);
  const frames = texts.flatMap((text, i) => {
    const bytes = Buffer.from(text);
    if (i < SIZES.length) return [frame(1, true, bytes)];
    return [frame(1, false, bytes.subarray(0, 2)), frame(9, true, Buffer.from("ping")), frame(0, true, bytes.subarray(2))];
  });
  const all = Buffer.concat(frames);

  const url = await listen(t, async (socket) => {
    socket.setNoDelay(true);
    for (let at = 0, i = 0; at < all.length; i++) {
      const end = at + PIECES[i % PIECES.length];
      await new Promise((resolve) => socket.write(all.subarray(at, end), resolve));
      at = end;
    }
    socket.end(frame(8, true, Buffer.from([3, 232])));
  });

  const got = [];
  const socket = new NodeSocket(url, "leat.v1");
  socket.onmessage = ({ data }) => got.push(data);
  const { code } = await new Promise((resolve) => (socket.onclose = resolve));
  assert.equal(code, 1000);
  assert.deepEqual(got, texts);
});

it("a socket does not wait for the end of a refusal", { timeout: 60_000 }, async (t) => {
  let hungUp;
  const hangsUp = new Promise((resolve) => (hungUp = resolve));
  const url = await listen(t, null, (request, response) => {
    request.socket.on("close", hungUp);
    response.writeHead(401).write("there is more"); // and it never comes
  });
  const { code } = await closed(new NodeSocket(url, "leat.v1"));
  assert.equal(code, 4401);
  await hangsUp;
});

it("a message of endlessly many pieces ends the socket", { timeout: 60_000 }, async (t) => {
  const url = await listen(t, (socket) => {
    socket.write(frame(1, false, Buffer.from("{")));
    const pieces = Buffer.alloc(65_536); // each of no bytes
    const more = (error) => error || socket.write(pieces, more);
    more();
  });
  const { code } = await closed(new NodeSocket(url, "leat.v1"));
  assert.equal(code, 1009);
});

it("of the pings of a server that takes nothing, the newest one is answered", { timeout: 60_000 }, async (t) => {
  const PINGS = 20_000; // their answers do not fit into the network's buffers
  const number = (i) => Buffer.from(String(i).padStart(125, "0"));
  let server;
  const url = await listen(t, (socket) => {
    server = socket.pause();
    for (let i = 0; i < PINGS; i++) socket.write(frame(9, true, number(i)));
    socket.write(frame(1, true, Buffer.from("all of them")));
  });
  const socket = new NodeSocket(url, "leat.v1");
  await new Promise((resolve) => (socket.onmessage = resolve));

  let bytes = Buffer.alloc(0);
  const last = await new Promise((resolve) => {
    server.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length % 131 === 0 && payload(bytes.subarray(-131)).equals(number(PINGS - 1))) resolve(bytes.length / 131);
    });
    server.resume();
  });
  assert.ok(last < PINGS, `${last} answers`);
  socket.close();
});

// Of a client's frame of 125 bytes.
function payload(bytes) {
  const [mask, masked] = [bytes.subarray(2, 6), Buffer.from(bytes.subarray(6))];
  return masked.map((byte, i) => byte ^ mask[i & 3]);
}
