// Parallel coordinates of all cells.

let parallelColumns = [];
whenRead(() => {
  parallelColumns = columnsOfTable.filter((column) => column.axis || column.metric);
});

/** Cells with a line: those that are kept but for the ranges along axes, which dim lines and leave them there. */
function lined() {
  const others = columnsOfTable.filter(({ name }) => state.filters[name] && !rangeOn(name));
  const clauses = clausesOf(state.query);
  const stays = (cell) =>
    others.every((column) => keeps(state.filters[column.name], column, cell)) &&
    clauses.every((clause) => holds(clause, cell));
  return [...cells.keys()].filter(stays);
}

const AXIS_WIDTH = 92; // pixels that a title and the ticks of an axis need

const MOST_AXES = 16; // that can be read at once; without a graphics card, each takes a while to draw
const MOST_DRAWN = 60; // plotly leaves away further ones
let parallelDrawn = []; // the columns that have an axis
let withMoreAxes = false;

/** The columns that have an axis: as many as can be read, or be drawn where more are asked for, on paper as find room. */
function parallelShown(width) {
  const most = isPrinting() ? Math.floor(width / AXIS_WIDTH) : withMoreAxes ? MOST_DRAWN : MOST_AXES;
  const weighed = data.tradeoffs.flatMap(({ x, y }) => [x, y]);
  const asked = ({ axis, metric, name }) => axis || metric === state.metric || state.filters[name];
  const first = parallelColumns.filter((column) => asked(column) || weighed.includes(column.name));
  const others = parallelColumns.filter((column) => !first.includes(column));
  const some = new Set([...first, ...others].slice(0, most));
  return parallelColumns.filter((column) => some.has(column));
}

function describeAxes() {
  const left = parallelColumns.length - parallelDrawn.length;
  $("parallel-left").textContent = left
    ? `${counted(left, "further metric")} ${left === 1 ? "has" : "have"} no axis here; the table has all.`
    : "";
  $("more-axes").hidden = !left && !withMoreAxes;
  $("more-axes").textContent = withMoreAxes ? "Show fewer axes" : "Show more axes";
}

const NO_VALUE = "no value"; // a filter that keeps none
const numbersOf = (column) => cells.map((_, cell) => column.value(cell));
const isOfNumbers = (axis) => axis.values.every((value) => typeof value === "number");
/** Whether an axis has a place for each value: all but those of numbers that a search drew, and logarithmic ones. */
const hasPlaces = (axis) => !axis.log && !(isSearch && isOfNumbers(axis));

/** The part of a column's axis that its filter keeps, where it is one: of places, neighbours. */
function rangeAlong(column) {
  const filter = state.filters[column.name];
  if (!filter) return null;
  if (!column.axis || !hasPlaces(column.axis)) return rangeOf(filter);
  const { values, text } = column.axis;
  const some = [...values.keys()].filter((i) => fitsAny(filter, values[i], text[i], values));
  if (!some.length) return rangeOf(filter) || filter === NO_VALUE ? [-2, -1.5] : null;
  return some.at(-1) - some[0] === some.length - 1 ? [some[0] - 0.1, some.at(-1) + 0.1] : null;
}

function rangeOn(name) {
  const column = parallelColumns.find((one) => one.name === name);
  return column ? rangeAlong(column) : null;
}

function dimensionOf(column, some) {
  const values = numbersOf(column);
  const dimension = column.axis ? axisDimension(column.axis, values) : metricDimension(column.metric, values);
  dimension.values = some.map((cell) => dimension.values[cell]);
  const range = rangeAlong(column);
  if (range) dimension.constraintrange = positionsOf(column, range, dimension.range);
  return { label: column.title, multiselect: false, ...dimension };
}

function axisDimension(axis, values) {
  if (axis.log) return logarithmic(values);
  if (!hasPlaces(axis)) return drawnDimension(values);
  const last = axis.values.length - 1;
  const ticks = axis.values.map((_, i) => i);
  return {
    values: values.map((value) => axis.values.indexOf(value)),
    range: [-0.15, last + 0.15],
    tickvals: ticks,
    ticktext: axis.text.map(escaped),
  };
}

/** Places between two ends, three to six of them, at 1, 2 or 5 times a power of ten. */
function roundTicks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((multiple) => multiple * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** A number that a search drew. */
function drawnDimension(values) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5];
  const ticks = roundTicks(low, high);
  return { values, range: [low, high], tickvals: ticks, ticktext: ticks.map(tickText) };
}

/** A metric's axis, with a place of its own below it for cells without a number. */
function metricDimension(metric, values) {
  const known = values.filter((value) => value !== null);
  let [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  if (metric.count) [low, high] = [metric.min, metric.max];
  else if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5];
  const below = low - 0.12 * (high - low);
  const missing = known.length < values.length;
  const parts = Math.min(high, 10);
  const ticks = metric.count ? Array.from({ length: parts + 1 }, (_, i) => low + ((high - low) * i) / parts) : roundTicks(low, high);
  return {
    values: values.map((value) => value ?? below),
    range: [missing ? below : low, high],
    tickvals: missing ? [below, ...ticks] : ticks,
    ticktext: [...(missing ? ["none"] : []), ...ticks.map(tickText)],
  };
}

