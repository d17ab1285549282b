/* The positions of a write that went over HTTP. */

// topic, a space, epoch, a colon, seq. A topic is percent-encoded, so it has neither space nor comma.
const ENTRY = /^\s*(\S+) (\S+):(\d+)\s*$/;

/**
 * What the answer of a route (of fetch: a Response) tells in its header Leat-Position, as `at` of a
 * publish: [{ topic, epoch, seq }], for topic.reached() and for a store's apply(). Empty if the
 * route has published nothing.
 */
export function positionsOf({ headers }) {
  const entries = (headers.get("Leat-Position") ?? "").split(",");
  return entries.flatMap((entry) => {
    const [, topic, epoch, seq] = ENTRY.exec(entry) ?? [];
    const position = { topic: decoded(topic), epoch, seq: Number(seq) };
    return position.topic && Number.isSafeInteger(position.seq) ? [position] : [];
  });
}

// The write was done, whatever else a broken server says of it: that is no reason to throw.
function decoded(text = "") {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
