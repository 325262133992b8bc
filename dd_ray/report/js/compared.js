// Pinned cells side by side: what differs between them, their metrics, and their curves in one plot.

/** Settings that are not the same in all pinned cells. */
function differingSettings() {
  const configs = state.pins.map((cell) => cells[cell].config);
  const names = Object.keys(configs[0]);
  return names.filter((name) => new Set(configs.map((config) => JSON.stringify(config[name]))).size > 1);
}

/** The rows of the table, as text: what each is of, and its value in each pinned cell. */
function comparedRows() {
  const settings = differingSettings().map((name) => [
    axisOf[name]?.symbol ?? name,
    ...state.pins.map((cell) => settingText(cells[cell].config[name])),
  ]);
  const same = [["settings", ...state.pins.map(() => "all the same")]];
  const states = ["state", ...state.pins.map((cell) => markOf(state.metric, cell))];
  const seeds = ["seeds", ...state.pins.map((cell) => seedsOf(state.metric, cell))];
  const numbers = metrics.map((metric) => [metric.label, ...state.pins.map((cell) => withInterval(metric, cell))]);
  return { settings: settings.length ? settings : same, others: [states, seeds, ...numbers] };
}

function tableOfPins() {
  const head = element("tr");
  head.append(element("th", "", { scope: "col" }));
  state.pins.forEach((_, pin) => {
    const letter = element("th", PIN_LETTERS[pin], { scope: "col" });
    letter.style.color = pinColour(pin);
    head.append(letter);
  });
  const line = (kind) => ([name, ...values]) => {
    const row = element("tr", "", { class: kind });
    row.append(element("th", name, { scope: "row" }), ...values.map((value) => element("td", value)));
    return row;
  };
  const { settings, others } = comparedRows();
  return [head, ...settings.map(line("differs")), ...others.map(line(""))];
}

function legendOfPins() {
  return state.pins.map((cell, pin) => {
    const made = entry(PIN_LETTERS[pin], nameOf(cell));
    made.querySelector("b").style.color = pinColour(pin);
    const button = element("button", "Unpin", { type: "button", "aria-label": `Unpin ${PIN_LETTERS[pin]}` });
    button.addEventListener("click", () => togglePin(cell));
    made.append(button);
    return made;
  });
}

function showCompared() {
  const none = !state.pins.length;
  $("compared-section").hidden = none;
  if (none) return $("compared-table").replaceChildren();
  const more = state.pins.length === 1 ? " Pin another cell to compare it with this one." : "";
  const seeds = Math.max(...state.pins.map((cell) => cells[cell].trials.length));
  const bands = seeds < FEWEST_SEEDS_WITH_BARS ? "" : " and bands";
  $("compared-help").textContent =
    `At iteration ${iterations[state.time].toLocaleString("en")}; settings first, as far as they differ.` +
    (seeds > 1 ? ` ±${bands}: 95% intervals of the means over seeds, of a variance pooled as in the table.` : "") +
    more;
  $("compared-legend").replaceChildren(...legendOfPins());
  $("compared-table").replaceChildren(...tableOfPins());
}

/** A pinned cell's mean over iterations and its band, in the panel of a metric. */
function pinnedCurve(metric, cell, pin, axis) {
  const anchors = { type: "scatter", xaxis: `x${axis}`, yaxis: `y${axis}` };
  const line = {
    x: iterations,
    y: meansOf(metric, cell),
    connectgaps: true,
    mode: evaluated(metric, cells[cell].trials).length > 1 ? "lines" : "markers",
    line: { color: pinColour(pin), width: 2.2, dash: PIN_DASHES[pin] },
    hovertemplate: `${PIN_LETTERS[pin]} %{x}: %{y:.4~g}<extra></extra>`,
  };
  return [{ ...anchors, ...bandOf(metric, cell, pinColour(pin)) }, { ...anchors, ...line }];
}

let allCurves = false;

/** Metrics whose curves are drawn: the chosen one first. */
function comparedMetrics() {
  const some = [...new Set([...curved.filter((metric) => metric === state.metric), ...curved])];
  return allCurves ? some : some.slice(0, FEW_CURVES);
}

function drawCompared() {
  if (!state.pins.length) return;
  const width = widthOf("compared-curves");
  const some = comparedMetrics();
  const columns = Math.min(some.length, width > 1000 ? 6 : width > 560 ? 3 : 2);
  const traces = some.flatMap((metric, i) =>
    state.pins.flatMap((cell, pin) => pinnedCurve(metric, cell, pin, i ? i + 1 : "")),
  );
  plot("compared-curves", traces, curveLayout(columns, width, some, state.pins));
  $("more-curves").hidden = curved.length <= FEW_CURVES;
  $("more-curves").setAttribute("aria-pressed", String(allCurves));
  $("more-curves").textContent = `Curves of all ${curved.length} metrics`;
}

/** A row for each metric, iteration and pinned cell. */
function comparedCurveRows() {
  const rows = comparedMetrics().flatMap((metric) =>
    iterations.flatMap((iteration, time) =>
      state.pins.map((cell, pin) => [
        ...[PIN_LETTERS[pin], nameOf(cell), metric.name, iteration],
        ...evaluationAt(metric, cell, time),
      ]),
    ),
  );
  return [["pin", "cell", "metric", "iteration", "mean", "half", "seeds"], ...rows];
}

$("more-curves").addEventListener("click", () => {
  allCurves = !allCurves;
  drawCompared();
});
offerFiles("compared-curves", comparedCurveRows);
store.register({ on: ["pins", "metric", "time", "theme", "systemIsDark"], draw: showCompared });
store.register({ on: ["pins", "metric", "time", ...LOOK], later: true, draw: drawCompared });
