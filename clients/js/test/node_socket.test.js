/* Frames of all sizes, in pieces of all sizes: each message comes once, whole and in order. */

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

it("a socket puts messages together", { timeout: 60_000 }, async (t) => {
  const texts = [...SIZES, ...SIZES].map((size, i) => "x".repeat(size) + "ä" + i);
  const frames = texts.flatMap((text, i) => {
    const bytes = Buffer.from(text);
    if (i < SIZES.length) return [frame(1, true, bytes)];
    return [frame(1, false, bytes.subarray(0, 2)), frame(9, true, Buffer.from("ping")), frame(0, true, bytes.subarray(2))];
  });
  const all = Buffer.concat(frames);

  const server = createServer().on("upgrade", async ({ headers }, socket) => {
    const accept = createHash("sha1").update(headers["sec-websocket-key"] + GUID).digest("base64");
    socket.setNoDelay(true);
    socket.write(`HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    for (let at = 0, i = 0; at < all.length; i++) {
      const end = at + PIECES[i % PIECES.length];
      await new Promise((resolve) => socket.write(all.subarray(at, end), resolve));
      at = end;
    }
    socket.end(frame(8, true, Buffer.from([3, 232])));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());

  const got = [];
  const socket = new NodeSocket(`ws://127.0.0.1:${server.address().port}/`, "leat.v1");
  socket.onmessage = ({ data }) => got.push(data);
  const { code } = await new Promise((resolve) => (socket.onclose = resolve));
  assert.equal(code, 1000);
  assert.deepEqual(got, texts);
});
