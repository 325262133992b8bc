// The table: a row for each cell, sorted and filtered.

const rowsOfTable = cells.map((_, cell) => {
  const row = element("tr", "", { tabindex: "0", "aria-selected": "false", "data-cell": cell });
  for (const column of columnsOfTable) row.append(element("td", "", column.text ? { class: "text" } : {}));
  return row;
});

function buildTable() {
  const head = element("tr");
  columnsOfTable.forEach((column, i) => {
    const heading = element("th", "", { scope: "col", class: column.text ? "text" : "" });
    const button = element("button", column.title, { type: "button" });
    button.addEventListener("click", () => {
      const up = state.sort.column === i ? !state.sort.up : column.metric?.better !== "max";
      store.update({ sort: { column: i, up } });
    });
    const input = element("input", "", {
      type: "text",
      "aria-label": `Filter ${column.title}`,
      autocomplete: "off",
      inputmode: "text",
    });
    input.addEventListener("input", () => {
      store.update({ filters: { ...state.filters, [i]: input.value.trim() } });
    });
    column.input = input;
    heading.append(button, input);
    head.append(heading);
  });
  $("table").tHead.replaceChildren(head);
  $("table").tBodies[0].append(...rowsOfTable);
  for (const type of ["click", "keydown"]) $("table").tBodies[0].addEventListener(type, rowChosen);
  $("clear").addEventListener("click", () => store.update({ filters: {} }));
}

function compare(column, one, other) {
  const [a, b] = [column.value(one), column.value(other)];
  if (a === null || b === null) return (a === null) - (b === null) || one - other; // numbers first, either way
  const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
  return (state.sort.up ? order : -order) || one - other;
}

function showTable() {
  const column = columnsOfTable[state.sort.column];
  const order = cells.map((_, cell) => cell).sort((one, other) => compare(column, one, other));
  let kept = 0;
  for (const cell of order) {
    const row = rowsOfTable[cell];
    row.hidden = !isKept(cell);
    kept += !row.hidden;
    columnsOfTable.forEach((c, i) => {
      row.children[i].textContent = c.shown?.(cell) ?? c.value(cell) ?? "–";
    });
  }
  $("table").tBodies[0].append(...order.map((cell) => rowsOfTable[cell]));
  [...$("table").tHead.rows[0].cells].forEach((heading, i) => {
    const sorted = i === state.sort.column;
    heading.setAttribute("aria-sort", sorted ? (state.sort.up ? "ascending" : "descending") : "none");
    heading.firstChild.textContent = columnsOfTable[i].title + (sorted ? (state.sort.up ? " ▲" : " ▼") : "");
  });
  $("rows-shown").textContent =
    `${kept} of ${cells.length} rows, at iteration ${iterations[state.time].toLocaleString("en")}.`;
  $("clear").hidden = !Object.values(state.filters).some(Boolean);
}

/** Filters as they are, where they were not typed here. */
function showFilters() {
  columnsOfTable.forEach(({ input }, i) => {
    const filter = state.filters[i] ?? "";
    if (input.value.trim() !== filter) input.value = filter;
  });
}

function markRow() {
  rowsOfTable.forEach((row, cell) => row.setAttribute("aria-selected", String(cell === state.cell)));
}

function rowChosen(event) {
  const row = event.target.closest("tr[data-cell]");
  if (!row) return;
  if (event.type === "keydown") {
    const shownRows = [...$("table").tBodies[0].rows].filter((other) => !other.hidden);
    const next = shownRows[shownRows.indexOf(row) + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0)];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      return next?.focus();
    }
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
  }
  choose(Number(row.dataset.cell));
}

buildTable();
store.register({ on: ["filters"], draw: showFilters });
store.register({ on: ["metric", "time", "sort", "filters"], draw: showTable });
store.register({ on: ["cell"], draw: markRow });
