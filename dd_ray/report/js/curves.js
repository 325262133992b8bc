// The chosen cell's curves: metrics over iterations.

/** Metrics of more than two evaluations: what is computed once, before and after the training, has no curve. */
const several = () =>
  metrics.filter((metric) => metric.mean.filter((row) => row.some((value) => value !== null)).length > 2);
let curved = [];
whenRead(() => {
  curved = several().length ? several() : metrics;
});

/** Places of the iterations at which one of some trials was evaluated: a map keeps their last number from there on. */
const evaluated = (metric, trials) =>
  [...iterations.keys()].filter((time) => trials.some(({ curves }) => curves[metric.name][time] !== null));

/** A cell's means over iterations, null where none of its seeds was evaluated. */
function meansOf(metric, cell) {
  const known = new Set(evaluated(metric, cells[cell].trials));
  return metric.mean.map((row, time) => (known.has(time) ? row[cell] : null));
}

/** A cell's mean, half of its interval, and seeds at an iteration; nothing where none of its seeds was evaluated. */
function evaluationAt(metric, cell, time) {
  const known = cells[cell].trials.some(({ curves }) => curves[metric.name][time] !== null);
  return [metric.mean, metric.half, metric.seeds].map((of) => (known ? of[time][cell] : null));
}

/** The 95% intervals of a cell's mean over iterations, where there are any of enough seeds. */
function bandOf(metric, cell, fillcolor) {
  const known = evaluated(metric, cells[cell].trials).filter((time) => intervalOf(metric, cell, time) !== null);
  const ends = known.map((time) => endsOf(metric, metric.mean[time][cell], metric.half[time][cell]));
  return {
    x: [...known, ...[...known].reverse()].map((time) => iterations[time]),
    y: [...ends.map(([, high]) => high), ...ends.map(([low]) => low).reverse()],
    mode: "lines",
    fill: "toself",
    line: { width: 0 },
    fillcolor,
    opacity: 0.22,
    hoverinfo: "skip",
  };
}

function curveTraces(metric, axis) {
  const { trials } = cells[state.cell];
  const anchors = { type: "scatter", xaxis: `x${axis}`, yaxis: `y${axis}` };
  const seeds = { x: [], y: [] };
  for (const trial of trials) {
    const known = evaluated(metric, [trial]);
    seeds.x.push(...known.map((time) => iterations[time]), null);
    seeds.y.push(...known.map((time) => trial.curves[metric.name][time]), null);
  }
  const band = bandOf(metric, state.cell, themeColour("accent"));
  const thin = { ...seeds, mode: "lines", line: { color: themeColour("soft"), width: 1 }, hoverinfo: "skip" };
  const thick = {
    x: iterations,
    y: meansOf(metric, state.cell),
    connectgaps: true,
    mode: evaluated(metric, trials).length > 12 ? "lines" : "lines+markers",
    marker: { size: 4 },
    line: { color: themeColour("accent"), width: 2.2 },
    hovertemplate: "%{x}: %{y:.4~g}<extra></extra>",
  };
  return [band, thin, thick].map((trace) => ({ ...anchors, ...trace }));
}

/** All values of a metric in the trials of some cells. */
function valuesOfCurves(metric, shown) {
  const trials = shown.flatMap((cell) => cells[cell].trials);
  return trials.flatMap(({ curves }) => curves[metric.name]).filter((value) => value !== null);
}

/** The range of an axis where all values are one but for rounding, whose digits would be its ticks otherwise. */
function rangeOfCurves(metric, shown) {
  const values = valuesOfCurves(metric, shown);
  if (!values.length) return { range: [0, 1], showticklabels: false };
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (high - low > 1e-9 * Math.abs(high)) return { autorange: true };
  return { range: withRoom(metric, [low, low]) };
}

/** In the panel of each metric, a line at the iteration of the map. */
function iterationLines(some) {
  return some.map((_, i) => {
    const axis = i ? i + 1 : "";
    const ends = { x0: iterations[state.time], x1: iterations[state.time], y0: 0, y1: 1 };
    const line = { color: themeColour("soft"), width: 1, dash: "dot" };
    return { type: "line", xref: `x${axis}`, yref: `y${axis} domain`, ...ends, line };
  });
}

