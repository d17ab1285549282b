/* One chat: what was said, the gate, what waits behind it, and what is being written. */

import { hrefFor } from "./address.js";
import { avatar, byId, h, icon, reconcile } from "./dom.js";

const GROUP_MS = 5 * 60_000; // messages of one author that are no further apart share a heading
const NEAR_END_PX = 80;
const MAX_BODY_BYTES = 4000; // see app.lua
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const bytes = new TextEncoder();

export class ChatView {
  #session = null;
  #chat = null;
  #scroller = byId("scroller");
  #draft = byId("draft");
  #filled = null; // the chat whose messages are in the page
  #arriving = false;
  #atEnd = true;
  #seenId = 0; // of the newest message that was there when the end was in sight

  constructor() {
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#draft.addEventListener("keydown", (event) => {
      // While a word is being composed (Japanese, say), Enter belongs to that.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#draft.addEventListener("input", () => this.#onInput());
    byId("gate-button").addEventListener("click", () => {
      this.#chat.setStatus(this.#chat.data.status === "open" ? "paused" : "open");
    });
    byId("jump").addEventListener("click", () => this.#scrollToEnd());
    this.#scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    new ResizeObserver(() => this.#atEnd && this.#scrollToEnd()).observe(this.#scroller);
  }

  show(session, chat) {
    this.#session = session;
    const switched = chat !== this.#chat;
    if (switched) this.#leave();
    this.#chat = chat;
    this.#showHeader();
    this.#showNotice();
    byId("composer").hidden = !chat || chat.ended !== null;
    if (switched) this.#enter();

    this.#showMessages();
    this.#showGate();
    this.#showTyping();
    if (switched || this.#atEnd) this.#scrollToEnd();
    else this.#showJump();
  }

  // --- coming and going ---

  #leave() {
    if (this.#chat) this.#chat.draft = this.#draft.value;
    for (const id of ["messages", "queue", "outbox"]) byId(id).replaceChildren();
  }

  #enter() {
    this.#draft.value = this.#chat?.draft ?? "";
    this.#onInput({ quietly: true });
    // Where there is a keyboard, it is for writing. A phone would cover the chat with one.
    if (this.#chat && matchMedia("(pointer: fine)").matches) this.#draft.focus();
  }

  // --- header ---

  #showHeader() {
    const chat = this.#chat;
    byId("chat-title").textContent = chat?.title ?? "";
    byId("position").textContent = chat ? position(chat) : "";
    byId("back").href = hrefFor(this.#session.token);
    reconcile(byId("members"), chat?.data?.members ?? [], {
      key: (member) => member.id,
      version: (member) => member.name + member.colour,
      draw: (member) =>
        h(
          "li",
          { title: member.name },
          avatar(member),
          h("span", { class: "visually-hidden" }, member.name),
        ),
    });
  }

  #showNotice() {
    const chat = this.#chat;
    const notice = byId("notice");
    const text = chat ? noticeFor(chat) : "";
    if (notice.textContent !== text) notice.textContent = text;
    notice.hidden = text === "";
  }

  // --- messages ---

  #showMessages() {
    const chat = this.#chat;
    const list = byId("messages");
    // A whole chat is not read aloud and does not dance in; what arrives after it is, and does.
    this.#arriving = this.#filled === chat;
    list.setAttribute("aria-live", this.#arriving ? "polite" : "off");
    this.#filled = chat?.data ? chat : null;

    reconcile(list, chat?.data ? grouped(chat.data.messages) : [], {
      key: (entry) => entry.key,
      version: (entry) => (entry.message ? `${entry.heads}` : ""),
      draw: (entry) => (entry.day ? drawDay(entry) : this.#drawMessage(entry)),
    });
    const queue = chat?.data?.queue ?? [];
    reconcile(
      byId("queue"),
      queue.map((message) => ({ message, heads: true, key: message.id })),
      {
        key: (entry) => entry.key,
        draw: (entry) => this.#drawMessage(entry),
      },
    );
    byId("queue").hidden = queue.length === 0;
    this.#showOutbox();
    this.#showEmpty();
  }

  #drawMessage({ message, heads }) {
    const author = this.#chat.member(message.user_id) ?? { name: "Somebody" };
    const mine = message.user_id === this.#session.me?.id;
    const at = new Date(message.created_at);
    const time = h(
      "time",
      { datetime: message.created_at, title: at.toLocaleString() },
      clock.format(at),
    );
    const name = h("strong", { "data-colour": author.colour }, author.name);
    return h(
      "li",
      { class: `message${heads ? " heads" : ""}${this.#arriving ? " arriving" : ""}` },
      heads && avatar(author),
      h(
        "p",
        { class: heads ? "author" : "visually-hidden" },
        name,
        mine && h("span", { class: "you" }, "you"),
        time,
      ),
      h("p", { class: "body" }, message.body),
    );
  }

  #showOutbox() {
    const chat = this.#chat;
    const items = chat?.outbox ?? [];
    reconcile(byId("outbox"), items, {
      key: (item) => item.key,
      version: (item) => item.state + (this.#session.connection.state === "live"),
      draw: (item) => this.#drawOutgoing(item),
    });
    byId("outbox").hidden = items.length === 0;
  }

  #drawOutgoing(item) {
    const chat = this.#chat;
    const stuck = item.state === "failed" || item.state === "unsure";
    const words = {
      waiting:
        this.#session.connection.state === "live"
          ? "Waiting"
          : "Will be sent when the connection is back",
      sending: "Sending",
      sent: "Sent",
      failed: `Not sent: ${item.problem}`,
      unsure: "Cut off before an answer came: it may or may not have arrived",
    };
    return h(
      "li",
      { class: `message outgoing ${item.state}` },
      h("p", { class: "body" }, item.body),
      h(
        "p",
        { class: "fate", role: stuck ? "alert" : null },
        words[item.state],
        stuck && h("button", { type: "button", click: () => chat.sendAgain(item) }, "Send again"),
        stuck && h("button", { type: "button", click: () => chat.discard(item) }, "Discard"),
      ),
    );
  }

