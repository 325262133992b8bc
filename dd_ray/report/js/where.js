// What the reader sees, in words that hold for newer numbers of the sweep as well; they stand in the page's address.

const ownOf = (table, name) => (name !== null && Object.hasOwn(table, name) ? table[name] : null);
const keyOf = (cell) => cells[cell].trials[0].key;
const cellOf = (key) => cells.findIndex(({ trials }) => trials.some((trial) => trial.key === key));

const isAtEnd = () => state.time === iterations.length - 1;
/** Whether there will be later iterations when the sweep has gone on. */
const mayGrow = () => iterations.at(-1) < data.last;

/** What is chosen, as parameters; what is as it is at first has none. */
function whereNow() {
  const where = new URLSearchParams({ metric: state.metric.name });
  if (state.compared) where.set("compared", state.compared);
  if (!isAtEnd() || mayGrow()) where.set("iteration", iterations[state.time]);
  for (const [field, place] of Object.entries(state.slice)) where.set(`slice.${field}`, axisOf[field].text[place]);
  if (state.cell >= 0) where.set("cell", keyOf(state.cell));
  if (isSearch) for (const id of ["across", "up"]) where.set(id, state[id]);
  where.set("sort", (state.sort.up ? "" : "-") + state.sort.column);
  for (const [name, filter] of Object.entries(state.filters)) if (filter) where.set(`filter.${name}`, filter);
  if (state.query) where.set("keep", state.query);
  where.set("group", state.group);
  for (const cell of state.pins) where.append("pin", keyOf(cell));
  return where;
}

/** The state that parameters ask for, as far as the sweep has it; what they do not name is as it is at first. */
function stateAt(where) {
  const time = timeOf(Number(where.get("iteration") ?? NaN));
  const cell = cellOf(where.get("cell"));
  const metric = ownOf(metricOf, where.get("metric")) ?? metrics[0];
  const sort = where.get("sort") ?? "";
  const column = columnsOfTable.find(({ name }) => name === sort.replace(/^-/, ""))?.name;
  const known = (id) => ownOf(axisOf, where.get(id)) ?? ownOf(metricOf, where.get(id));
  return {
    metric,
    compared: ownOf(metric.views, where.get("compared")) ? where.get("compared") : "",
    time: time < 0 ? iterations.length - 1 : time,
    cell,
    slice: Object.fromEntries(data.layout.slices.map((field) => [field, sliceAt(field, where, cell)])),
    filters: filtersAt(where),
    query: where.get("keep") ?? "",
    pins: pinsAt(where),
    group: ownOf(axisOf, where.get("group")) ? where.get("group") : coloured.field,
    sort: column ? { column, up: !sort.startsWith("-") } : { column: columnsOfTable[0].name, up: true },
    across: known("across") ? where.get("across") : data.axes[0].field,
    up: known("up") ? where.get("up") : (data.axes[1]?.field ?? metrics[0].name),
  };
}

/** The place of an iteration, or of the nearest that is shown: which of many evaluations are shown changes as they grow. */
function timeOf(iteration) {
  const away = iterations.map((shownOne) => Math.abs(shownOne - iteration));
  return away.indexOf(Math.min(...away));
}

/** The place of a slider: that of the chosen cell, or the value that is named. */
function sliceAt(field, where, cell) {
  if (cell >= 0) return place(cell, field);
  return Math.max(0, axisOf[field].text.indexOf(where.get(`slice.${field}`)));
}

function pinsAt(where) {
  const some = new Set(where.getAll("pin").map(cellOf).filter((cell) => cell >= 0));
  return [...some].slice(0, MOST_PINS);
}

function filtersAt(where) {
  const filters = columnsOfTable.map(({ name }) => [name, where.get(`filter.${name}`)]);
  return Object.fromEntries(filters.filter(([, filter]) => filter));
}

/** Newer numbers; what was chosen stays chosen where it still is, and the last iteration is that of the newer ones. */
function refresh(content) {
  const where = whereNow();
  if (isAtEnd()) where.delete("iteration");
  read(content);
  Object.assign(state, stateAt(where));
  store.drawAll();
}

const inAddress = () => new URLSearchParams(location.hash.slice(1));
/** The address, and for when this tab loads the page anew, whether it shows the last iteration, whichever that is. */
function writeAddress() {
  history.replaceState({ isAtEnd: isAtEnd() }, "", `#${whereNow()}`);
}

/** What the address asks for at first. */
function whereAtFirst() {
  const where = inAddress();
  if (history.state?.isAtEnd) where.delete("iteration");
  return where;
}
