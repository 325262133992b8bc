// Numbers and cells in words.

function shown(metric, value) {
  if (value === null) return "–";
  if (value === 0) return "0";
  if (metric.signed) return withSign(metric, value);
  return metric.count ? String(+value.toPrecision(3)) : value.toPrecision(metric.digits);
}

/** A difference, with as many decimals as the others, so that they can be compared at a glance. */
function withSign(metric, value) {
  const text = Math.abs(value).toFixed(metric.decimals);
  return Number(text) === 0 ? text : `${value > 0 ? "+" : "−"}${text}`;
}

function withInterval(metric, cell) {
  const half = metric.half[state.time][cell];
  const value = shown(metric, metric.mean[state.time][cell]);
  return half === null ? value : `${value} ± ${+half.toPrecision(2)}`;
}

const axisText = (axis, value) => axis.text[axis.values.indexOf(value)] ?? String(value);
const escaped = (text) =>
  String(text).replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);

function nameOf(cell) {
  const values = data.axes.map((axis) => `${axis.symbol} = ${axisText(axis, cells[cell].at[axis.field])}`);
  return (isSearch ? `Suggestion ${cells[cell].suggestion}: ` : "") + values.join(", ");
}

function markOf(metric, cell) {
  const mark = marks[metric.mark[state.time][cell]];
  const at = metric.at[state.time][cell];
  return mark.meaning + (at === null || mark.name === "complete" ? "" : ` at iteration ${at.toLocaleString("en")}`);
}

function seedsOf(metric, cell) {
  const [used, all] = [metric.seeds[state.time][cell], cells[cell].trials.length];
  return used === all ? `${all} seed${all > 1 ? "s" : ""}` : `${used} of ${all} seeds`;
}

function collapseOf(metric, cell) {
  const [collapsed, all] = [metric.collapsed[state.time][cell], cells[cell].trials.length];
  return collapsed ? `, collapsed${collapsed < all ? ` in ${collapsed} of ${all} seeds` : ""}` : "";
}

/** What a cell is on its map: the best, as good as the best, or different from the reference. */
function distinctionOf(metric, cell) {
  if (metric.differs?.[state.time].includes(cell)) return ", not 0, for the map as a whole";
  if (metric.best?.[state.time].includes(cell)) return ", the best";
  return metric.region?.[state.time].includes(cell) ? ", may be as good as the best" : "";
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
