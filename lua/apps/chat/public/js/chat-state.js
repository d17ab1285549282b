/*
 * What a chat is, rebuilt from its snapshot and events. After each event this holds exactly what a
 * snapshot taken at that moment would: same messages, same queue, same order.
 */

const RECENT = 200; // as many messages as a snapshot holds: see app.lua

/** The chat after the event. The chat passed in is left as it was. */
export function applyEvent(chat, event) {
  switch (event.type) {
    case "message":
      return { ...chat, messages: recent([...chat.messages, event.message]) };
    case "queued":
      return { ...chat, queue: [...chat.queue, event.message] };
    case "status":
      return { ...chat, status: event.status };
    case "flushed": // the queue, with the ids it got in the chat
      return { ...chat, queue: [], messages: recent([...chat.messages, ...event.messages]) };
    default: // of a newer server, which knows what it is doing
      return chat;
  }
}

/** The state of a chat's store before anything has come. */
export const NOTHING = Object.freeze({ chat: null, outgoing: [] });

/**
 * The reduce function of a chat's store: `chat` is what the server has shown, `outgoing` the messages
 * that it has been sent and has not shown yet.
 */
export function reduceChat(state, { type, data }) {
  if (type === "snapshot") return { ...state, chat: data };
  if (type !== "event") return state;
  if (data.type === "outgoing") return { ...state, outgoing: [...state.outgoing, data.item] };
  return { ...state, chat: applyEvent(state.chat, data) };
}

function recent(messages) {
  return messages.slice(-RECENT);
}
