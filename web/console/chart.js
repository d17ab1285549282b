/*
 * Charts over time, as SVG. A chart is a figure: title, drawing, a legend with the newest values, and the same
 * numbers as a table for whoever cannot see the drawing.
 *
 * Options
 *   title, note   texts
 *   kind          "lines"; or "areas" or "bars", whose series are stacked
 *   series        [{ name, data() → [[at_ms, value], …] }]
 *   span()        → { end_ms, length_ms, step_ms }
 *   format(value) → text
 *   top(value)    → the top of the axis for the highest value; if absent, the next of 1, 2, 5 and their tenfolds
 *   least         the smallest top of the axis; if absent, 1
 */

import { h, setText, svg } from "./dom.js";

const LEFT = 58;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;
const HEIGHT = 170;
const TABLE_ROWS = 13;

export class Chart {
  #options;
  #plot = svg("g");
  #grid = svg("g", { class: "grid" });
  #cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  #svg;
  #values;
  #table;
  #details;
  #width = 0;
  #picked = null; // the time under the pointer
  #drawn = { series: [], from: 0, to: 1 };

  constructor(options) {
    this.#options = options;
    this.#svg = svg(
      "svg",
      { role: "img", height: HEIGHT, "aria-label": options.title, focusable: "false" },
      this.#grid,
      this.#plot,
      this.#cursor,
    );
    this.#values = options.series.map(() => h("b", { text: "–" }));
    this.#table = h("div", { class: "scroll" });
    this.#details = h(
      "details",
      { on: { toggle: () => this.#writeTable() } },
      h("summary", {}, "Numbers", h("span", { class: "hidden", text: ` of ${options.title}` })),
      this.#table,
    );
    this.element = h(
      "figure",
      { class: "card chart" },
      h(
        "figcaption",
        {},
        h("h3", { text: options.title }),
        options.note ? h("p", { class: "note", text: options.note }) : null,
      ),
      this.#svg,
      h(
        "ul",
        { class: "legend" },
        options.series.map((series, i) =>
          h(
            "li",
            {},
            h("span", { class: `key s${i}`, "aria-hidden": "true" }),
            `${series.name} `,
            this.#values[i],
          ),
        ),
      ),
      this.#details,
    );
    this.#svg.addEventListener("pointermove", (event) => this.#pick(event.offsetX));
    this.#svg.addEventListener("pointerleave", () => this.#pick(null));
    new ResizeObserver(([entry]) => {
      this.#width = Math.floor(entry.contentRect.width);
      this.draw();
    }).observe(this.element);
  }

  draw() {
    const width = this.#width;
    if (width < 80) return;
    const { end_ms, length_ms, step_ms } = this.#options.span();
    const series = this.#options.series.map((one) => one.data());
    const from = end_ms - length_ms;
    const x = (at) => LEFT + ((at - from) / length_ms) * (width - LEFT - RIGHT);
    const top = (this.#options.top ?? niceTop)(
      Math.max(this.#options.least ?? 1, highest(series, this.#options.kind)),
    );
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute("width", width);
    this.#drawn = { series, from, to: end_ms, x, width };
    this.#drawGrid(width, top, y, x, end_ms, length_ms);
    this.#plot.replaceChildren(...marks(this.#options.kind, series, x, y, step_ms));
    this.#writeValues();
    this.#describe();
    this.#writeTable();
  }

  #drawGrid(width, top, y, x, end_ms, length_ms) {
    const lines = [0, 0.5, 1].flatMap((part) => [
      svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(top * part), y2: y(top * part) }),
      svg("text", {
        x: LEFT - 6,
        y: y(top * part) + 4,
        "text-anchor": "end",
        text: this.#options.format(top * part),
      }),
    ]);
    const times = [1, 0.5, 0].map((part) =>
      svg("text", {
        x: x(end_ms - length_ms * part),
        y: HEIGHT - 5,
        "text-anchor": part === 1 ? "start" : part === 0 ? "end" : "middle",
        text: ago(length_ms * part),
      }),
    );
    this.#grid.replaceChildren(...lines, ...times);
  }

  #pick(offset) {
    const { x, width, from, to } = this.#drawn;
    const inside = offset !== null && x && offset >= LEFT && offset <= width - RIGHT;
    this.#picked = inside ? from + ((offset - LEFT) / (width - LEFT - RIGHT)) * (to - from) : null;
    this.#writeValues();
  }

  #writeValues() {
    const { series, x } = this.#drawn;
    const points = series.map((data) =>
      this.#picked === null ? data.at(-1) : nearest(data, this.#picked),
    );
    points.forEach((point, i) =>
      setText(this.#values[i], point ? this.#options.format(point[1]) : "–"),
    );
    const at = this.#picked === null ? null : points.find(Boolean)?.[0];
    this.#cursor.setAttribute("visibility", at ? "visible" : "hidden");
    if (!at) return;
    this.#cursor.setAttribute("x1", x(at));
    this.#cursor.setAttribute("x2", x(at));
  }

  #describe() {
    const parts = this.#options.series.map((one, i) => {
      const values = this.#drawn.series[i]
        .map(([, value]) => value)
        .filter((value) => value !== null);
      if (values.length === 0) return `${one.name}: no value`;
      const { format } = this.#options;
      return `${one.name}: now ${format(values.at(-1))}, least ${format(Math.min(...values))}, most ${format(Math.max(...values))}`;
    });
    this.#svg.setAttribute("aria-label", `${this.#options.title}. ${parts.join(". ")}.`);
  }

  /* Only while it is open, and some of the points: it is read out. */
  #writeTable() {
    if (!this.#details.open) return;
    const { series, to } = this.#drawn;
    const times = (series.find((data) => data.length > 0) ?? []).map(([at]) => at);
    const each = Math.max(1, Math.ceil(times.length / TABLE_ROWS));
    const rows = times.filter((_, i) => (times.length - 1 - i) % each === 0).reverse();
    this.#table.replaceChildren(
      h(
        "table",
        {},
        h("caption", { class: "hidden", text: this.#options.title }),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col", text: "When" }),
            this.#options.series.map((one) =>
              h("th", { scope: "col", class: "number", text: one.name }),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map((at) =>
            h(
              "tr",
              {},
              h("th", { scope: "row", text: ago(to - at) }),
              series.map((data) =>
                h("td", {
                  class: "number",
                  text: this.#options.format(nearest(data, at)?.[1] ?? null),
                }),
              ),
            ),
          ),
        ),
      ),
    );
  }
}

