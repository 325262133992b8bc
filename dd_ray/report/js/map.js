// The map of a grid.

function mapTraces(shownCells, size) {
  const [metric, time] = [mapped(), state.time];
  const rows = (fill) => Array.from({ length: numY() }, () => Array(numX()).fill(fill));
  const [z, text] = [rows(null), rows("not part of the sweep")];
  const labels = { x: [], y: [], text: [], colours: [] };
  for (const cell of shownCells) {
    const [x, y] = [place(cell, xField), place(cell, yField)];
    const value = metric.mean[time][cell];
    z[y][x] = value;
    text[y][x] = hoverText(cell);
    labels.x.push(x);
    labels.y.push(y);
    labels.text.push(labelIn(size, cell));
    labels.colours.push(inkOn(metric, value));
  }
  const heat = {
    type: "heatmap",
    z,
    text,
    zmin: metric.min,
    zmax: metric.max,
    xgap: 2,
    ygap: 2,
    hoverongaps: true,
    hovertemplate: "%{text}<extra></extra>",
    ...colourScale(metric),
    colorbar: colourBar(metric, size.width - size.margin.l - size.margin.r),
  };
  const letters = {
    type: "scatter",
    mode: "text",
    x: labels.x,
    y: labels.y,
    text: labels.text,
    hoverinfo: "skip",
    textfont: { color: labels.colours, size: size.font },
  };
  return [heat, letters];
}

/** The marks of a cell: what it is on its map, how it ended, and whether its networks collapsed. */
function lettersOf(cell) {
  const [metric, time] = [mapped(), state.time];
  const best = metric.best?.[time].includes(cell) ? "★" : "";
  const triangles = holdsZero(metric, cell) ? "△▽" : "▲▼"; // hollow where the interval does not agree
  const distinction = metric.differs?.[time].includes(cell) ? triangles[metric.mean[time][cell] > 0 ? 0 : 1] : best;
  const collapsed = metric.collapsed[time][cell] ? "C" : "";
  return [distinction, marks[metric.mark[time][cell]].letter, collapsed].filter(Boolean).join(" ");
}

/** What fits into a cell of the map: its value, its interval and its marks; without room, the marks alone. */
function labelIn(size, cell) {
  const [metric, time] = [mapped(), state.time];
  const [mean, half] = [metric.mean[time][cell], metric.half[time][cell]];
  const value = mean === null || !size.numbers ? "" : shown(metric, mean);
  const letters = lettersOf(cell);
  const interval = value && half !== null && size.intervals ? `±${halfOf(metric, half)}` : "";
  return [value, interval, letters].filter(Boolean).join(hasLines(size.height, size.font) ? "<br>" : " ");
}

const SMALLEST = 8; // pixels, of numbers that can be read
const hasLines = (height, font) => height > 2.4 * font;

function mapSize() {
  const width = widthOf("map");
  const most = lettersIn(0.3 * width); // in a line of a value beside the map
  const [values, labels] = [longestOf(axisOf[xField].text), yField ? Math.min(most, longestOf(axisOf[yField].text)) : 0];
  const margin = withBar({ l: 32 + 7 * labels, r: 12, b: 50 });
  const height = Math.min(84, Math.max(30, 440 / numY()));
  const cellWidth = (width - margin.l - margin.r) / numX();
  const crowded = values * 8 > cellWidth;
  const lines = Math.max(1, Math.floor(cellWidth / 18));
  const across = Math.min(values, Math.max(most, Math.ceil(values / lines)));
  if (crowded) margin.b += 7 * across - 12;
  const [metric, time] = [mapped(), state.time];
  const halves = metric.half[time].filter((half) => half !== null);
  const isFlat = !hasLines(height, Math.min(13, height * 0.42));
  const longest = Math.max(
    ...metric.mean[time].map((mean, cell) => shown(metric, mean).length + (isFlat ? ` ${lettersOf(cell)}`.trimEnd().length : 0)),
    ...halves.map((half) => halfOf(metric, half).length + 1),
  );
  const fitting = (room) => room / (0.6 * longest);
  const within = Math.max(fitting(0.92 * cellWidth - 8), Math.min(SMALLEST, fitting(cellWidth - 6))); // the frame, if that can be read
  const font = Math.min(13, within, height * 0.42);
  const numbers = font >= SMALLEST;
  return {
    width,
    margin,
    height,
    most,
    across,
    crowded,
    numbers,
    intervals: numbers && height > 3.7 * font, // three lines, with the marks
    font: numbers ? font : Math.min(13, cellWidth * 0.8),
    total: height * numY(),
  };
}

/** An axis of the map; its values are in lines of so many letters at most, and its name has so many pixels. */
function mapAxis(field, angle, most, pixels) {
  const count = field ? axisOf[field].values.length : 1;
  return {
    range: [-0.52, count - 0.48], // with room for the outline
    ...AXIS,
    showgrid: false,
    ticks: "",
    tickvals: field ? [...Array(count).keys()] : [],
    ticktext: field ? axisOf[field].text.map((text) => inLines(text, most)) : [],
    title: {
      text: field ? escaped(fitted(axisOf[field].symbol, 0.8 * pixels)) : "", // larger than a tick
      font: { size: 15 },
      standoff: field === xField ? 24 : 12,
    },
    tickangle: angle,
  };
}

function drawMap() {
  const size = mapSize();
  const shownCells = cellsOnMap();
  const layout = {
    ...baseLayout(),
    width: size.width,
    height: size.total + size.margin.t + size.margin.b,
    margin: size.margin,
    plot_bgcolor: themeColour("empty"),
    xaxis: mapAxis(xField, size.crowded ? -90 : 0, size.across, size.width - size.margin.l - size.margin.r),
    yaxis: mapAxis(yField, 0, size.most, size.total),
    shapes: [...shapesOnMap(), ...noiseBracket(shownCells)],
    annotations: pinLetters(),
  };
  plot("map", mapTraces(shownCells, size), layout, {
    plotly_click: ({ points: [point] }) => choose(cellAt(point.x, point.y)),
  });
  drawLegend(shownCells);
}

const OVER_THE_MAP = ["cell", "pins", ...KEEPING];
/** Of the chosen cell, the pins and the filter, the map draws no more than what lies over it. */
function drawMapOrFrame(changed) {
  if (!isWithin(changed, OVER_THE_MAP)) return drawMap();
  overlay("map", { shapes: [...shapesOnMap(), ...noiseBracket(cellsOnMap())], annotations: pinLetters() });
}

function describeMap() {
  const how = "Click a cell, or use the arrow keys here. One colour scale for all sliders: that of the last iteration.";
  $("map-help").textContent = how + intervalsInWords();
}

if (!isSearch) {
  whenRead(describeMap);
  onArrows("map", nextCell);
  offerFiles("map", () => rowsOf(cellsOnMap(), [mapped()]));
  const all = ["metric", "compared", "time", "slice", ...OVER_THE_MAP, ...LOOK];
  drawNow(store.register({ on: all, far: "map", draw: drawMapOrFrame }));
}
