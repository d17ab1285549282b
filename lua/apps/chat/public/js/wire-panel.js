/*
 * The protocol as it passes by: every message of the connection, both ways, and the position of each
 * subscription. Bounded: old lines go, and of a huge message only the beginning is kept.
 */

import { byId, h } from "./dom.js";

const MAX_LINES = 300;
const MAX_TEXT = 50_000;
const ARROWS = { in: "↓", out: "↑", note: "•" };
const WORDS = { in: "received", out: "sent", note: "connection" };

export class WirePanel {
  #panel;
  #lines = byId("wire-lines");
  #session = null;
  #paused = false;
  #held = []; // lines that came while paused
  #docked = matchMedia("(min-width: 1100px)"); // else it is a drawer over the chat

  constructor(panel) {
    this.#panel = panel;
    byId("wire-toggle").addEventListener("click", () => this.#setOpen(panel.hidden));
    byId("wire-close").addEventListener("click", () => this.#setOpen(false));
    byId("wire-pause").addEventListener("click", () => this.#setPaused(!this.#paused));
    byId("wire-clear").addEventListener("click", () => this.#clear());
    byId("wire-cut").addEventListener("click", () => this.#session?.leat.reconnect("cut by hand"));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !panel.hidden && !this.#docked.matches) this.#setOpen(false);
    });
    this.#docked.addEventListener("change", () =>
      this.#setOpen(this.#docked.matches, { focus: false }),
    );
    this.#setOpen(this.#docked.matches, { focus: false });
  }

  /** Shows this session's connection from now on; null for none. */
  watch(session) {
    this.#session = session;
    this.#clear();
    if (!session) return;
    const { leat } = session;
    leat.addEventListener("message", ({ detail }) => {
      if (session === this.#session) this.#add(detail.direction, detail.text);
    });
    leat.addEventListener("state", ({ detail: { state, reason } }) => {
      if (session === this.#session) this.#add("note", reason ? `${state}: ${reason}` : state);
    });
  }

  showPositions() {
    if (this.#panel.hidden || !this.#session) return;
    const rows = [...this.#session.chats.values()].map(({ topic, subscription }) => {
      const { state, epoch, seq } = subscription;
      return h(
        "tr",
        { class: state === "live" ? null : "idle" },
        h("th", { scope: "row" }, topic),
        h("td", { title: epoch }, epoch ?? "–"),
        h("td", {}, seq === null ? "–" : String(seq)),
      );
    });
    byId("positions").replaceChildren(...rows);
  }

  // --- open and shut ---

  #setOpen(open, { focus = true } = {}) {
    const toggle = byId("wire-toggle");
    this.#panel.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
    byId("app").classList.toggle("with-wire", open);
    // A drawer covers the rest, which must then not be reached with Tab.
    for (const id of ["sidebar", "chat"]) byId(id).inert = open && !this.#docked.matches;
    if (open) {
      this.showPositions();
      this.#scrollToEnd();
    }
    if (focus && !this.#docked.matches) (open ? byId("wire-close") : toggle).focus();
  }

  #setPaused(paused) {
    this.#paused = paused;
    byId("wire-pause").setAttribute("aria-pressed", String(paused));
    byId("wire-pause").textContent = paused ? "Go on" : "Pause";
    if (!paused) this.#append(this.#held.splice(0));
    this.#showNote();
  }

  #clear() {
    this.#held = [];
    this.#lines.replaceChildren();
    this.#showNote();
  }

  // --- lines ---

  #add(direction, text) {
    const line = drawLine(direction, text, new Date());
    if (this.#paused) this.#held = [...this.#held, line].slice(-MAX_LINES);
    else this.#append([line]);
    this.#showNote();
  }

  #append(lines) {
    const { scrollHeight, scrollTop, clientHeight } = this.#lines;
    const atEnd = scrollHeight - scrollTop - clientHeight < 40;
    this.#lines.append(...lines);
    while (this.#lines.childElementCount > MAX_LINES) this.#lines.firstElementChild.remove();
    if (atEnd) this.#scrollToEnd();
  }

  #scrollToEnd() {
    this.#lines.scrollTop = this.#lines.scrollHeight;
  }

  #showNote() {
    const count = this.#held.length;
    const empty = this.#lines.childElementCount === 0;
    byId("wire-note").textContent = this.#paused
      ? `Paused. ${count === 0 ? "Nothing" : count} new since.`
      : empty
        ? "Cleared. Whatever passes by next shows here."
        : "";
  }
}

function drawLine(direction, text, at) {
  const time = h(
    "time",
    { datetime: at.toISOString() },
    at.toTimeString().slice(0, 8),
    h("small", {}, `.${String(at.getMilliseconds()).padStart(3, "0")}`),
  );
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" }, ARROWS[direction]);
  const word = h("span", { class: "visually-hidden" }, WORDS[direction]);
  if (direction === "note")
    return h("li", { class: "note" }, time, arrow, word, h("span", {}, text));

  const { op, about, rest } = summary(text);
  const kept = text.slice(0, MAX_TEXT);
  const details = h(
    "details",
    { toggle: () => details.open && unfold(details, kept, text.length) },
    h("summary", {}, time, arrow, word, h("b", {}, op), about, h("span", { class: "rest" }, rest)),
  );
  return h("li", { class: direction, "data-op": op }, details);
}

// What it is, what it is about, and as much of the rest as fits on a line.
function summary(text) {
  try {
    const { op, topic, method, id, seq, ...rest } = JSON.parse(text);
    const about = [topic ?? method, seq !== undefined && `@${seq}`, id !== undefined && `#${id}`];
    const more = Object.keys(rest).length > 0 ? JSON.stringify(rest.data ?? rest) : "";
    return { op: String(op), about: about.filter(Boolean).join(" "), rest: more.slice(0, 300) };
  } catch {
    return { op: "?", about: "", rest: text.slice(0, 300) };
  }
}

function unfold(details, kept, length) {
  if (details.childElementCount > 1) return;
  const whole = kept.length === length;
  const pretty = whole
    ? JSON.stringify(JSON.parse(kept), null, 2)
    : `${kept}\n… ${length - kept.length} more characters`;
  details.append(h("pre", { tabindex: "0" }, ...coloured(pretty)));
  details.scrollIntoView({ block: "nearest" });
}

function coloured(json) {
  const token =
    /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
  const parts = [];
  let end = 0;
  for (const match of json.matchAll(token)) {
    const [all, string, colon] = match;
    const kind = colon ? "key" : string ? "string" : "atom";
    parts.push(
      json.slice(end, match.index),
      h("span", { class: kind }, string ?? all),
      colon ?? "",
    );
    end = match.index + all.length;
  }
  return [...parts, json.slice(end)];
}
