// Cells that are pinned to be compared: two to four.

const pinOf = (cell) => state.pins.indexOf(cell);

/** Pin a cell, or let it go. */
function togglePin(cell) {
  if (cell < 0) return;
  if (pinOf(cell) >= 0) store.update({ pins: state.pins.filter((other) => other !== cell) });
  else if (state.pins.length < MOST_PINS) store.update({ pins: [...state.pins, cell] });
}

function showPin() {
  const pin = pinOf(state.cell);
  const full = pin < 0 && state.pins.length === MOST_PINS;
  $("pin").hidden = state.cell < 0;
  $("pin").disabled = full;
  $("pin").setAttribute("aria-pressed", String(pin >= 0));
  const free = full ? `${MOST_PINS} cells are pinned: unpin one first` : "Pin to compare (P)";
  $("pin").textContent = pin >= 0 ? `Pinned as ${PIN_LETTERS[pin]}: unpin (P)` : free;
}

/** The key P pins where the arrow keys choose cells. */
function pinByKey(event) {
  if (event.key.toLowerCase() !== "p" || event.ctrlKey || event.metaKey || event.altKey) return;
  const row = event.target.closest("tr[data-cell]");
  togglePin(row ? Number(row.dataset.cell) : state.cell);
}

$("pin").addEventListener("click", () => togglePin(state.cell));
for (const place of [$("map"), $("tradeoffs"), $("table").tBodies[0]]) place.addEventListener("keydown", pinByKey);
store.register({ on: ["cell", "pins"], draw: showPin });
