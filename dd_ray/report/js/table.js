// The table: a row for each cell, sorted and filtered.

let rowsOfTable = [];

function rowOf(cell) {
  const row = element("tr", "", { tabindex: "-1", "aria-selected": "false", "data-cell": cell });
  for (const column of columnsOfTable) row.append(element("td", "", column.text ? { class: "text" } : {}));
  return row;
}

function headingOf(column) {
  const heading = element("th", "", { scope: "col", class: column.text ? "text" : "", "data-column": column.name });
  const button = element("button", column.title, { type: "button", tabindex: "-1" });
  button.addEventListener("click", () => {
    const up = state.sort.column === column.name ? !state.sort.up : column.metric?.better !== "max";
    store.update({ sort: { column: column.name, up } });
  });
  const label = `Filter ${column.title}`;
  const input = element("input", "", { type: "text", "aria-label": label, autocomplete: "off", tabindex: "-1" });
  input.addEventListener("input", () => {
    store.update({ filters: { ...state.filters, [column.name]: input.value.trim() } });
  });
  heading.append(button, input);
  return heading;
}

const headings = () => [...($("table").tHead.rows[0]?.cells ?? [])];

/** Make the rows, and the headings, unless they are there already: a filter may be being typed. */
function buildTable() {
  const names = columnsOfTable.map(({ name }) => name);
  const same = headings().map(({ dataset }) => dataset.column).join() === names.join();
  if (same && rowsOfTable.length === cells.length) return;
  const head = element("tr");
  head.append(...columnsOfTable.map(headingOf));
  if (!same) $("table").tHead.replaceChildren(head);
  rowsOfTable = cells.map((_, cell) => rowOf(cell));
  $("table").tBodies[0].replaceChildren(...rowsOfTable);
}

function compare(column, one, other) {
  const [a, b] = [column.value(one), column.value(other)];
  if (a === null || b === null) return (a === null) - (b === null) || one - other; // numbers first, either way
  const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
  return (state.sort.up ? order : -order) || one - other;
}

/** Put rows in an order, and leave them alone where they are in it: what is moved loses the focus. */
function arrange(rows) {
  const body = $("table").tBodies[0];
  if (rows.some((row, i) => body.rows[i] !== row)) body.append(...rows);
}

/** The texts of the rows, as far as they have changed: each that is written has the table laid out anew. */
function showTexts() {
  rowsOfTable.forEach((row, cell) => {
    columnsOfTable.forEach((column, i) => {
      const text = String(column.shown?.(cell) ?? column.value(cell) ?? "–");
      if (row.children[i].textContent !== text) row.children[i].textContent = text;
    });
  });
}

function showTable() {
  const column = columnsOfTable.find(({ name }) => name === state.sort.column) ?? columnsOfTable[0];
  const order = cells.map((_, cell) => cell).sort((one, other) => compare(column, one, other));
  rowsOfTable.forEach((row, cell) => (row.hidden = !isKept(cell)));
  arrange(order.map((cell) => rowsOfTable[cell]));
  keepStop();
  headings().forEach((heading, i) => {
    const sorted = columnsOfTable[i] === column;
    const title = columnsOfTable[i].title + (sorted ? (state.sort.up ? " ▲" : " ▼") : "");
    heading.setAttribute("aria-sort", sorted ? (state.sort.up ? "ascending" : "descending") : "none");
    if (heading.firstChild.textContent !== title) heading.firstChild.textContent = title;
  });
  $("rows-shown").textContent =
    `${kept().filter(Boolean).length} of ${cells.length} rows, at iteration ${iterations[state.time].toLocaleString("en")}.`;
  $("clear").hidden = !isFiltered();
}

/** Filters as they are, where they were not typed here. */
function showFilters() {
  for (const heading of headings()) {
    const filter = state.filters[heading.dataset.column] ?? "";
    if (heading.lastChild.value.trim() !== filter) heading.lastChild.value = filter;
  }
}

function markRow() {
  const chosen = rowsOfTable[state.cell];
  for (const row of $("table").tBodies[0].querySelectorAll('[aria-selected="true"]'))
    if (row !== chosen) row.setAttribute("aria-selected", "false");
  chosen?.setAttribute("aria-selected", "true");
}

// The table is one stop of the Tab key, which is where one was in it last; arrow keys move inside.

let tabStop = null;
function stopAt(target) {
  if (tabStop) tabStop.tabIndex = -1;
  tabStop = target;
  tabStop.tabIndex = 0;
}

/** The stop is something that can be seen. */
function keepStop() {
  if (!tabStop?.isConnected || tabStop.closest("tr").hidden) stopAt(headings()[0].firstChild);
}

/** What an arrow key leads to from a heading's button, a filter or a row; undefined where it stays. */
function besides(target, key) {
  const row = target.closest("tr[data-cell]");
  const shownRows = [...$("table").tBodies[0].rows].filter((other) => !other.hidden);
  if (row) {
    const at = shownRows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shownRows.length - 1 }[key];
    return to === -1 ? headings()[0].lastChild : shownRows[to];
  }
  const heading = target.closest("th");
  const isFilter = target === heading.lastChild;
  if (key === "ArrowDown") return isFilter ? shownRows[0] : heading.lastChild;
  if (key === "ArrowUp") return isFilter ? heading.firstChild : undefined;
  if (isFilter && target.value) return undefined; // in a text, they move its cursor
  const next = { ArrowLeft: heading.previousSibling, ArrowRight: heading.nextSibling }[key];
  return isFilter ? next?.lastChild : next?.firstChild;
}

function keyInTable(event) {
  const next = besides(event.target, event.key);
  const row = event.target.closest("tr[data-cell]");
  if (next) next.focus();
  else if (row && (event.key === "Enter" || event.key === " ")) choose(Number(row.dataset.cell));
  else if (!row || !event.key.startsWith("Arrow")) return;
  event.preventDefault();
}

function rowClicked(event) {
  const row = event.target.closest("tr[data-cell]");
  if (row) choose(Number(row.dataset.cell));
}

whenRead(buildTable);
$("table").addEventListener("focusin", ({ target }) => stopAt(target));
$("table").addEventListener("keydown", keyInTable);
$("table").tBodies[0].addEventListener("click", rowClicked);
$("clear").addEventListener("click", () => store.update({ filters: {}, query: "" }));
store.register({ on: ["filters"], draw: showFilters });
store.register({ on: ["metric", "time", "sort", ...KEEPING], draw: showTable });
// At first at once: a search of the page's text finds them. Later when they are seen.
drawNow(store.register({ on: ["metric", "time"], far: "table-section", draw: showTexts }));
store.register({ on: ["cell"], draw: markRow });
