/* Elements, made without any HTML text: what a server says is text here, and never markup. */

/** An element. props: class, text, attributes by their names, and listeners as on: { name: fn }. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same in SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text, and touches nothing if it is there: selections and screen readers stay undisturbed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A list of facts: names and values. Returns { element, set(facts) }; facts: [[name, value], …]. */
export function factList() {
  const element = h("dl", { class: "facts" });
  const cells = new Map();
  return {
    element,
    set(facts) {
      for (const [name, value] of facts) {
        if (!cells.has(name)) {
          const cell = h("dd");
          cells.set(name, cell);
          element.append(h("div", {}, h("dt", { text: name }), cell));
        }
        setText(cells.get(name), value);
      }
    },
  };
}

/** A labelled list to choose from. options: { value: text }. */
export function choice(label, options, chosen, changed) {
  const id = label.toLowerCase();
  return h(
    "div",
    { class: "field" },
    h("label", { for: id, text: label }),
    h(
      "select",
      { id, on: { change: (event) => changed(event.target.value) } },
      Object.entries(options).map(([value, text]) =>
        h("option", { value, text, selected: value === chosen }),
      ),
    ),
  );
}

/**
 * A table whose rows are kept by a key, so that neither the focus nor a selection is lost when new rows come.
 * columns: [{ title, and text(row) or make(row) → element }]; number: stands at the right; minor: left out on a phone;
 * class. With a column of the class "data", each row is a block on a phone: its cells stand below each other, under their
 * titles. The roles say that it is a table still. Returns { element, set(rows) }.
 */
export function keyedTable({ caption, columns, key, empty }) {
  const stacked = columns.some((column) => column.class === "data");
  const body = h("tbody", { role: "rowgroup" });
  const element = h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { class: stacked ? "stacked" : undefined, role: "table" },
      h("caption", { class: "hidden", text: caption }),
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          columns.map((column) =>
            h("th", {
              scope: "col",
              role: "columnheader",
              class: classOf(column),
              text: column.title,
            }),
          ),
        ),
      ),
      body,
    ),
  );
  const none = h(
    "tr",
    { class: "empty", role: "row" },
    h("td", { colspan: columns.length, role: "cell", text: empty }),
  );
  let rows = new Map();
  return {
    element,
    set(data) {
      const focused = body.contains(document.activeElement) ? document.activeElement : null;
      const fresh = new Map();
      for (const row of data) {
        const id = String(key(row));
        const tr = rows.get(id) ?? newRow(columns, row);
        updateRow(tr, columns, row);
        fresh.set(id, tr);
      }
      rows = fresh;
      const wanted = data.length > 0 ? [...fresh.values()] : [none];
      place(body, wanted);
      if (focused && focused !== document.activeElement && body.contains(focused)) focused.focus();
    },
  };
}

function classOf({ number, minor, class: own }) {
  return [number && "number", minor && "minor", own].filter(Boolean).join(" ") || undefined;
}

function newRow(columns, row) {
  return h(
    "tr",
    { role: "row" },
    columns.map((column, i) =>
      h(
        i === 0 ? "th" : "td",
        {
          scope: i === 0 ? "row" : undefined,
          role: i === 0 ? "rowheader" : "cell",
          class: classOf(column),
          "data-title": column.title,
        },
        column.make ? column.make(row) : "",
      ),
    ),
  );
}

function updateRow(tr, columns, row) {
  columns.forEach((column, i) => {
    if (column.text) setText(tr.cells[i], column.text(row));
  });
}

/* Moves only what is out of place. */
function place(body, wanted) {
  const keep = new Set(wanted);
  for (const tr of [...body.children]) if (!keep.has(tr)) tr.remove();
  wanted.forEach((tr, i) => {
    if (body.children[i] !== tr) body.insertBefore(tr, body.children[i] ?? null);
  });
}
