import { serveTabs } from "../../src/shared_worker.js";

const channel = new BroadcastChannel("sockets"); // so that the test can count them
const Socket = globalThis.WebSocket;
globalThis.WebSocket = class extends Socket {
  constructor(...where) {
    super(...where);
    channel.postMessage("opened");
  }
};
serveTabs(new URL("/ws", location.href), { token: "alice" });
