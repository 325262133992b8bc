// Controls: what the map shows, at which iteration, in which theme.

function showSlices() {
  for (const field of data.layout.slices) {
    $(`slice-${field}`).value = state.slice[field];
    const text = axisOf[field].text[state.slice[field]];
    $(`slice-${field}-value`).textContent = text;
    $(`slice-${field}`).setAttribute("aria-valuetext", text);
  }
}

function buildSlices() {
  $("slices").replaceChildren(...data.layout.slices.map(slider));
}

function slider(field) {
  const axis = axisOf[field];
  const label = element("label", `${axis.symbol} `, { class: "control wide" });
  const ends = { min: 0, max: axis.values.length - 1, step: 1 };
  const input = element("input", "", { type: "range", ...ends, id: `slice-${field}`, "aria-label": axis.symbol });
  label.append(element("output", "", { id: `slice-${field}-value` }), input);
  input.addEventListener("input", () => slide(field, Number(input.value)));
  return label;
}

/** To another value of an axis that has a slider, staying at the same place of the map, or as near as there is a cell. */
function slide(field, value) {
  const [x, y] = state.cell < 0 ? [-1, -1] : [place(state.cell, xField), place(state.cell, yField)];
  const slice = { ...state.slice, [field]: value };
  store.update({ slice, cell: nearestCell(x, y, slice) });
}

function showTime() {
  $("iteration").value = state.time;
  const text = `${iterations[state.time].toLocaleString("en")} of ${data.last.toLocaleString("en")}`;
  $("iteration-value").textContent = text;
  $("iteration").setAttribute("aria-valuetext", text);
}

const THEMES = ["auto", "light", "dark"];
function toggleTheme() {
  store.update({ theme: THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length] });
}

function fillControls() {
  fillOptions("metric", metrics.map(({ name, label }) => [name, label]));
  const differences = data.references.map(({ field, symbol }) => [field, `difference to ${symbol} = 0`]);
  fillOptions("compared", [["", "the metric"], ...differences]);
  $("compared-control").hidden = !data.references.length;
  const sliders = data.layout.slices.map((field) => `${field}:${axisOf[field].values.length}`).join();
  if ($("slices").dataset.made !== sliders) buildSlices();
  $("slices").dataset.made = sliders;
  $("iteration").max = iterations.length - 1;
}

function showMetric() {
  $("metric").value = state.metric.name;
  $("compared").value = state.compared;
}

function buildTime() {
  const input = $("iteration");
  const slid = () => store.update({ time: Number(input.value) });
  input.addEventListener("input", () => soon(slid));
  input.closest("label").classList.add("wide");
}

function followWindow() {
  const fit = () => store.update({ width: innerWidth, text: textSize() }); // a phone's address bar, which comes and goes, changes none
  addEventListener("resize", () => soon(fit));
  systemDark.addEventListener("change", () => store.update({ systemIsDark: systemDark.matches }));
}

$("controls").addEventListener("submit", (event) => event.preventDefault());
$("metric").addEventListener("change", () => store.update({ metric: metricOf[$("metric").value] }));
$("compared").addEventListener("change", () => store.update({ compared: $("compared").value }));
buildTime();
whenRead(fillControls);
$("theme").addEventListener("click", toggleTheme);
followWindow();
store.register({ on: ["metric", "compared"], draw: showMetric });
store.register({ on: ["slice"], draw: showSlices });
store.register({ on: ["time"], draw: showTime });
