/*
 * Who you are and which chat you look at stand in the address, #token=…&chat=42: so every window can
 * be somebody else, and a reload changes nothing. What follows a # is never sent to a server.
 */

export function hrefFor(token, chatId) {
  return `#${new URLSearchParams(chatId ? { token, chat: chatId } : { token })}`;
}

export function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  return { token: parameters.get("token"), chatId: Number(parameters.get("chat")) };
}
