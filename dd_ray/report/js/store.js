// The store: what the reader has chosen, and the views that are drawn anew when it changes.

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const state = Object.seal({
  metric: metrics[0],
  compared: "", // the field to whose 0 the map shows the difference
  time: iterations.length - 1,
  slice: Object.fromEntries(data.layout.slices.map((field) => [field, 0])), // places of values, by field
  cell: -1,
  group: "", // the axis that the curves of all cells are grouped by
  pins: [], // cells that are compared, in the order of their letters
  across: data.axes[0].field, // a field or a metric: what the plot of a search has as x
  up: data.axes[1]?.field ?? metrics[0].name,
  sort: { column: isSearch ? "suggestion" : data.axes[0].field, up: true },
  filters: {}, // what is typed, by name of a column of the table
  query: "", // what is typed to keep cells by, of any columns
  theme: "auto",
  systemIsDark: systemDark.matches,
  width: innerWidth,
});
const mapped = () => state.metric.views[state.compared];

/** What decides which cells are kept; the marks of some depend on the metric and the iteration. */
const KEEPING = ["filters", "query"];
/** What every plot depends on. */
const LOOK = ["theme", "systemIsDark", "width"];

const store = {
  views: [],
  near: new Set(), // ids of elements that have been near the window

  /**
   * Have a view drawn whenever one of the keys `on` of the state has changed, in the order of registration. `draw` gets
   * the changed keys. With `later`, it gets nothing and waits for the next frame; with `far`, the id of an element
   * far down, it also waits until that is about to be seen.
   */
  register(view) {
    const unknown = view.on.filter((key) => !(key in state));
    if (unknown.length) throw new Error(`the state has no ${unknown}`);
    store.views.push(view);
    if (view.far) whenNear(view.far, view.draw); // in the same frame, lest what is below it moves once it is shown
    return view;
  },

  /** Change the state, and draw the views concerned: all but `source`, the view in which the reader changed it. */
  update(changes, source = null) {
    const changed = new Set(Object.keys(changes).filter((key) => state[key] !== changes[key]));
    Object.assign(state, changes);
    for (const view of store.views) {
      if (view !== source && view.on.some((key) => changed.has(key))) store.draw(view, changed);
    }
  },

  drawAll() {
    for (const view of store.views) store.draw(view, new Set(Object.keys(state)));
  },

  draw(view, changed) {
    if (view.far && !store.near.has(view.far)) return;
    if (view.later) soon(view.draw);
    else view.draw(changed);
  },
};

const waiting = new Set();
/** Run once before the next frame, however often it is asked for. */
function soon(run) {
  if (waiting.has(run)) return;
  waiting.add(run);
  requestAnimationFrame(() => {
    waiting.delete(run);
    run();
  });
}

/** Run once, when an element is about to be seen. */
function whenNear(id, run) {
  new IntersectionObserver(
    (sightings, observer) => {
      if (!sightings.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      store.near.add(id);
      run();
    },
    { rootMargin: "200px" },
  ).observe($(id));
}
