/* A worker of one page that follows a topic, and tells the page what it is shown. */

import { connect } from "/client/client.js";

const leat = connect("/ws", { token: "alice" });
leat.addEventListener("state", ({ detail }) => postMessage({ state: detail.state }));

const acts = {
  follow(topic) {
    leat.subscribe(topic, {
      snapshot: (items) => postMessage({ shown: items.map(({ body }) => body) }),
      event: ({ body }) => postMessage({ shown: [body] }),
    });
  },
  say: async ({ topic, body }) => postMessage({ said: (await leat.publish(topic, { body })).data.body }),
  reconnect: () => leat.reconnect(),
  close: () => leat.close(),
};

onmessage = ({ data: [act, argument] }) => acts[act](argument);
