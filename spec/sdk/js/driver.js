/* centrifuge-js, driven line by line: spec/support/sdk.lua says what the lines are. */

import { createInterface } from "node:readline";
import { Centrifuge as JsonClient } from "centrifuge";
import { Centrifuge as ProtobufClient } from "centrifuge/build/protobuf";
import WebSocket from "ws";

const tell = (on, what) => process.stdout.write(`${JSON.stringify({ on, ...what })}\n`);
const encode = (data) => (isProtobuf ? new TextEncoder().encode(JSON.stringify(data)) : data);
const decode = (data) => (isProtobuf && data?.length ? JSON.parse(new TextDecoder().decode(data)) : data);

let client;
let isProtobuf = false;
let token;
const tickets = new Map();

function answer(id, promise, look) {
  promise.then(
    (result) => tell("answer", { id, ...look(result) }),
    ({ code, message }) => tell("error", { id, code, message }),
  );
}

function follow(channel, ticket) {
  const known = client.getSubscription(channel);
  if (ticket) tickets.set(channel, ticket);
  if (known) return known.subscribe();
  const getToken = async () => {
    tell("ticket_asked", { channel });
    return tickets.get(channel);
  };
  const sub = client.newSubscription(channel, {
    minResubscribeDelay: 50, maxResubscribeDelay: 500, ...(ticket && { token: ticket, getToken }),
  });
  sub.on("subscribing", ({ code, reason }) => tell("subscribing", { channel, code, reason }));
  sub.on("subscribed", ({ data, wasRecovering, recovered, streamPosition: at }) => {
    const where = { epoch: at?.epoch, offset: at?.offset };
    tell("subscribed", { channel, data: decode(data), was_recovering: wasRecovering, recovered, ...where });
  });
  sub.on("unsubscribed", ({ code, reason }) => tell("unsubscribed", { channel, code, reason }));
  sub.on("publication", ({ data, offset }) => tell("publication", { channel, data: decode(data), offset }));
  sub.on("error", ({ error }) => tell("sub_error", { channel, code: error.code, message: error.message }));
  sub.subscribe();
}

const acts = {
  connect({ url, protobuf, ...options }) {
    isProtobuf = protobuf;
    token = options.token;
    const Client = isProtobuf ? ProtobufClient : JsonClient;
    const getToken = async () => {
      tell("token_asked");
      return token;
    };
    client = new Client(url, {
      websocket: WebSocket, token, getToken: token ? getToken : null, minReconnectDelay: 50, maxReconnectDelay: 500,
    });
    for (const state of ["connecting", "disconnected"]) {
      client.on(state, ({ code, reason }) => tell(state, { code, reason }));
    }
    client.on("connected", ({ data }) => tell("connected", { data: decode(data) }));
    client.on("subscribed", ({ channel, data, recovered }) => {
      tell("server_subscribed", { channel, data: decode(data), recovered });
    });
    client.on("publication", ({ channel, data, offset }) => {
      tell("server_publication", { channel, data: decode(data), offset });
    });
    client.connect();
  },
  token: (step) => (token = step.token),
  ticket: ({ channel, ticket }) => tickets.set(channel, ticket),
  subscribe: ({ channel, ticket }) => follow(channel, ticket),
  unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
  publish: ({ id, channel, data }) => answer(id, client.publish(channel, encode(data)), () => ({})),
  rpc: ({ id, method, data }) => {
    answer(id, client.rpc(method, encode(data)), (result) => ({ data: decode(result.data) }));
  },
  history: ({ id, channel, limit, since, reverse }) => {
    answer(id, client.history(channel, { limit, since, reverse }), ({ publications, offset, epoch }) => ({
      data: publications.map((one) => ({ data: decode(one.data), offset: one.offset })), offset, epoch,
    }));
  },
  disconnect: () => client.disconnect(),
};

const lines = createInterface(process.stdin);
lines.on("line", (line) => {
  const step = JSON.parse(line);
  acts[step.do](step);
});
lines.on("close", () => process.exit(0));
