// Trade-offs: cells over two metrics, with their Pareto front.

const SHAPES = { circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", "triangle-down": "▼", cross: "✚", x: "✖" };
let coloured = null; // the axes that colours, lines and shapes stand for
let joined = null;
let shaped = null;
whenRead(() => {
  const swept = data.axes.filter((axis) => axis.values.length > 1);
  const named = (...names) => swept.find((axis) => names.includes(axis.field));
  coloured = named("gamma") ?? named("lam") ?? named("beta", "beta_norm") ?? swept[0] ?? data.axes[0];
  joined = named("beta", "beta_norm") ?? coloured;
  shaped = swept.find((axis) => axis !== coloured && axis !== joined && axis.values.length <= 7);
  $("tradeoffs-section").hidden = !data.tradeoffs.length;
});
const shapeOf = (cell) => (shaped ? Object.keys(SHAPES)[place(cell, shaped.field)] : "circle");

const bothComplete = (x, y, cell) => [x, y].every((metric) => metric.mark[state.time][cell] === COMPLETE);

/** Complete cells that differ in one field alone, joined in the order of its values. */
function joiningLines([x, y], at, colours) {
  const groups = new Map();
  for (const cell of cells.keys()) {
    if (!bothComplete(x, y, cell) || !isKept(cell)) continue;
    const others = data.axes.filter((axis) => axis !== joined).map((axis) => cells[cell].at[axis.field]);
    const key = others.join("|");
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  return coloured.values.map((_, value) => {
    const lines = [...groups.values()]
      .map((group) => group.filter((cell) => joined === coloured || place(cell, coloured.field) === value))
      .filter((group) => group.length && (joined !== coloured || value === 0))
      .map((group) => group.sort((one, other) => place(one, joined.field) - place(other, joined.field)));
    const points = lines.flatMap((group) => [...group, null]);
    const of = (metric) => points.map((cell) => (cell === null ? null : metric.mean[state.time][cell]));
    const color = joined === coloured ? themeColour("soft") : colours[value];
    return { ...at, mode: "lines", x: of(x), y: of(y), line: { color, width: 1 }, opacity: 0.6, hoverinfo: "skip" };
  });
}

const MOST_WITH_BARS = 40; // cells; of more, the front and the chosen one alone have theirs
const FEWEST_SEEDS_WITH_BARS = 3; // as in figures: the interval of two seeds would hide everything
const intervalOf = (metric, cell) =>
  metric.seeds[state.time][cell] < FEWEST_SEEDS_WITH_BARS ? null : metric.half[state.time][cell];

/** The single seeds of the chosen cell. */
function seedsOfChosen(x, y, look) {
  const trials = state.cell < 0 || cells[state.cell].trials.length < 2 ? [] : cells[state.cell].trials;
  const of = (metric) => trials.map((trial) => trial.curves[metric.name][state.time]);
  return { ...look, mode: "markers", x: of(x), y: of(y) };
}

function letterIn(x, y, cell) {
  const mark = Math.min(x.mark[state.time][cell], y.mark[state.time][cell]); // the worse
  return [marks[mark].letter, x.collapsed[state.time][cell] ? "C" : ""].filter(Boolean).join(" ");
}

function tradeoffTraces({ x: nameX, y: nameY, front }, panel) {
  const [x, y] = [metricOf[nameX], metricOf[nameY]];
  const at = { type: "scatter", xaxis: `x${panel ? panel + 1 : ""}`, yaxis: `y${panel ? panel + 1 : ""}` };
  const { time } = state;
  const colours = orderedColours(coloured.values.length);
  const values = (metric, some) => some.map((cell) => metric.mean[time][cell]);
  const all = [...cells.keys()];
  const best = [...front[time]].sort((one, other) => x.mean[time][one] - x.mean[time][other]);
  const quiet = { ...at, hoverinfo: "skip" };
  const edge = { x: values(x, best), y: values(y, best) };
  const chosen = state.cell < 0 ? [] : [state.cell];
  const barred = new Set(cells.length <= MOST_WITH_BARS ? all : [...best, ...chosen]);
  const bars = (metric) => ({
    array: all.map((cell) => (barred.has(cell) ? intervalOf(metric, cell) : null)),
    color: themeColour("soft"),
    thickness: 1,
    width: 0,
  });
  const points = {
    ...at,
    error_x: bars(x),
    error_y: bars(y),
    mode: "markers+text",
    x: values(x, all),
    y: values(y, all),
    customdata: all,
    text: all.map((cell) => (isKept(cell) ? letterIn(x, y, cell) : "")),
    textposition: "top right",
    textfont: { size: 10, color: themeColour("ink") },
    hovertext: all.map(
      (cell) => `<b>${escaped(nameOf(cell))}</b><br>${[x, y].map((metric) => escaped(sentence(metric, cell))).join("<br>")}`,
    ),
    hovertemplate: "%{hovertext}<extra></extra>",
    marker: {
      size: 8,
      color: all.map((cell) => colours[place(cell, coloured.field)]),
      opacity: kept().map((is) => (is ? 1 : NOT_KEPT)),
      symbol: all.map((cell) => shapeOf(cell) + (bothComplete(x, y, cell) ? "" : "-open")),
      line: { width: 1.2 },
    },
  };
  return [
    { ...quiet, ...edge, mode: "lines", line: { color: themeColour("ink"), width: 5 }, opacity: 0.18 },
    ...joiningLines([x, y], at, colours),
    { ...quiet, ...edge, mode: "markers", marker: { size: 15, symbol: "circle-open", color: themeColour("ink") } },
    points,
    seedsOfChosen(x, y, { ...quiet, marker: { size: 5, color: CHOSEN } }),
    {
      ...quiet,
      x: values(x, chosen),
      y: values(y, chosen),
      mode: "markers",
      marker: { size: 22, symbol: "square-open", color: CHOSEN, line: { width: 3 } },
    },
    { ...pinnedPoints(x.mean[time], y.mean[time]), xaxis: at.xaxis, yaxis: at.yaxis },
  ];
}

const RATE = "kl";
function tradeoffAxis(metric, others) {
  const hint = metric.name === RATE ? "the rate: lower is better" : hintOf(metric);
  return {
    ...others,
    title: { text: `${escaped(metric.label)}<br>${hint}`, font: { size: 12 }, standoff: 6 },
    fixedrange: true,
    gridcolor: themeColour("grid"),
    zeroline: false,
    nticks: 5,
    tickfont: { size: 10 },
    exponentformat: "power",
  };
}

function drawTradeoffs() {
  if (!data.tradeoffs.length) return;
  const width = Math.max(200, $("tradeoffs").clientWidth);
  const columns = width > 860 ? data.tradeoffs.length : 1;
  const rows = Math.ceil(data.tradeoffs.length / columns);
  const [height, gapX, gapY] = [360, 84, 86]; // pixels: of a panel with its labels, and of labels between panels
  const layout = { ...baseLayout(), width, height: rows * height, hovermode: "closest" };
  layout.margin = { l: 78, r: 12, t: 10, b: 70 };
  const inner = [width - layout.margin.l - layout.margin.r, layout.height - layout.margin.t - layout.margin.b];
  data.tradeoffs.forEach(({ x, y }, panel) => {
    const [column, row] = [panel % columns, rows - 1 - Math.floor(panel / columns)];
    const span = (place, count, gap, total) => {
      const size = (total - gap * (count - 1)) / count;
      return [(place * (size + gap)) / total, (place * (size + gap) + size) / total].map((end) => Math.min(1, end));
    };
    const name = panel ? panel + 1 : "";
    const anchors = [{ anchor: `y${name}` }, { anchor: `x${name}` }];
    layout[`xaxis${name}`] = tradeoffAxis(metricOf[x], { ...anchors[0], domain: span(column, columns, gapX, inner[0]) });
    layout[`yaxis${name}`] = tradeoffAxis(metricOf[y], { ...anchors[1], domain: span(row, rows, gapY, inner[1]) });
  });
  plot("tradeoffs", data.tradeoffs.flatMap(tradeoffTraces), layout, { plotly_click: tradeoffClicked });
  describeTradeoffs();
}

let panelOfKeys = 0; // the one that arrow keys move in
function tradeoffClicked({ points: [point] }) {
  if (point.customdata === undefined) return;
  panelOfKeys = Math.max(0, Number(point.yaxis._id.slice(1)) - 1);
  choose(point.customdata);
}

function barsInWords() {
  const pairs = data.tradeoffs.flatMap(({ x, y }) => [metricOf[x], metricOf[y]]);
  if (!pairs.some((metric) => cells.some((_, cell) => intervalOf(metric, cell) !== null))) return "";
  return `; bars are 95% intervals${cells.length > MOST_WITH_BARS ? ", of the front and the chosen cell" : ""}`;
}

function describeTradeoffs() {
  $("tradeoffs-help").textContent =
    `Each point is a cell at iteration ${iterations[state.time].toLocaleString("en")}, the mean of its seeds` +
    (joined === coloured ? "" : `; lines run along ${joined.symbol}`) +
    barsInWords() +
    ". Click a point, or use the arrow keys here, to choose its cell" +
    (cells.some(({ trials }) => trials.length > 1) ? " and see its single seeds as small dots." : ".");
  const colours = orderedColours(coloured.values.length);
  const ofColours = coloured.values.map((_, value) => {
    const made = entry("●", `${coloured.symbol} = ${coloured.text[value]}`);
    made.querySelector("b").style.color = colours[value];
    return made;
  });
  const ofShapes = (shaped?.values ?? []).map((_, value) =>
    entry(Object.values(SHAPES)[value], `${shaped.symbol} = ${shaped.text[value]}`),
  );
  const pairs = data.tradeoffs.map(({ x, y }) => [metricOf[x], metricOf[y]]);
  const some = (test) => pairs.some(([x, y]) => [...cells.keys()].some((cell) => test(x, y, cell)));
  const ofMarks = marks
    .map((mark, i) => [mark, (x, y, cell) => Math.min(x.mark[state.time][cell], y.mark[state.time][cell]) === i])
    .filter(([mark, test]) => mark.letter && some(test))
    .map(([mark]) => entry(mark.letter, `${mark.meaning} (hollow)`));
  const collapsed = some((x, y, cell) => x.collapsed[state.time][cell])
    ? [entry("C", "collapsed: no active unit in some seed")]
    : [];
  const front = entry("◯", "Pareto front, of complete cells");
  $("tradeoffs-legend").replaceChildren(...ofColours, ...ofShapes, front, ...ofMarks, ...collapsed);
}

onArrows("tradeoffs", (move) => {
  const { x, y } = data.tradeoffs[panelOfKeys];
  return nextPoint(move, [x, y]);
});
offerFiles("tradeoffs", () => {
  const names = new Set(data.tradeoffs.flatMap(({ x, y }) => [x, y]));
  return rowsOf([...cells.keys()], [...names].map((name) => metricOf[name]));
});
store.register({ on: ["cell", "pins", "metric", "time", ...KEEPING, ...LOOK], later: true, far: "tradeoffs", draw: drawTradeoffs });
