// The filter of cells, which all views share: what is typed, and the values of axes that are clicked.

function valuesKept(axis) {
  const filter = state.filters[axis.field];
  return filter ? axis.values.filter((value) => fitsAny(filter, value, axisText(axis, value), axis.values)) : [];
}

/** Keep the cells of a value as well, or no longer. */
function toggleValue(axis, value) {
  const had = valuesKept(axis);
  const some = had.includes(value) ? had.filter((one) => one !== value) : [...had, value];
  store.update({ filters: { ...state.filters, [axis.field]: filterOfValues(axis, some) } });
}

function buttonOf(axis, value) {
  const button = element("button", axisText(axis, value), { type: "button", "data-value": axis.values.indexOf(value) });
  button.addEventListener("click", () => toggleValue(axis, value));
  return button;
}

const MOST_BUTTONS = 24;
/** A button for each value of an axis of a grid; a search draws too many. */
function buildValues() {
  const clicked = isSearch ? [] : data.axes.filter(({ values }) => values.length > 1 && values.length <= MOST_BUTTONS);
  const made = clicked.map(({ field, values }) => `${field}:${values.length}`).join();
  if ($("values").dataset.made === made) return;
  $("values").dataset.made = made;
  const groups = clicked.map((axis) => {
    const group = element("div", "", { role: "group", "aria-label": axis.symbol, "data-field": axis.field });
    group.append(element("span", axis.symbol), ...axis.values.map((value) => buttonOf(axis, value)));
    return group;
  });
  $("values").replaceChildren(...groups);
  $("by-value").hidden = !clicked.length;
}

/** What of the typed text cannot be followed; empty where all can. */
function complaintOf(clauses) {
  const unknown = clauses.find(({ name, column }) => name && !column);
  return unknown ? ` Nothing here is called ${unknown.name}; columns of the table are.` : "";
}

function showKept() {
  const count = kept().filter(Boolean).length;
  const all = counted(cells.length, isSearch ? "suggestion" : "cell");
  const some = isFiltered() ? `${count.toLocaleString("en")} of ${all}` : cells.length === 1 ? all : `All ${all}`;
  $("kept").textContent = `${some} ${count === 1 ? "is" : "are"} kept.${complaintOf(clausesOf(state.query))}`;
  $("let-go").hidden = !isFiltered();
  if ($("query").value.trim() !== state.query) $("query").value = state.query;
  for (const group of $("values").children) {
    const some = valuesKept(axisOf[group.dataset.field]).map((value) => axisOf[group.dataset.field].values.indexOf(value));
    for (const button of group.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(some.includes(Number(button.dataset.value))));
  }
}

/** A click on a value beside the map, or below it. */
function valueClicked(event) {
  const tick = event.target.closest(".xtick, .ytick");
  const axis = tick && axisOf[tick.classList.contains("xtick") ? xField : yField];
  const value = axis?.text.indexOf(tick.textContent) ?? -1;
  if (value >= 0) toggleValue(axis, axis.values[value]);
}

whenRead(buildValues);
$("query").addEventListener("input", () => soon(() => store.update({ query: $("query").value.trim() })));
$("let-go").addEventListener("click", () => store.update({ filters: {}, query: "" }));
if (!isSearch) $("map").addEventListener("click", valueClicked);
store.register({ on: ["metric", "time", ...KEEPING], draw: showKept });
