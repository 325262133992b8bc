// What all plots share: their layout, their colour bar, and how they are drawn.

const NOT_KEPT = 0.12; // opacity of points that the filter does not keep
/** What the axes of all plots share. Nothing measures the labels of ticks to hide those that stick out. */
const AXIS = { fixedrange: true, zeroline: false, ticklabeloverflow: "allow" };
const QUIET = { displayModeBar: false, displaylogo: false, responsive: false, scrollZoom: false };

/** How wide a plot may be, in pixels of text of the usual size: it is laid out for these, and then enlarged. */
const widthOf = (id) => Math.max(200, $(id).clientWidth) / textSize();

const WITH_TEXT = ["height", "standoff", "thickness", "xshift", "yshift", "ypad"]; // names of what grows with text
/** What grows with text where it is part of something: its fonts, its margins, what is given in pixels. */
function growing(part, name) {
  if (/font$/.test(name)) return ["size"];
  if (name === "margin") return ["l", "r", "t", "b"];
  const inPixels = ["x", "y"].flatMap((side) => (part[`${side}sizemode`] === "pixel" ? [`${side}0`, `${side}1`] : []));
  return [...WITH_TEXT, ...inPixels, ...("margin" in part ? ["width"] : [])];
}

/** A layout or trace for a reader whose text is larger than usual. */
function enlarged(part, size, name = "") {
  if (Array.isArray(part)) return typeof part[0] === "object" ? part.map((one) => enlarged(one, size)) : part;
  if (part === null || typeof part !== "object") return part;
  const grown = growing(part, name);
  const larger = ([key, value]) => [key, grown.includes(key) && typeof value === "number" ? value * size : enlarged(value, size, key)];
  return Object.fromEntries(Object.entries(part).map(larger));
}

/** Traces and layout as the reader's size of text asks for them. */
function sized(traces, layout) {
  const size = textSize();
  return size === 1 ? [traces, layout] : [traces.map((trace) => enlarged(trace, size)), enlarged(layout, size)];
}

/** A trace without empty texts: plotly takes away the element of one, and has none when it is filled. */
const withTexts = (trace) =>
  trace.mode?.includes("text") ? { ...trace, text: trace.text.map((text) => text || " ") } : trace;

/** Draw a plot in an element; `on` has a listener for each event of plotly's, added with the first drawing. */
function plot(id, traces, layout, on = {}) {
  const first = !$(id).data;
  Plotly.react(id, ...sized(traces.map(withTexts), layout), QUIET);
  if (first) for (const [event, listener] of Object.entries(on)) $(id).on(event, listener);
}

/** Change what lies over a plot. Plotly draws single shapes by themselves, but of a new list all traces as well. */
function overlay(id, over) {
  const [, wanted] = sized([], over);
  const changes = Object.entries(wanted).flatMap(([name, list]) => exchanged(name, list, $(id).layout[name] ?? []));
  if (changes.length) Plotly.relayout(id, Object.fromEntries(changes));
}

/** What turns one list of shapes or annotations into another: after those that both begin with, all are exchanged. */
function exchanged(name, wanted, had) {
  const same = wanted.findIndex((one, i) => JSON.stringify(one) !== JSON.stringify(had[i]));
  const shared = same < 0 ? wanted.length : same;
  const added = wanted.slice(shared).map((one, i) => [`${name}[${had.length + i}]`, one]);
  const removed = had.slice(shared).map((_, i) => [`${name}[${shared + i}]`, null]);
  return [...added, ...removed];
}

const isWithin = (changed, keys) => [...changed].every((key) => keys.includes(key));

/**
 * Below a plot, what keeps it: as pictures, and as the table of numbers, heading first, that `rows` gives; of what is
 * no plot, the numbers alone. `figure` gives traces and layout of a plot that is drawn in several parts, the last of
 * which is in the element `below`.
 */
function offerFiles(id, rows, { pictures = true, figure = null, below = id } = {}) {
  const bar = element("p", "", { class: "downloads" });
  const title = $(id).getAttribute("aria-labelledby");
  const image = (options) => {
    store.catchUp(id);
    if (!figure) return Plotly.toImage(id, options);
    const [traces, layout] = sized(...figure());
    return Plotly.toImage({ data: traces, layout }, { ...options, width: layout.width, height: layout.height });
  };
  const drawn = {
    SVG: () => image({ format: "svg" }),
    PNG: () => image({ format: "png", scale: 2 }),
  };
  const kinds = {
    ...(pictures ? drawn : {}),
    CSV: async () => `data:text/csv;charset=utf-8,${encodeURIComponent(rows().map(csvLine).join(""))}`,
  };
  for (const [kind, made] of Object.entries(kinds)) {
    const own = `${id}-${kind}`;
    const button = element("button", kind, { type: "button", id: own, "aria-label": `${kind} file: ${title ? "" : $(id).ariaLabel}` });
    if (title) button.setAttribute("aria-labelledby", `${own} ${title}`); // which changes with what is shown
    button.addEventListener("click", async () => {
      const name = `${data.about.name}_${id}.${kind.toLowerCase()}`;
      element("a", "", { href: await made(), download: name }).click();
    });
    bar.append(button);
  }
  const scrolled = $(id).closest(".scroll");
  (scrolled ?? $(below)).after(bar);
}

