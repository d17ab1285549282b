/* The list of chats, and the others whom a second window could be. */

import { hrefFor } from "./address.js";
import { avatar, byId, h, icon, reconcile } from "./dom.js";

export function showSidebar(session, current, people) {
  byId("me").replaceChildren(
    ...(session.me
      ? [avatar(session.me), h("span", {}, session.me.name), h("a", { href: "#" }, "Switch")]
      : []),
  );

  reconcile(byId("chats"), [...session.chats.values()], {
    key: (chat) => chat.id,
    version: (chat) => JSON.stringify([chat === current, describe(chat)]),
    draw: (chat) => drawChat(session, chat, chat === current),
  });

  const others = people.filter((person) => person.id !== session.me?.id);
  reconcile(byId("others"), others, {
    key: (person) => person.token,
    version: () => current?.id ?? "",
    draw: (person) => {
      const href = hrefFor(person.token, current?.id);
      const link = { href, target: "_blank", rel: "noopener" };
      return h("li", {}, h("a", link, avatar(person), person.name));
    },
  });
}

function describe(chat) {
  const last = chat.data?.messages.at(-1);
  return {
    title: chat.title,
    preview: chat.ended ? "You cannot see this chat." : preview(chat, last),
    paused: chat.data?.status === "paused",
    unread: chat.unread,
  };
}

function preview(chat, last) {
  if (!chat.data) return "…";
  if (!last) return "Nothing yet";
  return `${chat.member(last.user_id)?.name ?? "Somebody"}: ${last.body}`;
}

function drawChat(session, chat, isCurrent) {
  const { title, preview, paused, unread } = describe(chat);
  const href = hrefFor(session.token, chat.id);
  return h(
    "li",
    {},
    h(
      "a",
      { href, "aria-current": isCurrent ? "page" : null },
      h(
        "strong",
        {},
        title,
        paused && h("span", { class: "paused-mark" }, icon("paused"), "paused"),
      ),
      unread > 0 &&
        h(
          "span",
          { class: "unread" },
          String(unread),
          h("span", { class: "visually-hidden" }, " new"),
        ),
      h("span", { class: "preview" }, preview),
    ),
  );
}
