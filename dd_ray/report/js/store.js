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
  text: textSize(),
});
const mapped = () => state.metric.views[state.compared];

/** What decides which cells are kept; the marks of some depend on the metric and the iteration. */
const KEEPING = ["filters", "query"];
/** What every plot depends on. */
const LOOK = ["theme", "systemIsDark", "width", "text"];

const FRAME = 40; // milliseconds in which views are drawn; those left over wait until these are seen
const QUIET_FIRST = 300; // milliseconds without a change before what is out of sight is drawn anew

const store = {
  views: [],
  near: new Set(), // ids of elements that are near the window

  /**
   * Have a view drawn whenever one of the keys `on` of the state has changed. `draw` gets the changed keys. Views are
   * drawn in the order of registration, but that in which the reader is comes first; where they take long, those left
   * over wait for the next picture. With `later`, a view waits for it always. With `far`, the id of an element far
   * down, it waits until that is about to be seen; once drawn, it follows when nothing has changed for a moment. With
   * `unseen`, it does so from the beginning. With `costly`, it follows when nothing has changed for a moment though it
   * is seen, and not while it is out of sight.
   */
  register(view) {
    const unknown = view.on.filter((key) => !(key in state));
    if (unknown.length) throw new Error(`the state has no ${unknown}`);
    Object.assign(view, { stale: new Set(), drawn: false });
    store.views.push(view);
    if (view.far) watch(view);
    return view;
  },

  /** Change the state, and draw the views concerned: all but `source`, the view in which the reader changed it. */
  update(changes, source = null) {
    const changed = new Set(Object.keys(changes).filter((key) => state[key] !== changes[key]));
    Object.assign(state, changes);
    for (const view of store.views) if (view !== source) store.mark(view, changed);
    drawSeen(store.views.filter((view) => !view.later));
  },

  /** Draw all that need not wait, however long it takes. */
  drawAll() {
    for (const view of store.views) store.mark(view, new Set(Object.keys(state)));
    drawSeen(store.views.filter((view) => !view.later), Infinity);
  },

  mark(view, changed) {
    for (const key of view.on) if (changed.has(key)) view.stale.add(key);
  },

  /** Draw what an element shows as it should be now, though it may be out of sight. */
  catchUp(id) {
    for (const view of store.views) if (view.far === id && view.stale.size) drawNow(view);
  },
};

function drawNow(view) {
  const changed = view.drawn ? view.stale : new Set(Object.keys(state));
  view.stale = new Set();
  view.drawn = true;
  view.draw(changed);
  tellWhetherDrawn();
}

/** Whether the page shows everything as it is now, for programs that look at it. */
function tellWhetherDrawn() {
  const drawn = store.views.some((view) => view.stale.size && mayFollow(view)) ? "no" : "yes";
  const { dataset } = document.documentElement;
  if (dataset.drawn !== drawn) dataset.drawn = drawn;
}

const isSeen = (view) => !view.far || store.near.has(view.far);
const isInTurn = (view) => view.stale.size > 0 && isSeen(view) && !view.costly;
const isHere = (view) => Boolean(view.far && $(view.far).contains(document.activeElement));

/** Draw those of some views that are seen, for as long as a frame may take; all that are left over wait. */
function drawSeen(views = store.views, most = FRAME) {
  const end = performance.now() + most;
  for (const view of views.filter(isInTurn).sort((one, other) => isHere(other) - isHere(one))) {
    if (performance.now() > end) break;
    if (view.stale.size) drawNow(view);
  }
  tellWhetherDrawn();
  if (store.views.some(isInTurn)) afterPicture(drawSeen);
  if (store.views.some((view) => view.stale.size && !isInTurn(view))) drawInQuiet();
}

/** Whether a view may be drawn while the reader does nothing. */
const mayFollow = (view) => (view.costly ? isSeen(view) : view.drawn || view.unseen || isSeen(view));

let resting = null;
/** Draw what waits for the reader to do nothing, one view at a time: what is out of sight, or takes long. */
function drawInQuiet(wait = QUIET_FIRST) {
  clearTimeout(resting);
  resting = setTimeout(() => {
    const view = store.views.find((one) => one.stale.size && mayFollow(one));
    if (!view) return;
    drawNow(view);
    drawInQuiet(0);
  }, wait);
}

const waiting = new Set();
/** Run once before the next picture, however often it is asked for; `start` has it run at another moment. */
function soon(run, start = (waited) => waited()) {
  if (waiting.has(run)) return;
  waiting.add(run);
  const waited = () => {
    waiting.delete(run);
    run();
  };
  requestAnimationFrame(() => start(waited));
}

/** Run once after the next picture: a click is answered first by what is quick, and then by what takes long. */
const afterPicture = (run) => soon(run, setTimeout);

/** Notice when a view's element is near the window, and draw it in the same frame, lest what is below it moves. */
function watch(view) {
  const noticed = (sightings) => {
    if (!sightings.at(-1).isIntersecting) return store.near.delete(view.far);
    store.near.add(view.far);
    if (view.stale.size || !view.drawn) drawNow(view);
  };
  new IntersectionObserver(noticed, { rootMargin: "200px" }).observe($(view.far));
}
