// The table: a row for each cell, sorted and filtered. Of a large one, rows are in the page as they are scrolled to: to
// lay out ten thousand numbers takes half a second, after each click.

const MOST_AT_ONCE = 2000; // numbers
const FEWEST_ROWS = 30; // more than are seen at once
let inOrder = []; // cells that are kept, as they are sorted
let firstRow = 0; // place in the order of the first row that is in the page

function rowsAtOnce() {
  return isPrinting() ? inOrder.length : Math.max(FEWEST_ROWS, Math.floor(MOST_AT_ONCE / columnsOfTable.length));
}

function rowOf(place) {
  const cell = inOrder[place];
  const known = { tabindex: "-1", "aria-selected": String(cell === state.cell), "aria-rowindex": place + 2 };
  const row = element("tr", "", { ...known, "data-cell": cell });
  for (const column of columnsOfTable) {
    const text = String(column.shown?.(cell) ?? column.value(cell) ?? "–");
    row.append(element("td", text, column.text ? { class: "text" } : {}));
  }
  return row;
}

/** What stands for rows that are not in the page. */
function gapOf(count) {
  const gap = element("tr", "", { class: "unseen", "aria-hidden": "true" });
  gap.append(element("td", "", { colspan: columnsOfTable.length, "data-count": count }));
  return count ? [gap] : [];
}

const heightOfRow = () => rowFor(inOrder[firstRow]).offsetHeight;

const rowsThere = () => new Map([...$("table").querySelectorAll("tr[data-cell]")].map((row) => [Number(row.dataset.cell), row]));

/** Put rows from a place of the order on into the page; those of cells that `had` has are there already. */
function showRows(from = firstRow, had = new Map()) {
  const count = rowsAtOnce();
  firstRow = Math.max(0, Math.min(from, inOrder.length - count));
  const places = inOrder.slice(firstRow, firstRow + count).map((_, i) => firstRow + i);
  const focused = document.activeElement?.closest("#table tr[data-cell]")?.dataset.cell;
  const unseen = [firstRow, Math.max(0, inOrder.length - firstRow - count)].map(gapOf);
  $("table").tBodies[0].replaceChildren(...unseen[0], ...places.map((place) => had.get(inOrder[place]) ?? rowOf(place)), ...unseen[1]);
  for (const { firstChild } of unseen.flat()) firstChild.style.height = `${firstChild.dataset.count * heightOfRow()}px`;
  if (focused !== undefined) rowFor(focused)?.focus({ preventScroll: true });
  keepStop();
}

const rowFor = (cell) => $("table").querySelector(`tr[data-cell="${cell}"]`);

/** Have the rows follow what is scrolled to, with as many above as below. */
function followScroll() {
  const count = rowsAtOnce();
  if (count >= inOrder.length) return;
  const [scrolled, height] = [$("table").closest(".scroll"), heightOfRow()];
  const seen = Math.ceil((scrolled.clientHeight - $("table").tHead.offsetHeight) / height);
  const at = Math.floor(scrolled.scrollTop / height);
  const [above, below] = [at - firstRow, firstRow + count - (at + seen)];
  if ((above < 0 && firstRow > 0) || (below < 0 && firstRow + count < inOrder.length)) {
    showRows(at - Math.floor((count - seen) / 2), rowsThere());
  }
}

/** Change what the table shows from inside it, where it is seen, though the browser may not have told so yet. */
function changeHere(changes) {
  store.update(changes);
  store.catchUp("table-section");
}

function headingOf(column) {
  const heading = element("th", "", { scope: "col", class: column.text ? "text" : "", "data-column": column.name });
  const button = element("button", column.title, { type: "button", tabindex: "-1" });
  button.addEventListener("click", () => {
    const up = state.sort.column === column.name ? !state.sort.up : column.metric?.better !== "max";
    changeHere({ sort: { column: column.name, up } });
  });
  const label = `Filter ${column.title}`;
  const input = element("input", "", { type: "text", "aria-label": label, autocomplete: "off", tabindex: "-1" });
  input.addEventListener("input", () => {
    changeHere({ filters: { ...state.filters, [column.name]: input.value.trim() } });
  });
  heading.append(button, input);
  return heading;
}

const headings = () => [...($("table").tHead.rows[0]?.cells ?? [])];

/** Make the headings, unless they are there already: a filter may be being typed. */
function buildTable() {
  const names = columnsOfTable.map(({ name }) => name);
  if (headings().map(({ dataset }) => dataset.column).join() === names.join()) return;
  const head = element("tr", "", { "aria-rowindex": 1 });
  head.append(...columnsOfTable.map(headingOf));
  $("table").tHead.replaceChildren(head);
}

function compare(column, one, other) {
  const [a, b] = [column.value(one), column.value(other)];
  if (a === null || b === null) return (a === null) - (b === null) || one - other; // numbers first, either way
  const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
  return (state.sort.up ? order : -order) || one - other;
}

function showTable() {
  const column = columnsOfTable.find(({ name }) => name === state.sort.column) ?? columnsOfTable[0];
  inOrder = [...cells.keys()].filter(isKept).sort((one, other) => compare(column, one, other));
  $("table").setAttribute("aria-rowcount", inOrder.length + 1);
  showRows();
  headings().forEach((heading, i) => {
    const sorted = columnsOfTable[i] === column;
    const title = columnsOfTable[i].title + (sorted ? (state.sort.up ? " ▲" : " ▼") : "");
    heading.setAttribute("aria-sort", sorted ? (state.sort.up ? "ascending" : "descending") : "none");
    if (heading.firstChild.textContent !== title) heading.firstChild.textContent = title;
  });
  $("rows-shown").textContent =
    `${inOrder.length.toLocaleString("en")} of ${counted(cells.length, "row")}, at iteration ${iterations[state.time].toLocaleString("en")}.`;
  $("intervals").textContent = intervalsInWords();
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
  for (const row of $("table").querySelectorAll('[aria-selected="true"]')) row.setAttribute("aria-selected", "false");
  rowFor(state.cell)?.setAttribute("aria-selected", "true");
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
  if (!tabStop?.isConnected) stopAt(headings()[0].firstChild);
}

/** The row at a place of the order, which is put into the page if it is not there. */
function rowAt(place) {
  if (!(place in inOrder)) return undefined;
  if (!rowFor(inOrder[place])) showRows(place - Math.floor(rowsAtOnce() / 2), rowsThere());
  return rowFor(inOrder[place]);
}

/** What an arrow key leads to from a heading's button, a filter or a row; undefined where it stays. */
function besides(target, key) {
  const row = target.closest("tr[data-cell]");
  if (row) {
    const at = inOrder.indexOf(Number(row.dataset.cell));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: inOrder.length - 1 }[key];
    return to === -1 ? headings()[0].lastChild : rowAt(to);
  }
  const heading = target.closest("th");
  const isFilter = target === heading.lastChild;
  if (key === "ArrowDown") return isFilter ? rowAt(0) : heading.lastChild;
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
$("clear").addEventListener("click", () => changeHere({ filters: {}, query: "" }));
$("table").closest(".scroll").addEventListener("scroll", () => soon(followScroll), { passive: true });
store.register({ on: ["filters"], draw: showFilters });
// At first at once: a search of the page's text finds them. Later when they are seen.
drawNow(store.register({ on: ["metric", "time", "sort", ...KEEPING], far: "table-section", draw: showTable }));
store.register({ on: ["cell"], draw: markRow });
