/* A list that several people write. Each change shows at once, and is replaced by the server's event. */

import { createElement as h, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { connect } from "@leat/client";
import { useConnection, useTopic } from "@leat/client/react";
import { reduceItems } from "./items.js";

const leat = connect("/ws");
const list = location.hash.slice(1) || "shopping";

function List() {
  const { data: items = [], status, apply } = useTopic(leat, `list:${list}`, reduceItems);
  const [problem, setProblem] = useState(null);

  // Shows the change, and asks for it. A change that fails is taken back.
  async function change(event, method, params) {
    try {
      setProblem(null);
      await apply(event, () => leat.call(method, params));
    } catch (error) {
      setProblem(error.message);
    }
  }
  const add = (body) => {
    const item = { id: crypto.randomUUID(), list, body };
    return change({ action: "insert", row: { ...item, done: false, place: Infinity } }, "add", item);
  };
  const tick = (item) => {
    const row = { ...item, done: !item.done };
    return change({ action: "update", row }, "tick", { id: row.id, done: row.done });
  };
  const remove = ({ id }) => change({ action: "delete", old: { id } }, "remove", { id });

  return h("main", null,
    h("h1", null, list),
    h(Connection),
    h("ul", { "aria-busy": status.state !== "live" },
      items.map((item) => h(Item, { key: item.id, item, tick, remove }))),
    h(NewItem, { add }),
    h("p", { role: "alert" }, problem ?? status.error?.message));
}

function Item({ item, tick, remove }) {
  const isSent = item.place === Infinity; // and the server has not shown it yet
  return h("li", { className: isSent ? "sent" : null },
    h("label", null,
      h("input", { type: "checkbox", checked: item.done, disabled: isSent, onChange: () => tick(item) }),
      h("span", null, item.body)),
    h("button", { "aria-label": `Remove ${item.body}`, disabled: isSent, onClick: () => remove(item) }, "×"));
}

function NewItem({ add }) {
  const [body, setBody] = useState("");
  const isLive = useConnection(leat) === "live";
  const submit = (event) => {
    event.preventDefault();
    if (!isLive || !body.trim()) return; // what is typed stays
    add(body.trim());
    setBody("");
  };
  return h("form", { onSubmit: submit },
    h("input", {
      "aria-label": "New item", placeholder: "What is missing?", maxLength: 200, value: body,
      onChange: ({ target }) => setBody(target.value),
    }),
    h("button", { disabled: !isLive }, "Add"));
}

function Connection() {
  const state = useConnection(leat);
  return h("p", { className: "connection", "data-state": state, role: "status" },
    state === "live" ? "Live" : state === "waiting" ? "Reconnecting" : "Connecting");
}

addEventListener("hashchange", () => location.reload());
createRoot(document.getElementById("page")).render(h(StrictMode, null, h(List)));