function positionsOf(column, [low, high], ends) {
  if (column.axis && hasPlaces(column.axis)) return [low, high];
  const scale = column.axis?.log ? (value) => (value > 0 ? Math.log10(value) : -Infinity) : (value) => value;
  return [Math.max(ends[0], scale(low)), Math.min(ends[1], scale(high))];
}

/** The filter that keeps a part of a column's axis. */
function filterOf(column, [low, high]) {
  if (column.axis && hasPlaces(column.axis)) return filterOfPlaces(column.axis, low, high);
  const zero = column.axis?.log ? logarithmic(numbersOf(column)).zero : null;
  const power = (place) => (zero !== null && place <= zero ? 0 : 10 ** place);
  const scale = column.axis?.log ? power : (value) => value;
  return `${+scale(low).toPrecision(4)}..${+scale(high).toPrecision(4)}`;
}

function filterOfPlaces(axis, low, high) {
  const within = axis.values.filter((_, i) => i >= low && i <= high);
  if (!within.length) return NO_VALUE;
  if (within.length === 1 || !isOfNumbers(axis)) return filterOfValues(axis, within);
  return `${axisText(axis, within[0])}..${axisText(axis, within.at(-1))}`;
}

function brushed() {
  const filters = { ...state.filters };
  parallelDrawn.forEach((column, i) => {
    const range = $("parallel").data[0].dimensions[i].constraintrange;
    if (!range && !rangeAlong(column)) return; // not every filter has a place on an axis
    filters[column.name] = range ? filterOf(column, range) : "";
  });
  store.update({ filters }, parallelView);
}

/** A metric's colours as thin lines need them on the panel: mixed with the ink until they can be seen. */
function seenOn(metric) {
  const [back, ink] = [themeColour("panel"), themeColour("ink")];
  const towards = ink.match(/[\d.]+/g).slice(0, 3).map(Number);
  return data.colours[metric.colours].stops.map(([at, hex]) => {
    const mixed = (share) =>
      `rgb(${channels(hex).map((part, i) => Math.round(part + (towards[i] - part) * share)).join(",")})`;
    const share = [...Array(21).keys()].map((i) => i / 20).find((i) => contrastOf(mixed(i), back) >= LEAST_CONTRAST);
    return [at, mixed(share ?? 1)];
  });
}

const WITHOUT_WEBGL = "This browser has no WebGL, with which these lines are drawn; the table below holds the same numbers.";

/** Without WebGL, a sentence in place of plotly's box, which leads to a site. */
function sayWithoutWebgl() {
  const box = $("parallel").querySelector(".no-webgl");
  if (!box) return;
  $("parallel").ariaLabel = WITHOUT_WEBGL;
  Object.assign(box.parentElement, { onclick: null, style: "" });
  box.parentElement.querySelector(".hint")?.remove();
  box.replaceWith(element("p", WITHOUT_WEBGL, { class: "hint" }));
}

function drawParallel() {
  const { metric, time } = state;
  const room = $("parallel").parentElement.clientWidth / textSize();
  parallelDrawn = parallelShown(room);
  const width = Math.max(room, AXIS_WIDTH * parallelDrawn.length);
  const middle = (metric.min + metric.max) / 2;
  const some = lined();
  const trace = {
    type: "parcoords",
    dimensions: parallelDrawn.map((column) => dimensionOf(column, some)),
    labelfont: { size: 13 },
    tickfont: { size: 11, color: themeColour("ink") },
    rangefont: { size: 1, color: "rgba(0,0,0,0)" },
    line: {
      color: some.map((cell) => metric.mean[time][cell] ?? middle),
      cmin: metric.min,
      cmax: metric.max,
      colorscale: seenOn(metric),
    },
    unselected: { line: { color: themeColour("soft"), opacity: 0.15 } },
  };
  $("parallel").style.width = `${width * textSize()}px`;
  const layout = { ...baseLayout(), width, height: 340, margin: { l: 46, r: 46, t: 44, b: 18 } };
  plot("parallel", [trace], layout, { plotly_restyle: brushed });
  sayWithoutWebgl();
  describeAxes();
}

offerFiles("parallel", () => rowsOf([...cells.keys()].filter(isKept), metrics));
const parallelView = store.register({
  on: ["metric", "time", ...KEEPING, ...LOOK],
  far: "parallel",
  costly: true, // plotly reads back what it has drawn with WebGL: seconds, without a graphics card
  draw: drawParallel,
});

$("more-axes").addEventListener("click", () => {
  withMoreAxes = !withMoreAxes;
  drawNow(parallelView);
});