/** A value in a table of numbers; a text that a spreadsheet would compute begins with ', as in those that Python writes. */
function csvValue(value) {
  const isFormula = typeof value === "string" && /^[=+@-]/.test(value) && Number.isNaN(Number(value));
  const text = `${isFormula ? "'" : ""}${value ?? ""}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
const csvLine = (values) => `${values.map(csvValue).join(",")}\n`;

/** Places on a logarithmic axis, at powers of ten and, where these are few, at 2 and 5 times them. */
function logarithmicTicks(low, high) {
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  const within = (multiples) =>
    powers.flatMap((power) => multiples.map((multiple) => power + Math.log10(multiple)))
      .filter((tick) => tick >= low - 1e-9 && tick <= high + 1e-9);
  return [[1], [1, 3], [1, 2, 5]].map(within).find((ticks) => ticks.length > 2) ?? [low, high];
}

const tickText = (tick) => String(+tick.toPrecision(6));

/** A logarithmic axis: places of values as powers of ten, with one below them for 0, which fields without effect have. */
function logarithmic(values) {
  const positive = values.filter((value) => value > 0).map(Math.log10);
  const [low, high] = positive.length ? [Math.min(...positive), Math.max(...positive)] : [0, 0];
  const zero = low - 0.1 * (high - low || 1);
  const hasZero = positive.length < values.length;
  const ticks = positive.length ? logarithmicTicks(low, high) : [];
  const labels = ticks.map((tick) => tickText(10 ** tick));
  return {
    zero: hasZero ? zero : null,
    values: values.map((value) => (value > 0 ? Math.log10(value) : zero)),
    range: [hasZero ? zero : low, high],
    tickvals: hasZero ? [zero, ...ticks] : ticks,
    ticktext: hasZero ? ["0", ...labels] : labels,
  };
}

/** The ends of a mean's interval, as far as the metric can go. */
function endsOf(metric, mean, half) {
  const [least, most] = metric?.within ?? [];
  return [Math.max(mean - half, least ?? -Infinity), Math.min(mean + half, most ?? Infinity)];
}

/** The intervals of means as bars; `halves` are null where there are none. */
function intervalBars(metric, means, halves, look = {}) {
  const ends = means.map((mean, i) => endsOf(metric, mean, halves[i] ?? 0));
  const [arrayminus, array] = [0, 1].map((end) => means.map((mean, i) => Math.abs(ends[i][end] - mean)));
  return { type: "data", symmetric: false, array, arrayminus, thickness: 1, width: 0, ...look };
}

/** The range of an axis that shows what lies between two ends, and the whole of what lies at them. */
function withRoom(metric, [low, high]) {
  const [from, to] = high > low ? [low, high] : endsOf(metric, low, Math.abs(low) / 2 || 1);
  const room = 0.06 * (to - from);
  return [from - room, to + room];
}

const hintOf = ({ better, signed }) =>
  ({
    min: signed ? "below 0 is better: blue" : "lower is better",
    max: signed ? "above 0 is better: blue" : "higher is better",
  })[better] ?? "";

/** Margins of a plot with a colour bar above it. Plotly's own room for one is that of the drawing before. */
const withBar = (margin) => ({ t: 66, autoexpand: false, ...margin });

/** A colour bar, with as many ticks as find room on a map of a width in pixels. */
function colourBar(metric, width) {
  return {
    orientation: "h",
    x: 0.5,
    y: 1,
    yanchor: "bottom",
    ypad: 6,
    xpad: 0,
    len: 1,
    thickness: 11,
    outlinewidth: 0,
    title: { text: hintOf(metric) + (metric.noise === null ? "" : "<br> "), side: "top", font: { size: 12 } }, // above the bracket
    tickfont: { size: 11 },
    nticks: Math.max(2, Math.min(6, Math.floor(width / 60))),
    tickangle: 0,
  };
}

/** Whether there is a bracket, and a colour bar for it: a map without a number has none. */
function hasBracket(shownCells) {
  const metric = mapped();
  return metric.noise !== null && shownCells.some((cell) => metric.mean[state.time][cell] !== null);
}

const BRACKET = "least significant difference";
/** On the colour bar, from its lower end or from 0, how far two cells, or one and 0, must differ to be told apart. */
function noiseBracket(shownCells) {
  const metric = mapped();
  if (!hasBracket(shownCells)) return [];
  const low = metric.signed ? 0 : metric.min;
  const [from, to] = [low, low + metric.noise].map((value) => (value - metric.min) / (metric.max - metric.min));
  const line = (x0, y0, x1, y1) => ({
    ...{ type: "line", name: BRACKET, xref: "paper", yref: "paper", ysizemode: "pixel", yanchor: 1 },
    ...{ x0, y0, x1, y1, line: { color: themeColour("ink"), width: 1.5 } },
  });
  const [foot, top] = [30, 34]; // pixels above the map: just above the bar
  return [line(from, foot, from, top), line(from, top, to, top), line(to, top, to, foot)];
}

function baseLayout() {
  return {
    paper_bgcolor: themeColour("panel"),
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    dragmode: false,
    font: { family: "system-ui, sans-serif", size: 12, color: themeColour("ink") },
    hoverlabel: {
      bgcolor: themeColour("panel"),
      bordercolor: themeColour("soft"),
      align: "left",
      font: { color: themeColour("ink"), size: 13 },
    },
  };
}