  #showEmpty() {
    const chat = this.#chat;
    const empty = byId("empty");
    const nothing =
      !chat?.data || chat.data.messages.length + chat.data.queue.length + chat.outbox.length === 0;
    empty.hidden = !nothing || chat?.ended;
    empty.classList.toggle("loading", !chat?.data);
    empty.replaceChildren(
      icon("leat"),
      h("strong", {}, chat?.data ? "A dry channel" : "Opening the chat"),
      h("p", {}, chat?.data ? "Nothing has been said here yet. The first word is yours." : ""),
    );
  }

  // --- the gate ---

  #showGate() {
    const chat = this.#chat;
    const gate = byId("gate");
    gate.hidden = !chat?.data;
    if (!chat?.data) return;

    const { status, queue, owner_id: ownerId } = chat.data;
    const paused = status === "paused";
    const owner = chat.isMine ? "you" : (chat.member(ownerId)?.name ?? "its owner");
    gate.dataset.status = status;
    byId("gate-icon").setAttribute("href", `#icon-${status}`);
    const text = paused
      ? `Paused by ${owner}. ${waitingFor(queue.length)}`
      : "Open: what you say goes straight in.";
    if (byId("gate-text").textContent !== text) byId("gate-text").textContent = text;

    const button = byId("gate-button");
    button.textContent = paused ? "Open the gate" : "Close the gate";
    button.hidden = !chat.isMine;
  }

  // --- writing ---

  #submit() {
    const body = this.#draft.value.trim();
    if (body === "" || bytes.encode(body).length > MAX_BODY_BYTES) return;
    this.#draft.value = "";
    this.#onInput({ quietly: true });
    this.#atEnd = true;
    this.#chat.send(body);
  }

  #onInput({ quietly = false } = {}) {
    const draft = this.#draft;
    draft.style.height = "auto";
    draft.style.height = `${draft.scrollHeight}px`;
    const length = bytes.encode(draft.value.trim()).length;
    const tooLong = length > MAX_BODY_BYTES;
    draft.setAttribute("aria-invalid", String(tooLong));
    byId("composer").dataset.length = tooLong ? `${length} of ${MAX_BODY_BYTES} bytes` : "";
    if (!quietly && draft.value !== "") this.#chat?.tellTyping();
  }

  #showTyping() {
    const chat = this.#chat;
    const names = [...(chat?.typing.keys() ?? [])].map((id) => chat.member(id)?.name ?? "Somebody");
    const verb = names.length === 1 ? "is" : "are";
    byId("typing").textContent = names.length ? `${names.join(" and ")} ${verb} typing` : "";
  }

  // --- scrolling: stay at the end if that is where the reader was ---

  #scrollToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#onScroll();
  }

  #onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.#showJump();
  }

  #showJump() {
    const messages = this.#chat?.data?.messages ?? [];
    if (this.#atEnd) this.#seenId = messages.at(-1)?.id ?? 0;
    const unseen = messages.filter(({ id }) => id > this.#seenId).length;
    const jump = byId("jump");
    jump.hidden = this.#atEnd;
    jump.lastElementChild.textContent = unseen > 0 ? `${unseen} new` : "Newest";
  }
}

function noticeFor({ ended, problem, stale }) {
  if (ended) return ENDINGS[ended.code] ?? `This chat has ended for you: ${ended.message}.`;
  if (problem) return sentence(problem);
  return stale ? "The chat could not be read anew. This is as it was; a fresh one follows." : "";
}

const ENDINGS = {
  forbidden: "You are not a member of this chat.",
  revoked: "You are no longer a member of this chat.",
  not_found: "This chat does not exist any more.",
};

function position({ topic, subscription: { seq } }) {
  return seq === null ? topic : `${topic} · seq ${seq}`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function waitingFor(count) {
  if (count === 0) return "What you say waits here.";
  return count === 1 ? "1 message waits." : `${count} messages wait.`;
}

// Messages with the days between them; `heads` where an author begins to speak.
function grouped(messages) {
  const entries = [];
  let before = null;
  for (const message of messages) {
    const at = new Date(message.created_at);
    const newDay = before?.at.toDateString() !== at.toDateString();
    if (newDay) entries.push({ key: at.toDateString(), day: at });
    const heads = newDay || before.message.user_id !== message.user_id || at - before.at > GROUP_MS;
    entries.push({ key: message.id, message, heads });
    before = { message, at };
  }
  return entries;
}

function drawDay({ day: at }) {
  const today = at.toDateString() === new Date().toDateString();
  return h("li", { class: "day" }, h("span", {}, today ? "Today" : day.format(at)));
}
