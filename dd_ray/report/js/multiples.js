// Small maps beside each other: that of the sweep at every value of its first slider, λ in the usual case.

const sliced = () => data.layout.slices.find((field) => axisOf[field].values.length > 1) ?? null;
const WIDEST_SMALL_MAP = 210;

/** A small map: the cells at one value of the slider, with their marks alone. */
function smallMap(value, panel) {
  const [metric, time] = [mapped(), state.time];
  const shownCells = cellsOnMap({ ...state.slice, [sliced()]: value });
  const rows = (fill) => Array.from({ length: numY() }, () => Array(numX()).fill(fill));
  const [z, text, customdata] = [rows(null), rows(""), rows(-1)];
  for (const cell of shownCells) {
    const [x, y] = [place(cell, xField), place(cell, yField)];
    z[y][x] = metric.mean[time][cell];
    text[y][x] = hoverText(cell);
    customdata[y][x] = cell;
  }
  const axis = panel ? panel + 1 : "";
  const at = { xaxis: `x${axis}`, yaxis: `y${axis}`, ...colourScale(metric) };
  const look = { zmin: metric.min, zmax: metric.max, xgap: 1, ygap: 1, showscale: false };
  const heat = { type: "heatmap", z, text, customdata, hoverongaps: false, hovertemplate: "%{text}<extra></extra>" };
  const letters = {
    type: "scatter",
    mode: "text",
    x: shownCells.map((cell) => place(cell, xField)),
    y: shownCells.map((cell) => place(cell, yField)),
    text: shownCells.map(lettersOf),
    textfont: { size: 10, color: shownCells.map((cell) => inkOn(metric, metric.mean[time][cell])) },
    hoverinfo: "skip",
    xaxis: at.xaxis,
    yaxis: at.yaxis,
  };
  return [{ ...heat, ...at, ...look }, letters];
}

function smallAxis(field, labelled) {
  const axis = field ? axisOf[field] : null;
  const count = axis ? axis.values.length : 1;
  const most = lettersOfSmall();
  const some = (axis?.text ?? []).map((text, i) => (count <= 6 || i % Math.ceil(count / 6) === 0 ? inLines(text, most) : ""));
  return {
    range: [-0.52, count - 0.48],
    ...AXIS,
    showgrid: false,
    ticks: "",
    tickvals: [...some.keys()],
    ticktext: some,
    tickfont: { size: 10 },
    showticklabels: labelled,
  };
}

/** How many letters of a value stand in a line beside small maps. */
const lettersOfSmall = () => lettersIn(0.3 * widthOf("multiples"));

/** Where each small map lies, in pixels, and how large all are together. */
function smallPlaces(count) {
  const width = widthOf("multiples");
  const margin = { l: 14 + 6 * Math.min(lettersOfSmall(), yField ? longestOf(axisOf[yField].text) : 0), r: 8, t: 22, b: 22 };
  const [gapX, gapY] = [10, 22];
  const rows = Math.ceil(count / Math.max(1, Math.ceil((width - margin.l) / WIDEST_SMALL_MAP)));
  const columns = Math.ceil(count / rows); // as many in each row as can be
  const panel = Math.min(WIDEST_SMALL_MAP, (width - margin.l - margin.r - gapX * (columns - 1)) / columns);
  const height = Math.max(24, Math.min(panel, (panel / numX()) * numY()));
  const [inner, tall] = [width - margin.l - margin.r, rows * height + (rows - 1) * gapY];
  const at = (i) => {
    const [x, y] = [(i % columns) * (panel + gapX), Math.floor(i / columns) * (height + gapY)];
    return { x: [x / inner, (x + panel) / inner], y: [1 - (y + height) / tall, 1 - y / tall] };
  };
  return { width, margin, columns, rows, panel, height: tall + margin.t + margin.b, at };
}

/** The values of the slider over their small maps, that of the map above in bold. */
function smallTitles() {
  const field = sliced();
  const { panel } = smallPlaces(axisOf[field].values.length);
  return axisOf[field].text.map((text, i) => {
    const [axis, named] = [i ? i + 1 : "", `${axisOf[field].symbol} = ${text}`];
    const title = escaped(named.length > lettersIn(panel) ? fitted(text, panel) : named); // the heading names the field
    const here = { xref: `x${axis} domain`, yref: `y${axis} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom" };
    const shownNow = state.slice[field] === i;
    return { ...here, text: shownNow ? `<b>${title}</b>` : title, showarrow: false, font: { size: 12 } };
  });
}

let otherSliders = null; // as they were when the small maps were drawn
/** Of another value of their own slider, the small maps draw no more than their titles. */
function drawMultiplesOrTitles(changed) {
  if (sliced() === null) return;
  const others = JSON.stringify({ ...state.slice, [sliced()]: null });
  if (isWithin(changed, ["slice"]) && others === otherSliders) return overlay("multiples", { annotations: smallTitles() });
  otherSliders = others;
  drawMultiples();
}

function drawMultiples() {
  const { values } = axisOf[sliced()];
  const places = smallPlaces(values.length);
  const layout = { ...baseLayout(), width: places.width, height: places.height, margin: places.margin };
  layout.plot_bgcolor = themeColour("empty");
  layout.annotations = smallTitles();
  values.forEach((_, i) => {
    const [axis, { x, y }] = [i ? i + 1 : "", places.at(i)];
    const clamped = (ends) => ends.map((end) => Math.min(1, Math.max(0, end)));
    const lowest = i + places.columns >= values.length;
    layout[`xaxis${axis}`] = { ...smallAxis(xField, lowest), domain: clamped(x), anchor: `y${axis}` };
    layout[`yaxis${axis}`] = { ...smallAxis(yField, i % places.columns === 0), domain: clamped(y), anchor: `x${axis}` };
  });
  plot("multiples", values.flatMap((_, i) => smallMap(i, i)), layout, {
    plotly_click: ({ points: [{ customdata }] }) => choose(customdata),
  });
}

/** All values of the slider, where there are several; what the other sliders say holds for each small map. */
function describeMultiples() {
  const field = sliced();
  $("multiples-section").hidden = field === null;
  if (field === null) return;
  const { symbol } = axisOf[field];
  $("multiples-title").textContent = `The map at every ${symbol}`;
  $("multiples-help").textContent = "In the colours of the map above. Click a cell to choose it.";
}

whenRead(describeMultiples);
if (!isSearch) {
  const cellsOnAll = () => axisOf[sliced()].values.flatMap((_, i) => cellsOnMap({ ...state.slice, [sliced()]: i }));
  offerFiles("multiples", () => rowsOf(cellsOnAll(), [mapped()]));
  store.register({
    on: ["metric", "compared", "time", "slice", ...LOOK],
    later: true,
    far: "multiples",
    draw: drawMultiplesOrTitles,
  });
}
