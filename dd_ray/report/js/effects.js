// Effects of a grid's axes on the chosen metric: main effects and interactions, as the command line has them.

/** An effect with its interval, drawn over the range of all effects of the metric. */
function whisker(of, row, reach) {
  const made = element("div", "", { class: of.differs[row] ? "whisker differs" : "whisker", "aria-hidden": "true" });
  const at = (value) => `${50 + (50 * value) / reach}%`;
  const [low, high] = [of.low[row], of.high[row]];
  made.append(element("i", "", { class: "zero" }));
  if (low !== null) {
    const line = element("i", "", { class: "line" });
    line.style.left = at(low);
    line.style.width = `${(50 * (high - low)) / reach}%`;
    made.append(line);
  }
  const dot = element("i", "", { class: "dot" });
  dot.style.left = at(of.effect[row]);
  made.append(dot);
  return made;
}

function effectRow(of, row, reach) {
  const made = element("tr");
  const drawn = element("td", "", { class: "drawn" });
  if (of.effect[row] !== null) drawn.append(whisker(of, row, reach));
  made.append(element("th", data.effects.rows[row].name, { scope: "row" }), drawn, element("td", of.text[row]));
  return made;
}

function headedRows(title, some, made) {
  const head = element("tr", "", { class: "part" });
  head.append(element("th", title, { colspan: 3, scope: "rowgroup" }));
  return some.length ? [head, ...some.map(made)] : [];
}

function showEffects() {
  const of = data.effects?.of[state.metric.name];
  $("effects-section").hidden = !of;
  if (!of) return;
  const { rows, title } = data.effects;
  const last = iterations.at(-1).toLocaleString("en");
  const ends = [...of.effect, ...of.low, ...of.high].filter((value) => value !== null).map(Math.abs);
  const reach = Math.max(...ends) || 1;
  const places = [...rows.keys()];
  const ofEach = (row) => effectRow(of, row, reach);
  $("effects-title").textContent = `What each axis changes: ${state.metric.label}`;
  $("effects-help").textContent =
    `${title}. Of all complete trials at iteration ${last}, also where the map shows fewer.`;
  $("effects").replaceChildren(
    ...headedRows("One axis, from its lowest value", places.filter((row) => !rows[row].interaction), ofEach),
    ...headedRows("Two together: by how much they change each other's effect", places.filter((row) => rows[row].interaction), ofEach),
  );
}

function effectRows() {
  const of = data.effects.of[state.metric.name];
  const row = ({ name }, i) => [state.metric.name, name, of.effect[i], of.low[i], of.high[i], of.differs[i]];
  return [["metric", "effect", "mean", "low", "high", "differs"], ...data.effects.rows.map(row)];
}

offerFiles("effects", effectRows, { pictures: false });
store.register({ on: ["metric"], far: "effects-section", unseen: true, draw: showEffects });