function curveLayout(columns, width, some, shown) {
  const rows = Math.ceil(some.length / columns);
  const rowHeight = 138;
  const layout = {
    ...baseLayout(),
    width,
    height: rows * rowHeight + 26,
    margin: { l: 46, r: 16, t: 22, b: 34 },
    annotations: [],
    shapes: iterationLines(some),
    grid: { rows, columns, pattern: "independent", xgap: 0.3, ygap: 0.42 },
    hovermode: "closest",
  };
  some.forEach((metric, i) => {
    const axis = i ? i + 1 : "";
    const shared = { ...AXIS, gridcolor: themeColour("grid"), tickfont: { size: 10 } };
    layout[`xaxis${axis}`] = {
      ...shared,
      range: [iterations[0], Math.max(data.last, 1)],
      nticks: 4,
      title: i >= some.length - columns ? { text: "iteration", font: { size: 11 }, standoff: 4 } : {},
    };
    layout[`yaxis${axis}`] = { ...shared, ...rangeOfCurves(metric, shown), nticks: 5, exponentformat: "power" };
    layout.annotations.push({
      text: escaped(fitted(metric.short, (0.8 * width) / columns)) + (valuesOfCurves(metric, shown).length ? "" : ": no value"),
      xref: `x${axis} domain`,
      yref: `y${axis} domain`,
      x: 0,
      y: 1,
      xanchor: "left",
      yanchor: "bottom",
      showarrow: false,
      font: { size: 12 },
    });
  });
  return layout;
}

const FEW_CURVES = 6; // are drawn in the time that a click may take

const idOfPart = (part) => (part ? `curves-${part}` : "curves");
const curvesOfPart = (part) => curved.slice(part * FEW_CURVES, (part + 1) * FEW_CURVES);

/** Traces and layout of some metrics' curves. */
function figureOfCurves(some) {
  const width = widthOf("curves");
  const columns = Math.min(curved.length, width > 560 ? 3 : 2);
  return [some.flatMap((metric, i) => curveTraces(metric, i ? i + 1 : "")), curveLayout(columns, width, some, [state.cell])];
}

/** Draw a part of the metrics, as a plot of its own: of many metrics, those that are seen. */
function drawCurves(part, changed) {
  const some = curvesOfPart(part);
  $(idOfPart(part)).hidden = !some.length;
  if (state.cell < 0 || !some.length) return;
  if (isWithin(changed, ["time"]) && $(idOfPart(part)).data) overlay(idOfPart(part), { shapes: iterationLines(some) });
  else plot(idOfPart(part), ...figureOfCurves(some));
}

const bandInWords = () =>
  cells[state.cell].trials.length < FEWEST_SEEDS_WITH_BARS ? "" : ", with its 95% interval from three seeds on";

function describeCurves() {
  if (state.cell < 0) return;
  $("curves-help").textContent =
    (cells[state.cell].trials.length > 1
      ? `Thick: the mean of the seeds that got as far${bandInWords()}; thin: single seeds.`
      : "One seed.") +
    " Dotted: the iteration of the map." +
    (data.thinned ? ` Shown are ${iterations.length} of the evaluations.` : "") +
    (curved.length < metrics.length ? " Scores that are computed once, at the end, stand below." : "");
}

/** The mean of the chosen cell's seeds over iterations, and each seed, a row for each metric and iteration. */
function curveRows() {
  const { trials } = cells[state.cell];
  const row = (metric, time) => [
    ...[metric.name, iterations[time], ...evaluationAt(metric, state.cell, time).slice(0, 2)],
    ...trials.map((trial) => trial.curves[metric.name][time]),
  ];
  const heading = ["metric", "iteration", "mean", "half", ...trials.map(({ seed }) => `seed_${seed}`)];
  return [heading, ...curved.flatMap((metric) => iterations.map((_, time) => row(metric, time)))];
}

let curveParts = 0;
/** A plot for each part of the metrics; newer numbers may have more of them. */
function buildCurves() {
  for (; curveParts < Math.max(1, Math.ceil(curved.length / FEW_CURVES)); curveParts++) {
    const part = curveParts;
    const named = { id: idOfPart(part), class: "plot", role: "img", "aria-label": "Further metrics of the chosen cell" };
    if (part) $("curves-rest").append(element("div", "", named));
    const draw = (changed) => drawCurves(part, changed);
    store.register({ on: ["cell", "time", ...LOOK], later: true, far: idOfPart(part), unseen: !part, draw });
  }
}

store.register({ on: ["cell"], draw: describeCurves });
whenRead(buildCurves);
offerFiles("curves", curveRows, { figure: () => figureOfCurves(curved), below: "curves-rest" });