function ago(ms) {
  if (ms < 500) return "now";
  return ms < 90_000 ? `${Math.round(ms / 1000)} s ago` : `${Math.round(ms / 60_000)} min ago`;
}

function nearest(data, at) {
  let best = null;
  for (const point of data)
    if (!best || Math.abs(point[0] - at) < Math.abs(best[0] - at)) best = point;
  return best;
}

function highest(series, kind) {
  if (kind === "lines") return Math.max(0, ...series.flat().map(([, value]) => value ?? 0));
  const sums = new Map();
  for (const [at, value] of series.flat()) sums.set(at, (sums.get(at) ?? 0) + (value ?? 0));
  return Math.max(0, ...sums.values());
}

/** For milliseconds: above half a second, whole seconds and minutes. */
export function timeTop(value) {
  return (
    [1000, 2000, 5000, 10_000, 30_000, 60_000].find((top) => value > 500 && top >= value) ??
    niceTop(value)
  );
}

/** For bytes: the next power of two. */
export function binaryTop(value) {
  return 2 ** Math.ceil(Math.log2(value));
}

/** The next of 1, 2, 5 and their tenfolds. */
function niceTop(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * size >= value * 0.999) * size;
}

function marks(kind, series, x, y, step_ms) {
  if (kind === "lines")
    return series.map((data, i) => svg("path", { class: `line s${i}`, d: linePath(data, x, y) }));
  const below = new Map();
  const layers = series.map((data) =>
    data.map(([at, value]) => {
      const from = below.get(at) ?? 0;
      below.set(at, from + (value ?? 0));
      return { at, from, to: from + (value ?? 0) };
    }),
  );
  const draw = kind === "bars" ? barPath : areaPath;
  return layers.map((layer, i) =>
    svg("path", { class: `area s${i}`, d: draw(layer, x, y, step_ms) }),
  );
}

function linePath(data, x, y) {
  let pen = "M";
  return data
    .map(([at, value]) => {
      if (value === null || value === undefined || Number.isNaN(value)) {
        pen = "M";
        return "";
      }
      const point = `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}${pen === "M" ? "h0" : ""}`; // a point alone is a dot
      pen = "L";
      return point;
    })
    .join("");
}

function areaPath(layer, x, y) {
  if (layer.length === 0) return "";
  const edge = (part, points) =>
    points.map((p) => `${x(p.at).toFixed(1)} ${y(p[part]).toFixed(1)}`).join("L");
  return `M${edge("to", layer)}L${edge("from", layer.toReversed())}Z`;
}

function barPath(layer, x, y, step_ms) {
  return layer
    .filter((p) => p.to > p.from)
    .map((p) => {
      const left = x(p.at - step_ms * 0.9);
      return `M${left.toFixed(1)} ${y(p.from).toFixed(1)}V${y(p.to).toFixed(1)}H${x(p.at).toFixed(1)}V${y(p.from).toFixed(1)}Z`;
    })
    .join("");
}
