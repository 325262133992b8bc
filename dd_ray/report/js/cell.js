// The chosen cell in numbers: how it ended, its seeds, its config.

function showCell() {
  const { cell, metric } = state;
  const none = cell < 0;
  for (const part of [...$("cell").children, $("curves-section")]) part.hidden = none && part !== $("cell-title");
  if (none) {
    $("cell-title").textContent = "No cell chosen";
    $("reading").textContent = "";
    return;
  }
  $("cell-title").textContent = nameOf(cell);
  const complete = metric.mark[state.time][cell] === COMPLETE;
  const badge = element("span", markOf(metric, cell), complete ? {} : { class: "badge" });
  $("cell-state").replaceChildren(badge, ` · ${seedsOf(metric, cell)} in the mean`);
  $("reading").textContent = `${nameOf(cell)} — ${sentence(mapped(), cell)}.`;
}

function showDetails() {
  if (state.cell < 0) return;
  showSeeds();
  showConfig();
}

function showSeeds() {
  const trials = cells[state.cell].trials;
  const withErrors = trials.some((trial) => trial.error);
  const ofSeveral = trials.some((trial) => trial.sweep);
  const head = element("tr");
  for (const text of ["Seed", "State", "Last evaluation", ...metrics.map((metric) => metric.short)])
    head.append(element("th", text));
  if (ofSeveral) head.append(element("th", "Sweep", { class: "text" }));
  if (withErrors) head.append(element("th", "Error", { class: "text" }));
  const rows = trials.map((trial) => {
    const row = element("tr", "", { title: `${trial.label} (${trial.key})` });
    row.append(element("td", trial.seed), element("td", trial.state.replaceAll("_", " ")));
    row.append(element("td", trial.iteration === null ? "–" : trial.iteration.toLocaleString("en")));
    for (const metric of metrics) row.append(element("td", shown(metric, trial.curves[metric.name][state.time])));
    if (ofSeveral) row.append(element("td", trial.sweep, { class: "text" }));
    if (withErrors) row.append(element("td", trial.error ?? "", { class: "text error" }));
    return row;
  });
  const caption = element(
    "caption",
    `Single seeds at iteration ${iterations[state.time].toLocaleString("en")} (– where there is no number)`,
    { class: "hint" },
  );
  $("seeds").replaceChildren(caption, head, ...rows);
}

function showConfig() {
  const own = cells[state.cell].config;
  const rows = Object.entries({ ...own, ...data.common }).map(([name, value]) => {
    const row = element("tr");
    row.append(
      element("td", name),
      element("td", settingText(value)),
      element("td", name in own ? "differs in the sweep" : "", { class: "faint" }),
    );
    return row;
  });
  $("config").replaceChildren(...rows);
}

store.register({ on: ["cell", "metric", "compared", "time"], draw: showCell });
store.register({ on: ["cell", "time"], far: "cell", unseen: true, draw: showDetails });
