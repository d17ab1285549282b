import { createStore } from "../../src/client.js";
import { connectShared } from "../../src/shared_worker.js";
import { reduce } from "./reduce.js";

/** A page whose connection is that of a worker which several tabs share. */
export function mount(_, element) {
  const leat = connectShared(new SharedWorker("/worker.js", { type: "module" }));
  const store = createStore(leat.subscribe(window.topic), reduce);
  window.say = (body) => store.apply({ id: 0, body }, () => leat.publish(window.topic, { body }));
  const draw = () => {
    const items = (store.get() ?? []).map(({ body }) => {
      const item = document.createElement("li");
      item.textContent = body;
      return item;
    });
    const list = document.createElement("ul");
    const state = document.createElement("p");
    state.id = "state";
    state.textContent = leat.state;
    list.append(...items);
    element.replaceChildren(list, state);
  };
  store.subscribe(draw);
  leat.addEventListener("state", draw);
  return () => leat.close();
}
