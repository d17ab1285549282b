import { flushSync, mount as mountPage, unmount } from "svelte";
import Page from "./Page.svelte";

export function mount(leat, target) {
  const page = mountPage(Page, { target, props: { leat } });
  flushSync();
  return () => unmount(page);
}
