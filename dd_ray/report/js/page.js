// The page as Python wrote it: its elements, and the numbers of the sweep.

const $ = (id) => document.getElementById(id);
function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const data = JSON.parse($("data").textContent);
const { cells, iterations, metrics, marks } = data;
const isSearch = data.kind === "search";
const axisOf = Object.fromEntries(data.axes.map((axis) => [axis.field, axis]));
const metricOf = Object.fromEntries(metrics.map((metric) => [metric.name, metric]));
const COMPLETE = marks.findIndex((mark) => mark.name === "complete");

/** A metric as the map shows it: itself, or its difference to the cells where a field is 0. */
for (const metric of metrics) {
  metric.views = { "": metric };
  for (const { field, symbol } of data.references) {
    const label = `${metric.label} minus that at ${symbol} = 0`;
    const own = { label, field, signed: true, count: false, untrained: null, best: null, region: null, luck: null };
    metric.views[field] = { ...metric, ...own, ...metric.differences[field] };
  }
}
