/* A network between a page and its server, which can be cut: with a word (RST), or silently. */

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Passes connections on to the server at that URL. */
export async function startRelay(url) {
  const { hostname, port } = new URL(url);
  const pairs = new Set();
  const listener = createServer((near) => {
    const far = connect(Number(port), hostname);
    const pair = { near, far };
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    pairs.add(pair);
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.pipe(far);
    far.pipe(near);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    url: `http://127.0.0.1:${listener.address().port}/`,
    /** Both ends of all connections are told. */
    cut() {
      for (const { near } of pairs) near.resetAndDestroy();
    },
    /** Nothing passes on the connections that there are, and nobody is told. New ones are not hurt. */
    swallow() {
      for (const { near, far } of pairs) {
        near.unpipe(far).resume();
        far.unpipe(near).resume();
      }
    },
    close() {
      for (const { near } of pairs) near.destroy();
      listener.close();
    },
  };
}
