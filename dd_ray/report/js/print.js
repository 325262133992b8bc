// Printing: everything as wide as paper, in light colours, drawn at once.

const WIDTH_OF_PAPER = 1000; // pixels, of A4 on its side less its margins

function drawEverythingNow() {
  for (const view of store.views) view.draw(new Set(Object.keys(state)));
}

const MOST_COLUMNS = 20; // of a table on paper

/** Lay a table of more columns than paper has room for below itself in parts, each with the columns that tell its rows. */
function layInParts(table, heading) {
  const columns = Math.max(...[...table.rows].map(({ cells }) => cells.length));
  if (columns <= MOST_COLUMNS) return;
  table.classList.add("in-parts");
  const atOnce = MOST_COLUMNS - heading;
  for (let from = heading; from < columns; from += atOnce) {
    const part = table.cloneNode(true);
    part.removeAttribute("id");
    part.classList.replace("in-parts", "part");
    for (const title of part.querySelectorAll("th")) title.textContent = title.textContent; // without its buttons
    for (const row of part.rows)
      [...row.cells].forEach((cell, i) => {
        if (i >= heading && (i < from || i >= from + atOnce)) cell.remove();
      });
    table.parentElement.append(part);
  }
}

function putTogether() {
  for (const part of document.querySelectorAll("table.part")) part.remove();
  for (const table of document.querySelectorAll("table.in-parts")) table.classList.remove("in-parts");
}

let themeOfScreen = null;
addEventListener("beforeprint", () => {
  themeOfScreen = state.theme;
  state.theme = "light";
  document.documentElement.classList.add("printing");
  document.body.style.width = `${WIDTH_OF_PAPER}px`;
  drawEverythingNow();
  layInParts($("table"), columnsOfTable.filter(({ axis }) => axis).length);
  layInParts($("seeds"), 1);
});
addEventListener("afterprint", () => {
  putTogether();
  state.theme = themeOfScreen;
  document.documentElement.classList.remove("printing");
  document.body.style.width = "";
  drawEverythingNow();
});
