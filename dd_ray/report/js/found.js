// What a search found: the history of each objective, the Pareto front of two, and what they depend on.

const shapeOfState = (state) => SYMBOL[state === "finished" ? "complete" : state] ?? "diamond-open";
/** Whether an interval is drawn: as in the trade-offs, that of two seeds would hide all else. */
const hasBars = (i) => data.found.seeds[i] >= FEWEST_SEEDS_WITH_BARS;
const cellOfSuggestion = (number) => cells.findIndex(({ suggestion }) => suggestion === number);

/** The points of a panel: a suggestion each, with its interval where it is on the front. */
function suggestionPoints(x, y, anchors, errors) {
  const { suggestions, states, on_front: front } = data.found;
  const barred = (i) => front[i] && hasBars(i);
  const some = [...suggestions.keys()].filter((i) => x[i] !== null && y[i] !== null);
  const places = some.map((i) => cellOfSuggestion(suggestions[i]));
  const of = (numbers) => some.map((i) => numbers[i]);
  const bars = ({ name, mean, half }) => intervalBars(metricOf[name], of(mean), of(half.map((one, i) => (barred(i) ? one : null))));
  return {
    ...anchors,
    mode: "markers",
    x: of(x),
    y: of(y),
    ...Object.fromEntries(Object.entries(errors).map(([axis, objective]) => [axis, bars(objective)])),
    customdata: places,
    hovertext: some.map((i, at) => (places[at] < 0 ? `Suggestion ${suggestions[i]}` : escaped(nameOf(places[at])))),
    hovertemplate: "%{hovertext}<br>%{y:.4~g}<extra></extra>",
    marker: {
      color: some.map((i) => (front[i] ? CHOSEN : themeColour("accent"))),
      size: some.map((i) => (front[i] ? 10 : 7)),
      symbol: some.map((i) => shapeOfState(states[i])),
      opacity: places.map((cell) => (cell < 0 || isKept(cell) ? 1 : NOT_KEPT)),
    },
  };
}

function historyTraces(objective, anchors) {
  const { mean, best } = objective;
  const { suggestions } = data.found;
  const line = { color: CHOSEN, width: 1.6, shape: "hv" };
  return [
    { ...anchors, mode: "lines", x: suggestions, y: best, line, hoverinfo: "skip" },
    suggestionPoints(suggestions, mean, anchors, { error_y: objective }),
  ];
}

/** The front as a step, since nothing says that there are other points on a straight line. */
function frontTraces([one, other], anchors) {
  const front = data.found.on_front.flatMap((is, i) => (is ? [i] : []));
  front.sort((a, b) => one.mean[a] - one.mean[b] || other.mean[a] - other.mean[b]);
  const of = ({ mean }) => front.map((i) => mean[i]);
  const shape = metricOf[one.name]?.better === "max" ? "vh" : "hv";
  const step = { x: of(one), y: of(other), line: { color: CHOSEN, width: 1.6, shape }, hoverinfo: "skip" };
  const errors = { error_x: one, error_y: other };
  return [{ ...anchors, mode: "lines", ...step }, suggestionPoints(one.mean, other.mean, anchors, errors)];
}

const titled = (name) => (metricOf[name] ? `${escaped(metricOf[name].label)}<br>${hintOf(metricOf[name])}` : escaped(name));

function foundPanels() {
  const { objectives } = data.found;
  const panels = objectives.map((objective) => ({
    x: "suggestion",
    y: titled(objective.name),
    traces: (anchors) => historyTraces(objective, anchors),
  }));
  if (objectives.length === 2) {
    const [x, y] = objectives.map(({ name }) => titled(name));
    panels.unshift({ x, y, traces: (anchors) => frontTraces(objectives, anchors) });
  }
  return panels;
}

function drawFound() {
  const width = widthOf("found");
  const panels = foundPanels();
  const columns = width > 860 ? panels.length : 1;
  const rows = Math.ceil(panels.length / columns);
  const layout = { ...baseLayout(), width, height: 330 * rows, hovermode: "closest" };
  layout.margin = { l: 76, r: 12, t: 12, b: 60 };
  layout.grid = { rows, columns, pattern: "independent", xgap: 0.28, ygap: 0.32 };
  const look = { ...AXIS, gridcolor: themeColour("grid"), nticks: 5, exponentformat: "power" };
  const traces = panels.flatMap(({ x, y, traces: made }, i) => {
    const axis = i ? i + 1 : "";
    layout[`xaxis${axis}`] = { ...look, title: { text: x, font: { size: 12 }, standoff: 6 } };
    layout[`yaxis${axis}`] = { ...look, title: { text: y, font: { size: 12 }, standoff: 6 } };
    return made({ type: "scatter", xaxis: `x${axis}`, yaxis: `y${axis}` });
  });
  plot("found", traces, layout, { plotly_click: ({ points: [point] }) => choose(point.customdata ?? -1) });
  const spread = data.found.on_front.some((is, i) => is && hasBars(i));
  $("found-help").textContent =
    "Each point is a suggestion, vermilion the best or on the front; lines: the best so far, and the front." +
    (spread ? " Bars: 95% intervals over its seeds." : "") +
    " Click a point to choose it. The best of many is flattered by its luck.";
}

function shareCell(share) {
  const made = element("td");
  const bar = element("div", "", { class: "share" });
  const line = element("i", "", { "aria-hidden": "true" });
  line.style.width = `${100 * share}%`;
  bar.append(line, element("span", `${Math.round(100 * share)}%`));
  made.append(bar);
  return made;
}

function showImportance() {
  const { fields, of } = data.found.importance;
  const names = Object.keys(of);
  const count = data.found.states.filter((state) => state === "finished").length;
  $("importance-help").textContent = names.length
    ? `By Optuna: how much of what an objective varies over the drawn ranges is due to each field alone (functional ANOVA), of ${count} finished suggestions. It has no direction, and little to say of few suggestions.`
    : "It needs two finished suggestions that differ.";
  const head = element("tr");
  head.append(element("th", "Drawn", { scope: "col" }));
  for (const name of names) head.append(element("th", metricOf[name]?.short ?? name, { scope: "col" }));
  const rows = fields.map((field, i) => {
    const row = element("tr");
    row.append(element("th", field, { scope: "row" }), ...names.map((name) => shareCell(of[name][i])));
    return row;
  });
  $("importance").replaceChildren(...(names.length ? [head, ...rows] : []));
}

/** A row for each suggestion. */
function foundRows() {
  const { suggestions, states, on_front: front, objectives } = data.found;
  const names = objectives.flatMap(({ name }) => [name, `${name}_half`, `${name}_best_so_far`]);
  const numbers = (i) => objectives.flatMap(({ mean, half, best }) => [mean[i], half[i], best[i]]);
  const rows = suggestions.map((number, i) => [number, states[i], front[i], ...numbers(i)]);
  return [["suggestion", "state", "on_front", ...names], ...rows];
}

if (isSearch) {
  whenRead(showImportance);
  offerFiles("found", foundRows);
  store.register({ on: ["metric", "time", ...KEEPING, ...LOOK], later: true, far: "found", draw: drawFound });
}
