// Curves of all cells that are kept, in the colours of the values of an axis.

const MOST_GROUPS = 8;
/** Dashes of the groups' lines, and how they look in the legend: colours do not tell them apart for all, or in print. */
const GROUP_DASHES = [
  ["solid", "━━━━"],
  ["dash", "━ ━ ━"],
  ["dashdot", "━ · ━"],
  ["longdashdot", "━━ · ━━"],
];
const groupDash = (group) => GROUP_DASHES[group % GROUP_DASHES.length];

/** Parts of an axis: its values, or where they are many, ranges of as many of them each. */
function groupsOf(axis) {
  const { values, text } = axis;
  if (values.length <= MOST_GROUPS) return values.map((value, i) => ({ from: i, to: i, text: text[i] }));
  const parts = 5;
  return Array.from({ length: parts }, (_, part) => {
    const [from, to] = [part, part + 1].map((end) => Math.round((end * values.length) / parts));
    return { from, to: to - 1, text: `${text[from]} to ${text[to - 1]}` };
  });
}

/** The mean of some cells, where all of them have a number. */
function meanOfAll(metric, some) {
  const means = some.map((cell) => meansOf(metric, cell));
  return iterations.map((_, time) => {
    const values = means.map((ofCell) => ofCell[time]);
    return values.length && values.every((value) => value !== null) ? values.reduce((sum, one) => sum + one, 0) / values.length : null;
  });
}

/** The curves of some cells as one trace; of a cell with a single evaluation, a point. */
function cellsTrace(metric, some, colour, mode) {
  const joined = some.flatMap((cell) => [...evaluated(metric, cells[cell].trials), null].map((time) => [cell, time]));
  const names = new Map(some.map((cell) => [cell, escaped(nameOf(cell))]));
  return {
    type: "scatter",
    mode,
    x: joined.map(([, time]) => (time === null ? null : iterations[time])),
    y: joined.map(([cell, time]) => (time === null ? null : metric.mean[time][cell])),
    customdata: joined.map(([cell]) => cell),
    text: joined.map(([cell]) => names.get(cell)),
    hovertemplate: "%{text}<br>%{x}: %{y:.4~g}<extra></extra>",
    line: { color: colour, width: 1 },
    marker: { color: colour, size: 6 },
  };
}

/** The curves of some cells; with one evaluation, points. */
function thinTraces(metric, some, colour) {
  const lone = some.filter((cell) => evaluated(metric, cells[cell].trials).length === 1);
  const dots = lone.length ? [cellsTrace(metric, lone, colour, "markers")] : [];
  const others = some.filter((cell) => !lone.includes(cell));
  return [...(others.length || !lone.length ? [cellsTrace(metric, others, colour, "lines")] : []), ...dots];
}

function thickTrace(metric, some, colour, text, dash) {
  const mean = meanOfAll(metric, some);
  const mode = mean.filter((value) => value !== null).length === 1 ? "markers" : "lines";
  const look = { line: { color: colour, width: 3.5, dash }, marker: { color: colour, size: 10 } };
  return { type: "scatter", mode, x: iterations, y: mean, connectgaps: true, ...look, name: text, hoverinfo: "skip" };
}

/** What keeps thin lines off a thick one, which could not be told from many of its own colour. */
function edgeOf({ name, ...thick }) {
  const color = themeColour("panel");
  return { ...thick, line: { color, width: 6.5 }, marker: { color, size: 13 } };
}

function groupLayout(width) {
  const look = { ...AXIS, gridcolor: themeColour("grid"), nticks: 7, exponentformat: "power" };
  const title = { font: { size: 12 }, standoff: 6 };
  const [left, right] = [iterations[0], Math.max(data.last, 1)];
  return {
    ...baseLayout(),
    width,
    height: 380,
    margin: { l: 66, r: 12, t: 10, b: 46 },
    hovermode: "closest",
    xaxis: { ...look, range: [left, right], title: { ...title, text: "iteration" } },
    yaxis: { ...look, title: { ...title, text: escaped(state.metric.label) } },
  };
}

function drawGroups() {
  const axis = axisOf[state.group];
  const groups = groupsOf(axis);
  const colours = orderedColours(groups.length);
  const some = [...cells.keys()].filter(isKept);
  const within = ({ from, to }) => some.filter((cell) => place(cell, axis.field) >= from && place(cell, axis.field) <= to);
  const thin = groups.flatMap((group, i) => thinTraces(state.metric, within(group), colours[i]));
  const thick = groups.map((group, i) => thickTrace(state.metric, within(group), colours[i], group.text, groupDash(i)[0]));
  const chosen = some.includes(state.cell) ? [state.cell] : [];
  const [own] = thinTraces(state.metric, chosen, CHOSEN);
  const look = { line: { color: CHOSEN, width: 2.5, dash: "dot" }, marker: { color: CHOSEN, size: 9 } };
  const marked = { ...own, ...look, hoverinfo: "skip" };
  plot("groups", [...thin, ...thick.map(edgeOf), ...thick, marked], groupLayout(widthOf("groups")), {
    plotly_click: ({ points: [point] }) => choose(point.customdata ?? -1),
  });
  $("groups-help").textContent =
    `${state.metric.label}. Thin: the mean of each kept cell over its seeds; thick: the mean of a group's cells, ` +
    "where all of them have a number; dotted: the chosen cell. " +
    "A single evaluation is a point. Click a line to choose its cell.";
  const entries = groups.map((group, i) => {
    const made = entry(groupDash(i)[1], `${axis.symbol} = ${group.text} (${within(group).length})`);
    made.querySelector("b").style.color = colours[i];
    return made;
  });
  $("groups-legend").replaceChildren(...entries);
}

/** Curves are over all iterations: that of the map matters to them as far as a filter depends on it. */
function drawGroupsOrNothing(changed) {
  if (!isWithin(changed, ["time"]) || isFiltered()) drawGroups();
}

function fillGroups() {
  fillOptions("group", data.axes.map(({ field, symbol }) => [field, symbol]));
  if (!(state.group in axisOf)) state.group = coloured.field;
}

/** A row for each kept cell and iteration. */
function groupRows() {
  const fields = data.axes.map(({ field }) => field);
  const some = [...cells.keys()].filter(isKept);
  const row = (cell, time) => [
    ...fields.map((field) => cells[cell].at[field]),
    ...[iterations[time], ...evaluationAt(state.metric, cell, time)],
  ];
  const heading = [...fields, "iteration", state.metric.name, `${state.metric.name}_half`, `${state.metric.name}_seeds`];
  return [heading, ...some.flatMap((cell) => iterations.map((_, time) => row(cell, time)))];
}

whenRead(fillGroups);
$("group").addEventListener("change", () => store.update({ group: $("group").value }));
offerFiles("groups", groupRows);
store.register({ on: ["group"], draw: () => ($("group").value = state.group) });
store.register({
  on: ["group", "metric", "cell", "time", ...KEEPING, ...LOOK],
  later: true,
  far: "groups",
  draw: drawGroupsOrNothing,
});
