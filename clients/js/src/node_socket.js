/*
 * A WebSocket for Node, Deno and Bun: RFC 6455's client side, as much of it as Leat's messages need (text, no
 * extensions), with the members that connection.js uses. It ends in time though the other side says nothing.
 */

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
const OPCODE = { continuation: 0, text: 1, close: 8, ping: 9, pong: 10 };
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const LEAST_FRAGMENT_BYTES = 1024; // a smaller piece of a message counts as so much
const CLOSE_MS = 2_000; // how long a closing handshake may take

export class NodeSocket {
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  #socket = null;
  #request;
  #state = "connecting"; // open, closing, closed
  #unread = []; // what came since the last frame: put together when it is enough for the next one
  #unreadBytes = 0;
  #wanted = 2;
  #fragments = [];
  #size = 0;
  #ping = null; // what the newest ping said, until it is answered
  #timer;
  #end = { code: 1006, reason: "" };

  constructor(url, protocol) {
    const target = new URL(url);
    const key = randomBytes(16).toString("base64");
    const { request } = target.protocol === "wss:" ? https : http;
    target.protocol = target.protocol.replace("ws", "http");
    this.#request = request(target, {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": protocol,
      },
    });
    this.#request.on("upgrade", (response, socket, first) => {
      const expected = createHash("sha1").update(key + GUID).digest("base64");
      if (response.headers["sec-websocket-accept"] !== expected) return socket.destroy();
      this.#open(socket, first);
    });
    this.#request.on("response", (response) => {
      const code = response.statusCode === 401 ? 4401 : 1006; // what a browser is not told
      this.#end = { code, reason: `HTTP ${response.statusCode}` };
      response.on("error", () => {});
      this.#request.destroy(); // its body may have no end
      this.#closed();
    });
    this.#request.on("error", () => this.#closed());
    this.#request.on("close", () => this.#socket ?? this.#closed());
    this.#request.end();
  }

  send(text) {
    if (this.#state === "open") this.#write(OPCODE.text, Buffer.from(text));
  }

  close(code = 1000) {
    if (this.#state === "connecting") this.#request.destroy();
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#write(OPCODE.close, Buffer.from([code >> 8, code & 255]));
    this.#timer = setTimeout(() => this.#socket.destroy(), CLOSE_MS);
  }

  #open(socket, first) {
    this.#socket = socket;
    if (this.#state === "closed") return socket.destroy();
    this.#state = "open";
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", () => {}); // "close" follows
    socket.on("end", () => socket.end());
    socket.on("close", () => this.#closed());
    this.onopen?.({});
    if (first.length) this.#take(first);
  }

  #closed() {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#timer);
    this.onclose?.(this.#end);
  }

  #fail(code) {
    this.#end = { code, reason: "" };
    this.#write(OPCODE.close, Buffer.from([code >> 8, code & 255]));
    this.#socket.destroy();
  }

  #take(bytes) {
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes < this.#wanted) return;
    let unread = this.#unread.length === 1 ? bytes : Buffer.concat(this.#unread);
    for (;;) {
      const frame = parse(unread);
      if (frame.error) return this.#fail(frame.error);
      if (unread.length < frame.end) {
        this.#unread = [unread];
        this.#unreadBytes = unread.length;
        this.#wanted = frame.end;
        return;
      }
      unread = unread.subarray(frame.end);
      this.#frame(frame);
      if (this.#socket.destroyed) return;
    }
  }

  #frame({ opcode, isFinal, payload }) {
    if (opcode === OPCODE.ping) return this.#pinged(payload);
    if (opcode === OPCODE.pong) return;
    if (opcode === OPCODE.close) return this.#closing(payload);
    const isFirst = this.#fragments.length === 0;
    if (isFirst !== (opcode === OPCODE.text)) return this.#fail(1002);
    this.#size += isFinal ? payload.length : Math.max(payload.length, LEAST_FRAGMENT_BYTES);
    if (this.#size > MAX_MESSAGE_BYTES) return this.#fail(1009);
    this.#fragments.push(isFinal ? payload : Buffer.from(payload)); // the rest of what came with it is not kept
    if (!isFinal) return;
    const data = Buffer.concat(this.#fragments).toString();
    this.#fragments = [];
    this.#size = 0;
    if (this.#state === "open") this.onmessage?.({ data });
  }

  // One answer is on its way at a time, and the next one is to the newest ping (RFC 6455 section 5.5.3): a server that
  // asks and takes no answers heaps up nothing here.
  #pinged(payload) {
    const isAnswering = this.#ping !== null;
    this.#ping = Buffer.from(payload);
    if (!isAnswering) this.#answer();
  }

  #answer() {
    const ping = this.#ping;
    this.#write(OPCODE.pong, ping, () => {
      if (this.#ping === ping) this.#ping = null;
      else this.#answer();
    });
  }

  #closing(payload) {
    if (payload.length >= 2) {
      this.#end = { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
    } else this.#end = { code: 1005, reason: "" };
    if (this.#state === "open") this.#write(OPCODE.close, payload.subarray(0, 2));
    this.#state = "closing";
    this.#socket.end();
    this.#timer ??= setTimeout(() => this.#socket.destroy(), CLOSE_MS);
  }

  #write(opcode, payload, done) {
    const head = [0x80 | opcode];
    if (payload.length < 126) head.push(0x80 | payload.length);
    else if (payload.length < 65536) head.push(0x80 | 126, payload.length >> 8, payload.length & 255);
    else {
      const long = Buffer.alloc(8);
      long.writeBigUInt64BE(BigInt(payload.length));
      head.push(0x80 | 127, ...long);
    }
    const mask = randomBytes(4);
    const masked = Buffer.from(payload);
    for (let i = 0; i < masked.length; i++) masked[i] ^= mask[i & 3];
    this.#socket.write(Buffer.concat([Buffer.from(head), mask, masked]), done);
  }
}

// One frame of the server (RFC 6455 section 5.2). `end`: so many bytes it takes, as far as can be seen; if there are
// fewer, nothing else of it counts.
function parse(bytes) {
  if (bytes.length < 2) return { end: 2 };
  const opcode = bytes[0] & 15;
  const isFinal = bytes[0] >= 128;
  const known = Object.values(OPCODE).includes(opcode);
  if (bytes[0] & 0x70 || bytes[1] >= 128 || !known) return { error: 1002 };
  let length = bytes[1];
  let start = 2;
  if (opcode >= OPCODE.close && (length > 125 || !isFinal)) return { error: 1002 };
  if (length === 126) {
    if (bytes.length < 4) return { end: 4 };
    length = bytes.readUInt16BE(2);
    start = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return { end: 10 };
    length = Number(bytes.readBigUInt64BE(2));
    start = 10;
    if (length > MAX_MESSAGE_BYTES) return { error: 1009 };
  }
  const end = start + length;
  return { opcode, isFinal, payload: bytes.subarray(start, end), end };
}
