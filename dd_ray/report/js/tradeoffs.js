// Trade-offs: cells over two metrics, with their Pareto front.

const SHAPES = { circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", "triangle-down": "▼", cross: "✚", x: "✖" };
let coloured = null; // the axes that colours, lines and shapes stand for
let joined = null;
let shaped = null;
let untold = []; // further axes: cells that differ in these alone look alike
whenRead(() => {
  const swept = data.axes.filter((axis) => axis.values.length > 1);
  const named = (...names) => swept.find((axis) => names.includes(axis.field));
  coloured = named("gamma") ?? named("lam") ?? named("beta", "beta_norm") ?? swept[0] ?? data.axes[0];
  joined = named("beta", "beta_norm") ?? coloured;
  shaped = swept.find((axis) => axis !== coloured && axis !== joined && axis.values.length <= 7);
  untold = swept.filter((axis) => ![coloured, joined, shaped].includes(axis));
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
    return { ...at, mode: "lines", x: of(x), y: of(y), line: { color, width: 1 }, hoverinfo: "skip" };
  });
}

const MOST_WITH_BARS = 40; // cells; of more, the front and the chosen one alone have theirs
const FEWEST_SEEDS_WITH_BARS = 3; // as in figures: the interval of two seeds would hide everything
const intervalOf = (metric, cell, time = state.time) =>
  metric.seeds[time][cell] < FEWEST_SEEDS_WITH_BARS ? null : metric.half[time][cell];

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
  const barred = barredIn({ front });
  const bars = (metric) => {
    const halves = all.map((cell) => (barred.has(cell) ? intervalOf(metric, cell) : null));
    return intervalBars(metric, values(metric, all), halves, { color: themeColour("soft") });
  };
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
  ];
}

/** The chosen cell in a panel: a square, its interval, and a dot for each of its seeds. */
function shapesOfChosen(x, y, refs) {
  if (state.cell < 0) return [];
  const { time, cell } = state;
  const around = (at, size) => {
    const [xanchor, yanchor] = at;
    const pixels = { xsizemode: "pixel", ysizemode: "pixel", x0: -size, x1: size, y0: -size, y1: size };
    return { ...refs, ...pixels, xanchor, yanchor };
  };
  const middle = [x.mean[time][cell], y.mean[time][cell]];
  const known = middle.every((value) => value !== null);
  const square = { ...around(middle, 10), type: "rect", name: "chosen", line: { color: CHOSEN, width: 3 } };
  const dots = seedsOfChosen(x, y).map((at) => ({
    ...around(at, 2.5),
    ...{ type: "circle", name: "seed", fillcolor: CHOSEN, line: { width: 0 } },
  }));
  return known ? [...barsOfChosen(x, y, middle, refs), ...dots, square] : dots;
}

/** Both metrics of each seed of the chosen cell, where there are several. */
function seedsOfChosen(x, y) {
  const { trials } = cells[state.cell];
  if (trials.length < 2) return [];
  const points = trials.map(({ curves }) => [x, y].map(({ name }) => curves[name][state.time]));
  return points.filter((point) => point.every((value) => value !== null));
}

function barsOfChosen(x, y, [atX, atY], refs) {
  const [halfX, halfY] = [x, y].map((metric) => intervalOf(metric, state.cell));
  const [[lowX, highX], [lowY, highY]] = [endsOf(x, atX, halfX), endsOf(y, atY, halfY)];
  const line = { type: "line", line: { color: themeColour("soft"), width: 1 }, ...refs };
  return [
    ...(halfX === null ? [] : [{ ...line, x0: lowX, x1: highX, y0: atY, y1: atY }]),
    ...(halfY === null ? [] : [{ ...line, x0: atX, x1: atX, y0: lowY, y1: highY }]),
  ];
}

