// The plot of a search: each suggestion is a point.

const SYMBOL = {
  complete: "circle",
  stopped_early: "triangle-down",
  out_of_time: "triangle-down-open",
  at_plateau: "triangle-up-open",
  failed: "x",
  diverged: "x",
  unfinished: "circle-open",
};

/** Where cells are along an axis: at their values, of which 0 has a place of its own on a logarithmic one. */
function placesAlong(name) {
  const values = valuesOf(name);
  if (!axisOf[name]?.log) return values;
  const places = logarithmic(values).values;
  return values.map((value, cell) => (value > 0 ? value : 10 ** places[cell]));
}

/** The ticks of a logarithmic axis on which cells are at 0; plotly chooses all others. */
function ticksAlong(name) {
  if (!axisOf[name]?.log || valuesOf(name).every((value) => value > 0)) return {};
  const { tickvals, ticktext } = logarithmic(valuesOf(name));
  return { tickvals: tickvals.map((tick) => 10 ** tick), ticktext };
}

function scatterAxis(name) {
  const field = axisOf[name];
  return {
    type: field ? (field.log ? "log" : undefined) : undefined,
    ...AXIS,
    gridcolor: themeColour("grid"),
    nticks: 7,
    ...ticksAlong(name),
    title: { text: escaped(field ? field.symbol : metricOf[name].label), standoff: 20 },
    exponentformat: field?.log ? "none" : "power",
  };
}

function drawScatter() {
  const { metric, time } = state;
  const [across, up] = [placesAlong(state.across), placesAlong(state.up)];
  const width = widthOf("map");
  const margin = withBar({ l: 66, r: 14, b: 56 });
  const points = {
    type: "scatter",
    mode: "markers+text",
    x: across,
    y: up,
    text: cells.map((_, cell) => (isKept(cell) ? lettersOf(cell) : "")),
    textposition: "top right",
    textfont: { size: 10, color: themeColour("ink") },
    hovertext: cells.map((_, cell) => hoverText(cell)),
    hovertemplate: "%{hovertext}<extra></extra>",
    marker: {
      color: metric.mean[time].map((value) => value),
      cmin: metric.min,
      cmax: metric.max,
      ...colourScale(metric),
      colorbar: colourBar(metric, width - margin.l - margin.r),
      size: cells.map((cell) => (cell.on_front ? 15 : 10)),
      opacity: kept().map((is) => (is ? 1 : NOT_KEPT)),
      symbol: metric.mark[time].map((mark) => SYMBOL[marks[mark].name] ?? "diamond-open"),
      line: { width: cells.map((cell) => (cell.on_front ? 2.5 : 1)), color: themeColour("ink") },
    },
  };
  const ring = {
    type: "scatter",
    mode: "markers",
    x: state.cell < 0 ? [] : [across[state.cell]],
    y: state.cell < 0 ? [] : [up[state.cell]],
    hoverinfo: "skip",
    marker: { size: 24, symbol: "circle-open", color: themeColour("accent"), line: { width: 3 } },
  };
  const layout = {
    ...baseLayout(),
    width,
    height: 470,
    margin,
    hovermode: "closest",
    xaxis: scatterAxis(state.across),
    yaxis: scatterAxis(state.up),
    shapes: noiseBracket([...cells.keys()]),
  };
  plot("map", [points, ring, pinnedPoints(across, up)], layout, { plotly_click: ({ points: [point] }) => choose(point.pointNumber) });
  drawLegend([...cells.keys()]);
  $("legend").append(element("li", "large, thick edge: on the front"));
}

function fillPlaces() {
  const places = [...data.axes.map(({ field, symbol }) => [field, symbol]), ...metrics.map(({ name, label }) => [name, label])];
  for (const id of ["across", "up"]) fillOptions(id, places);
}

function showPlaces() {
  for (const id of ["across", "up"]) $(id).value = state[id];
}

function describeScatter() {
  const how = "A search draws its settings and has no grid: each point is a suggestion. Click a point, or use the arrow keys.";
  $("map-help").textContent = how + intervalsInWords();
}

function buildScatter() {
  whenRead(fillPlaces);
  whenRead(describeScatter);
  store.register({ on: ["across", "up"], draw: showPlaces });
  for (const id of ["across", "up"]) {
    $(id).addEventListener("change", () => store.update({ [id]: $(id).value }));
  }
  offerFiles("map", () => rowsOf([...cells.keys()], metrics));
  onArrows("map", (move) => nextPoint(move, [state.across, state.up]));
  store.register({ on: ["metric", "compared", "time", "cell", "pins", "across", "up", ...KEEPING, ...LOOK], draw: drawScatter });
}

for (const control of document.querySelectorAll(".search-only")) control.hidden = !isSearch;
if (isSearch) buildScatter();
