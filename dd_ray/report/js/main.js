// The beginning: what the sweep is, everything drawn once, and the best cell chosen.

/** The best cell; where none can be told apart, the first on the fullest map, since others may be nearly empty. */
function bestCell() {
  const sizes = new Map();
  const maps = cells.map((_, cell) => String(data.layout.slices.map((field) => place(cell, field))));
  for (const map of maps) sizes.set(map, (sizes.get(map) ?? 0) + 1);
  const most = Math.max(...sizes.values());
  return state.metric.best[state.time][0] ?? maps.findIndex((map) => sizes.get(map) === most);
}

function describeSweep() {
  const trials = Object.values(data.states).reduce((sum, count) => sum + count, 0);
  const states = Object.entries(data.states).map(
    ([name, count]) => `${count.toLocaleString("en")} ${name.replaceAll("_", " ")}`,
  );
  const what = counted(cells.length, isSearch ? "suggestion" : "cell");
  $("summary").textContent =
    `${what}, ${counted(trials, "trial")} with ${trials === 1 ? "its seed" : "their seeds"}: ${states.join(", ")}.`;
}

const IDENTITY = {
  study: "Study",
  began: "Begun",
  asked: "Last asked for",
  written: "Page written",
  command: "Command",
  machine: "Machine",
  commit: "Commit",
  versions: "Versions",
};

function identify() {
  const list = $("about").querySelector("dl");
  const known = Object.entries(IDENTITY).filter(([name]) => data.about[name]);
  list.replaceChildren(
    ...known.flatMap(([name, title]) => [element("dt", title), element("dd", data.about[name], { "data-about": name })]),
  );
}

/** The notes of the sweep, which are text and nothing else. */
function showNotes() {
  $("notes").hidden = !data.notes;
  $("notes").querySelector("pre").textContent = data.notes;
}

whenRead(describeSweep);
whenRead(showNotes);
whenRead(identify);
store.drawAll();

function begin() {
  if (inAddress().size) store.update(stateAt(whereAtFirst()));
  if (state.cell < 0) choose(bestCell());
  const chosen = ["metric", "compared", "time", "slice", "cell", "across", "up", "group", "sort", "pins", ...KEEPING];
  store.register({ on: chosen, later: true, draw: writeAddress });
  addEventListener("hashchange", () => store.update(stateAt(inAddress())));
  $("unread").hidden = true;
  document.documentElement.dataset.ready = "yes";
}

// Pictures of cells stand at the end of the page, and may not have come yet.
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
else begin();