/** The pinned cells in a panel: a ring, and its letter. */
function ringsOfPins(x, y, refs) {
  const at = (metric, cell) => metric.mean[state.time][cell];
  const pins = state.pins.map((cell, pin) => ({ pin, x: at(x, cell), y: at(y, cell) }));
  const known = pins.filter((one) => one.x !== null && one.y !== null);
  const pixels = { xsizemode: "pixel", ysizemode: "pixel", x0: -8.5, x1: 8.5, y0: -8.5, y1: 8.5 };
  return {
    shapes: known.map(({ pin, ...one }) => ({
      ...{ ...refs, ...pixels, type: "circle", name: `pin ${PIN_LETTERS[pin]}`, xanchor: one.x, yanchor: one.y },
      line: { color: pinColour(pin), width: 2.5 },
    })),
    annotations: known.map(({ pin, ...one }) => ({
      ...{ ...refs, ...one, text: `<b>${PIN_LETTERS[pin]}</b>`, showarrow: false, xshift: 13, yshift: -10 },
      font: { size: 12, color: pinColour(pin) },
    })),
  };
}

/** What lies over the points, and is all that a choice or a pin changes. */
function overTradeoffs() {
  const panels = data.tradeoffs.map(({ x, y }, panel) => {
    const axis = panel ? panel + 1 : "";
    const [refs, ofX, ofY] = [{ xref: `x${axis}`, yref: `y${axis}` }, metricOf[x], metricOf[y]];
    const rings = ringsOfPins(ofX, ofY, refs);
    return { ...rings, shapes: [...rings.shapes, ...shapesOfChosen(ofX, ofY, refs)] };
  });
  return { shapes: panels.flatMap(({ shapes }) => shapes), annotations: panels.flatMap(({ annotations }) => annotations) };
}

const barredIn = ({ front }) => new Set(cells.length <= MOST_WITH_BARS ? cells.keys() : front[state.time]);

/** The ends of what is drawn of a metric: all cells, the intervals of some, and the seeds of the chosen cell. */
function endsOfTradeoff(metric, barred) {
  const { time, cell } = state;
  const ends = cells.flatMap((_, one) => {
    const value = metric.mean[time][one];
    const half = one === cell || barred.has(one) ? (intervalOf(metric, one) ?? 0) : 0;
    return value === null ? [] : endsOf(metric, value, half);
  });
  const seeds = cell < 0 || cells[cell].trials.length < 2 ? [] : cells[cell].trials.map(({ curves }) => curves[metric.name][time]);
  const values = [...ends, ...seeds.filter((value) => value !== null)];
  return values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
}

/** Whether what would be drawn of the chosen cell has room on the axes as they are. */
function hasRoom() {
  const { layout } = $("tradeoffs");
  return data.tradeoffs.every((pair, panel) =>
    ["x", "y"].every((side) => {
      const [low, high] = endsOfTradeoff(metricOf[pair[side]], barredIn(pair));
      const [from, to] = layout[`${side}axis${panel ? panel + 1 : ""}`].range;
      return low >= from && high <= to;
    }),
  );
}

/** The range of each axis. */
function rangesOfTradeoffs() {
  const of = (pair, side) => withRoom(metricOf[pair[side]], endsOfTradeoff(metricOf[pair[side]], barredIn(pair)));
  const ranges = data.tradeoffs.flatMap((pair, panel) =>
    ["x", "y"].map((side) => [`${side}axis${panel ? panel + 1 : ""}.range`, of(pair, side)]),
  );
  return Object.fromEntries(ranges);
}

const OVER_THE_POINTS = ["cell", "pins"];
function drawTradeoffsOrChosen(changed) {
  if (!data.tradeoffs.length) return;
  if (!isWithin(changed, OVER_THE_POINTS)) return drawTradeoffs();
  if (!hasRoom()) Plotly.relayout("tradeoffs", rangesOfTradeoffs());
  overlay("tradeoffs", overTradeoffs());
}

