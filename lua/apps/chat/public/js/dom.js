/* The little of the DOM that the views share. Text only ever becomes text nodes. */

export const byId = (id) => document.getElementById(id);

/**
 * An element: h("a", { class: "chat", href: "#" }, "text", child). Functions become listeners; a
 * property or child that is false, null or undefined is left out.
 */
export function h(tag, properties = {}, ...children) {
  const nothing = [false, null, undefined];
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (nothing.includes(value)) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => !nothing.includes(child)));
  return element;
}

/** One of the symbols of index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Somebody's initial on their colour. */
export function avatar(person) {
  const initial = [...(person?.name ?? "?")][0];
  return h(
    "span",
    { class: "avatar", "data-colour": person?.colour, "aria-hidden": "true" },
    initial,
  );
}

/**
 * Makes the list's children those of the items, in order, and touches no child that stays: so a
 * screen reader hears only what is new, and a selection survives. An item whose version changed is
 * redrawn, and keeps the focus if it had it.
 */
export function reconcile(list, items, { key, version = () => "", draw }) {
  const focused = list.contains(document.activeElement)
    ? document.activeElement.closest("[data-key]")?.dataset.key
    : undefined;
  const wanted = new Map(items.map((item) => [String(key(item)), String(version(item))]));
  for (const child of [...list.children]) {
    if (wanted.get(child.dataset.key) !== child.dataset.version) child.remove();
  }

  let next = list.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    if (next?.dataset.key === k) {
      next = next.nextElementSibling;
      continue;
    }
    const child = draw(item);
    child.dataset.key = k;
    child.dataset.version = wanted.get(k);
    list.insertBefore(child, next);
    if (k === focused) child.querySelector("a, button")?.focus();
  }
}
