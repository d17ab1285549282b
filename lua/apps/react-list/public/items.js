/* What a list is, rebuilt from its snapshot and events. An optimistic change looks as its event will. */

const byPlace = (a, b) => (a.place > b.place) - (a.place < b.place);

export function reduceItems(items = [], { type, data }) {
  if (type === "snapshot") return data;
  if (type !== "event") return items;
  switch (data.action) {
    case "insert":
      return [...items.filter(({ id }) => id !== data.row.id), data.row].sort(byPlace);
    case "update":
      return items.map((item) => (item.id === data.row.id ? data.row : item));
    case "delete":
      return items.filter(({ id }) => id !== data.old.id);
    default:
      return items;
  }
}