const RATE = "kl";
function tradeoffAxis(metric, others) {
  const hint = metric.name === RATE ? "the rate: lower is better" : hintOf(metric);
  return {
    ...others,
    title: { text: `${escaped(metric.label)}<br>${hint}`, font: { size: 12 }, standoff: 6 },
    ...AXIS,
    gridcolor: themeColour("grid"),
    nticks: 5,
    tickfont: { size: 10 },
    exponentformat: "power",
  };
}

function drawTradeoffs() {
  const width = widthOf("tradeoffs");
  const columns = width > 860 ? data.tradeoffs.length : 1;
  const rows = Math.ceil(data.tradeoffs.length / columns);
  const [height, gapX, gapY] = [360, 84, 86]; // pixels: of a panel with its labels, and of labels between panels
  const layout = { ...baseLayout(), ...overTradeoffs(), width, height: rows * height, hovermode: "closest" };
  layout.margin = { l: 78, r: 12, t: 10, b: 70 };
  const ranges = rangesOfTradeoffs();
  const inner = [width - layout.margin.l - layout.margin.r, layout.height - layout.margin.t - layout.margin.b];
  data.tradeoffs.forEach((pair, panel) => {
    const [column, row] = [panel % columns, rows - 1 - Math.floor(panel / columns)];
    const span = (place, count, gap, total) => {
      const size = (total - gap * (count - 1)) / count;
      return [(place * (size + gap)) / total, (place * (size + gap) + size) / total].map((end) => Math.min(1, end));
    };
    const name = panel ? panel + 1 : "";
    const [x, y] = [metricOf[pair.x], metricOf[pair.y]];
    const [ofX, ofY] = ["x", "y"].map((side) => ({ range: ranges[`${side}axis${name}.range`] }));
    const [domainX, domainY] = [span(column, columns, gapX, inner[0]), span(row, rows, gapY, inner[1])];
    layout[`xaxis${name}`] = tradeoffAxis(x, { ...ofX, anchor: `y${name}`, domain: domainX });
    layout[`yaxis${name}`] = tradeoffAxis(y, { ...ofY, anchor: `x${name}`, domain: domainY });
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
    (untold.length ? `; cells that differ in ${untold.map(({ symbol }) => symbol).join(" or ")} alone look alike` : "") +
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
  const isDrawn = (metric, cell) => metric.mean[state.time][cell] !== null;
  const some = (test) =>
    pairs.some(([x, y]) => [...cells.keys()].some((cell) => isDrawn(x, cell) && isDrawn(y, cell) && test(x, y, cell)));
  const ofMarks = marks
    .map((mark, i) => [mark, (x, y, cell) => Math.min(x.mark[state.time][cell], y.mark[state.time][cell]) === i])
    .filter(([mark, test]) => mark.letter && some(test))
    .map(([mark]) => entry(mark.letter, `${mark.meaning} (hollow)`));
  const collapsed = some((x, y, cell) => x.collapsed[state.time][cell])
    ? [entry("C", "collapsed: no active unit in some seed")]
    : [];
  const hasFront = data.tradeoffs.some(({ front }) => front[state.time].length);
  const ofFront = hasFront ? [entry("◯", "Pareto front, of complete cells")] : [];
  $("tradeoffs-legend").replaceChildren(...ofColours, ...ofShapes, ...ofFront, ...ofMarks, ...collapsed);
}

onArrows("tradeoffs", (move) => {
  const { x, y } = data.tradeoffs[panelOfKeys];
  return nextPoint(move, [x, y]);
});
offerFiles("tradeoffs", () => {
  const names = new Set(data.tradeoffs.flatMap(({ x, y }) => [x, y]));
  return rowsOf([...cells.keys()], [...names].map((name) => metricOf[name]));
});
store.register({ on: ["cell", "pins", "metric", "time", ...KEEPING, ...LOOK], later: true, far: "tradeoffs", draw: drawTradeoffsOrChosen });
