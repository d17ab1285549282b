export function reduce(state = [], { type, data }) {
  if (type === "snapshot") return data;
  return type === "event" ? [...state, data] : state;
}
