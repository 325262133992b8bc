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

function scatterAxis(name) {
  const field = axisOf[name];
  return {
    type: field ? (field.log ? "log" : undefined) : undefined,
    ...AXIS,
    gridcolor: themeColour("grid"),
    nticks: 7,
    title: { text: escaped(field ? field.symbol : metricOf[name].label), standoff: 20 },
    exponentformat: field?.log ? "none" : "power",
  };
}

function drawScatter() {
  const { metric, time } = state;
  const [across, up] = [valuesOf(state.across), valuesOf(state.up)];
  const width = Math.max(200, $("map").clientWidth);
  const points = {
    type: "scatter",
    mode: "markers",
    x: across,
    y: up,
    text: cells.map((_, cell) => hoverText(cell)),
    hovertemplate: "%{text}<extra></extra>",
    marker: {
      color: metric.mean[time].map((value) => value),
      cmin: metric.min,
      cmax: metric.max,
      ...colourScale(metric),
      colorbar: colourBar(metric),
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
    margin: { l: 66, r: 14, t: 66, b: 56 },
    hovermode: "closest",
    xaxis: scatterAxis(state.across),
    yaxis: scatterAxis(state.up),
  };
  plot("map", [points, ring, pinnedPoints(across, up)], layout, { plotly_click: ({ points: [point] }) => choose(point.pointNumber) });
  drawLegend(cells.map((_, cell) => cell));
  $("legend").append(element("li", "large, thick edge: on the front"));
}

function fillPlaces() {
  const places = [...data.axes.map(({ field, symbol }) => [field, symbol]), ...metrics.map(({ name, label }) => [name, label])];
  for (const id of ["across", "up"]) fillOptions(id, places);
}

function showPlaces() {
  for (const id of ["across", "up"]) $(id).value = state[id];
}

function buildScatter() {
  whenRead(fillPlaces);
  store.register({ on: ["across", "up"], draw: showPlaces });
  $("map-help").textContent =
    "A search draws its settings and has no grid: each point is a suggestion. Click a point, or use the arrow keys.";
  for (const id of ["across", "up"]) {
    $(id).addEventListener("change", () => store.update({ [id]: $(id).value }));
  }
  offerFiles("map", () => rowsOf([...cells.keys()], metrics));
  onArrows("map", (move) => nextPoint(move, [state.across, state.up]));
  store.register({ on: ["metric", "compared", "time", "cell", "pins", "across", "up", ...KEEPING, ...LOOK], draw: drawScatter });
}

for (const control of document.querySelectorAll(".search-only")) control.hidden = !isSearch;
if (isSearch) buildScatter();
