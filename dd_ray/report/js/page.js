// The page as Python wrote it: its elements, and the numbers of the sweep, which may be replaced by newer ones.

const $ = (id) => document.getElementById(id);
function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** How many times as large as usual the reader's text is. */
const textSize = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

const isPrinting = () => document.documentElement.classList.contains("printing");

/** Give a list its options, unless it has them: it may be open. */
function fillOptions(id, options) {
  const had = [...$(id).options].map(({ value }) => value);
  if (had.join() === options.map(([value]) => value).join()) return;
  $(id).replaceChildren(...options.map(([value, text]) => element("option", text, { value })));
}

let data = null;
let cells = [];
let iterations = [];
let metrics = [];
let marks = [];
let axisOf = {};
let metricOf = {};

/** A metric as the map shows it: itself, or its difference to the cells where a field is 0, once it is asked for. */
function addViews(metric) {
  metric.views = { "": metric };
  for (const { field, symbol } of data.references) {
    const label = `${metric.label} minus that at ${symbol} = 0`;
    const none = { within: [null, null], untrained: null, best: null, region: null, luck: null };
    const own = { label, field, signed: true, count: false, ...none };
    lazy(metric.views, field, () => ({ ...metric, ...own, ...metric.differences[field] }));
  }
}

const derivations = [];
/** Find something out from the numbers: now, and again when newer ones come. */
function whenRead(derive) {
  derivations.push(derive);
  derive();
}

/** Take newer numbers of the same sweep. */
function read(content) {
  data = content;
  ({ cells, iterations, metrics, marks } = content);
  axisOf = Object.fromEntries(data.axes.map((axis) => [axis.field, axis]));
  metricOf = Object.fromEntries(metrics.map((metric) => [metric.name, metric]));
  metrics.forEach(addViews);
  for (const derive of derivations) derive();
}

const [packed] = await Promise.all([packedContent("data"), runLibrary()]).catch(cannotBeRead);
read(packed);
const isSearch = data.kind === "search";
const COMPLETE = marks.findIndex((mark) => mark.name === "complete");
