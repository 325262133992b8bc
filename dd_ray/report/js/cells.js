// Where cells are, on a map and by their values; and how one is chosen.

let xField = null;
let yField = null;
let places = {}; // for each axis, the place of each cell's value
whenRead(() => {
  ({ x: xField, y: yField } = data.layout);
  places = Object.fromEntries(
    data.axes.map(({ field, values }) => {
      const placeOf = new Map(values.map((value, i) => [value, i]));
      return [field, cells.map(({ at }) => placeOf.get(at[field]) ?? -1)];
    }),
  );
});
const place = (cell, field) => (field ? places[field][cell] : 0);
const numX = () => axisOf[xField].values.length;
const numY = () => (yField ? axisOf[yField].values.length : 1);

function cellsOnMap(slice = state.slice) {
  return [...cells.keys()].filter((cell) =>
    data.layout.slices.every((field) => place(cell, field) === slice[field]),
  );
}

function cellAt(x, y, slice = state.slice) {
  return cellsOnMap(slice).find((cell) => place(cell, xField) === x && place(cell, yField) === y) ?? -1;
}

/** The cell of a map that is nearest to a place; -1 where the map has none. */
function nearestCell(x, y, slice) {
  const away = (cell) => Math.abs(place(cell, xField) - x) + Math.abs(place(cell, yField) - y);
  return cellsOnMap(slice).sort((one, other) => away(one) - away(other))[0] ?? -1;
}

function valuesOf(name) {
  return name in metricOf ? metricOf[name].mean[state.time] : cells.map((cell) => cell.at[name]);
}

/** Numbers of cells as a table: what each is, and for each metric its mean, the half of its interval, and its seeds. */
function rowsOf(some, shownMetrics) {
  const named = shownMetrics.flatMap(({ name }) => [name, `${name}_half`, `${name}_seeds`, `${name}_state`]);
  const numbers = (metric, cell) => [
    ...[metric.mean, metric.half, metric.seeds].map((of) => of[state.time][cell]),
    marks[metric.mark[state.time][cell]].name,
  ];
  const heading = [...data.axes.map(({ field }) => field), "iteration", ...named];
  const row = (cell) => [
    ...data.axes.map(({ field }) => cells[cell].at[field]),
    iterations[state.time],
    ...shownMetrics.flatMap((metric) => numbers(metric, cell)),
  ];
  return [heading, ...some.map(row)];
}

/** Choose a cell, and have the map show it. */
function choose(cell) {
  if (cell < 0) return;
  const slice = Object.fromEntries(data.layout.slices.map((field) => [field, place(cell, field)]));
  const moved = data.layout.slices.some((field) => slice[field] !== state.slice[field]);
  store.update(moved ? { cell, slice } : { cell });
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
/** Have arrow keys in an element choose the cell that `next` gives for a move. */
function onArrows(id, next) {
  $(id).addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    choose(next(move));
  });
}

/** The next cell on the map. */
function nextCell([dx, dy]) {
  let [x, y] = state.cell < 0 ? [0, 0] : [place(state.cell, xField) + dx, place(state.cell, yField) + dy];
  while (x >= 0 && y >= 0 && x < numX() && y < numY()) {
    const found = cellAt(x, y);
    if (found >= 0) return found;
    [x, y] = [x + dx, y + dy];
  }
  return -1;
}

/** The next cell along an axis of a scatter plot. */
function nextPoint([dx, dy], [across, up]) {
  const values = valuesOf(dx ? across : up);
  const order = cells.map((_, cell) => cell).filter((cell) => values[cell] !== null);
  order.sort((one, other) => (values[one] > values[other]) - (values[one] < values[other]) || one - other);
  return order[order.indexOf(state.cell) + dx + dy] ?? -1;
}
