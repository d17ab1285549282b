import { createElement as h, StrictMode, useState, useTransition } from "react";
import { createRoot } from "react-dom/client";
import { useConnection, useTopic } from "../../src/react.js";
import { reduce } from "./reduce.js";

function Page({ leat }) {
  const [topic, setTopic] = useState(window.topic);
  const [, startTransition] = useTransition();
  window.show = (name) => startTransition(() => setTopic(name));
  return h("main", null, h(List, { leat, topic }), h(Count, { leat, topic }), h(State, { leat }));
}

function List({ leat, topic }) {
  const { data = [], apply } = useTopic(leat, topic, reduce);
  window.say = (body) => apply({ id: 0, body }, () => leat.publish(topic, { body }));
  return h("ul", null, ...data.map(({ id, body }) => h("li", { key: id }, body)));
}

function Count({ leat, topic }) {
  const { data = [] } = useTopic(leat, topic, reduce);
  return h("p", { id: "count" }, data.length);
}

function State({ leat }) {
  return h("p", { id: "state" }, useConnection(leat));
}

export function mount(leat, element) {
  const root = createRoot(element);
  root.render(h(StrictMode, null, h(Page, { leat })));
  return () => root.unmount();
}
