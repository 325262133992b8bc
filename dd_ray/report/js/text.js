// Numbers and cells in words.

const [HUGE, TINY] = [1e21, 1e-9]; // beyond them numbers have an exponent

function shown(metric, value) {
  if (value === null) return "–";
  if (value === 0) return "0";
  if (metric.count && !metric.signed) return String(+value.toPrecision(3));
  if (metric.decimals === null) return value.toPrecision(metric.digits);
  const size = Math.abs(value);
  const text = size >= HUGE ? size.toPrecision(3) : size.toFixed(metric.decimals); // as many as the others, to be compared at a glance
  if (Number(text) === 0) return text;
  const [plus, minus] = metric.signed ? ["+", "−"] : ["", "-"];
  return (value > 0 ? plus : minus) + text;
}

/** Half of an interval, with as many decimals as the others of its metric. */
function halfOf(metric, half) {
  if (metric.interval_decimals !== null && half >= HUGE) return half.toPrecision(3);
  const text = metric.interval_decimals === null ? "0" : half.toFixed(metric.interval_decimals);
  if (Number(text) !== 0 || half === 0) return half === 0 ? "0" : text;
  if (half >= HUGE || half < TINY) return half.toPrecision(2);
  const rounded = Number(half.toPrecision(2)); // two digits, without an exponent
  const decimals = Math.min(100, Math.max(0, 1 - Math.floor(Math.log10(rounded))));
  return rounded.toFixed(decimals).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

function withInterval(metric, cell) {
  const half = metric.half[state.time][cell];
  const value = shown(metric, metric.mean[state.time][cell]);
  return half === null ? value : `${value} ± ${halfOf(metric, half)}`;
}

/** What ± is on this page, where there is any. */
function intervalsInWords() {
  if (!metrics.some(({ half }) => half.some((row) => row.some((value) => value !== null)))) return "";
  return (
    " ± is half of the 95% interval over seeds, of a variance pooled over cells where they vary alike; " +
    "dd-ray results prints that of each cell's own seeds."
  );
}

/** How many of something there are: 1 cell, 2,000 cells. */
const counted = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

/** A value of a config, in as many digits as those of an axis. */
function settingText(value) {
  if (value === null) return "none";
  return typeof value === "number" && !Number.isInteger(value) ? String(+value.toPrecision(6)) : String(value);
}

const axisText = (axis, value) => axis.text[axis.values.indexOf(value)] ?? String(value);
const escaped = (text) =>
  String(text).replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);

const longestOf = (texts) => Math.max(...texts.map(({ length }) => length));
const lettersIn = (pixels) => Math.floor(pixels / 7); // of text of 12 pixels

/** A name as far as there is room for it. */
function fitted(name, pixels) {
  const most = lettersIn(pixels);
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** A text for a plot, in lines of so many letters at most. */
const inLines = (text, most) => (text.match(new RegExp(`.{1,${most}}`, "gs")) ?? []).map(escaped).join("<br>");

function nameOf(cell) {
  const values = data.axes.map((axis) => `${axis.symbol} = ${axisText(axis, cells[cell].at[axis.field])}`);
  return (isSearch ? `Suggestion ${cells[cell].suggestion}: ` : "") + values.join(", ");
}

/** How a cell's seeds ended, or those of them that ended worst. */
function markOf(metric, cell) {
  const mark = marks[metric.mark[state.time][cell]];
  const [at, marked, all] = [metric.at[state.time][cell], metric.marked[state.time][cell], cells[cell].trials.length];
  // Its trials may have gone on from there, or may yet.
  if (mark.name === "complete") return mark.meaning + (iterations[state.time] < data.last ? " up to here" : "");
  const when = at === null ? "" : ` at iteration ${at.toLocaleString("en")}`;
  return mark.meaning + when + (marked && marked < all ? ` in ${marked} of ${all} seeds` : "");
}

/** How many seeds are in a cell's mean, and at which iteration where others did not get as far. */
function seedsOf(metric, cell) {
  const [used, all] = [metric.seeds[state.time][cell], cells[cell].trials.length];
  const further = metric.further[state.time][cell];
  const when = further === null ? "" : ` at iteration ${further.toLocaleString("en")}`;
  return (used === all ? `${all} seed${all > 1 ? "s" : ""}` : `${used} of ${all} seeds`) + when;
}

function collapseOf(metric, cell) {
  const [collapsed, all] = [metric.collapsed[state.time][cell], cells[cell].trials.length];
  return collapsed ? `, collapsed${collapsed < all ? ` in ${collapsed} of ${all} seeds` : ""}` : "";
}

/** Whether the interval of a difference holds 0, as it may where the test of the whole map tells it from 0. */
const holdsZero = (metric, cell) => Math.abs(metric.mean[state.time][cell]) <= metric.half[state.time][cell];

/** Which maps a star and marks hold for: those of a cell's values of further axes, of which each has its own. */
function whereOf(cell) {
  const values = data.layout.rest.map((field) => `${axisOf[field].symbol} = ${axisText(axisOf[field], cells[cell].at[field])}`);
  return values.length ? ` where ${values.join(", ")}` : "";
}

/** What a cell is on its map: the best, as good as the best, or different from the reference. */
function distinctionOf(metric, cell) {
  if (metric.differs?.[state.time].includes(cell))
    return `, not 0, for the map as a whole${whereOf(cell)}${holdsZero(metric, cell) ? ", though its interval holds 0" : ""}`;
  if (metric.best?.[state.time].includes(cell)) return `, the best${whereOf(cell)}`;
  return metric.region?.[state.time].includes(cell) ? `, may be as good as the best${whereOf(cell)}` : "";
}

/** A cell's own score before training, which its score is to be compared with. */
function beforeTraining(metric, cell) {
  const score = metric.untrained?.[cell] ?? null;
  return score === null ? "" : `, before training: ${shown(metric, score)}`;
}

const sentence = (metric, cell) =>
  `${metric.label}: ${withInterval(metric, cell)} (${seedsOf(metric, cell)}), ` +
  markOf(metric, cell) +
  collapseOf(metric, cell) +
  distinctionOf(metric, cell) +
  beforeTraining(metric, cell);
