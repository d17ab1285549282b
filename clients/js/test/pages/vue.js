import { createApp, h, ref } from "vue";
import { useConnection, useTopic } from "../../src/vue.js";
import { reduce } from "./reduce.js";

const Page = {
  props: ["leat"],
  setup({ leat }) {
    const topic = ref(window.topic);
    const { data, apply } = useTopic(leat, topic, reduce);
    const state = useConnection(leat);
    window.show = (name) => (topic.value = name);
    window.say = (body) => apply({ id: 0, body }, () => leat.publish(topic.value, { body }));
    return () => [
      h("ul", (data.value ?? []).map(({ id, body }) => h("li", { key: id }, body))),
      h("p", { id: "count" }, data.value?.length ?? 0),
      h("p", { id: "state" }, state.value),
    ];
  },
};

export function mount(leat, element) {
  const app = createApp(Page, { leat });
  app.mount(element);
  return () => app.unmount();
}
