// What the map of a grid and the plot of a search share: the heading, what hovering tells, and the legend.

function hoverText(cell) {
  return `<b>${escaped(nameOf(cell))}</b><br>${escaped(sentence(mapped(), cell)).replace("), ", ")<br>")}`;
}

function entry(letter, meaning) {
  const made = element("li", ` ${meaning}`);
  made.prepend(element("b", letter));
  return made;
}

/** Pinned cells as points of a plot, with their letters. */
function pinnedPoints(x, y) {
  return {
    type: "scatter",
    mode: "markers+text",
    x: state.pins.map((cell) => x[cell]),
    y: state.pins.map((cell) => y[cell]),
    text: state.pins.map((_, pin) => `<b>${PIN_LETTERS[pin]}</b>`),
    textposition: "bottom right",
    textfont: { size: 12, color: state.pins.map((_, pin) => pinColour(pin)) },
    hoverinfo: "skip",
    marker: { size: 17, symbol: "circle-open", color: state.pins.map((_, pin) => pinColour(pin)), line: { width: 2.5 } },
  };
}

/** What is said of the best cells, of differences, and of collapse. */
function distinctions(shownCells) {
  const [metric, time] = [mapped(), state.time];
  const entries = [];
  const where = shownCells.length ? whereOf(shownCells[0]) : "";
  const has = (some) => some?.[time].some((cell) => shownCells.includes(cell));
  const family = familyOf(metric, where);
  if (family) entries.push(entry(has(metric.differs) ? "▲ ▼" : "no ▲ ▼", ofTheMap(family, where)));
  if (shownCells.some((cell) => metric.differs?.[time].includes(cell) && holdsZero(metric, cell)))
    entries.push(entry("△ ▽", "the same by this test alone, as the interval ± holds 0"));
  if (metric.signed && !metric.half[time].some((half) => half !== null)) {
    const why = metric.seeds[time].some((seeds) => seeds > 1) ? "of counts" : "fewer than 2 seeds in common";
    entries.push(element("li", `${why}: no interval, and no cell is marked`));
  }
  if (has(metric.best)) entries.push(entry("★", ofTheBest(metric, where)));
  if (metric.best && metric.better && !metric.best[time].some((cell) => whereOf(cell) === where))
    entries.push(entry("no ★", `no cell can be told apart${where}`));
  if (!isSearch && has(metric.region))
    entries.push(entry("▢", "outlined: the best, and those whose 95% interval overlaps its interval"));
  if (shownCells.some((cell) => metric.collapsed[time][cell]))
    entries.push(entry("C", "collapsed: no active unit in some seed"));
  return entries;
}

/** What the triangles hold for: all differences of a metric, in one map or in the slices of several. */
function ofTheMap(family, where) {
  return `above or below 0, for the map as a whole${where}: without any effect, 5% of maps have a mark (${family})`;
}

/** What is said of the differences that are told from 0 together, where further axes have some values. */
function familyOf(metric, where) {
  const families = Object.entries(metric.families?.[state.time] ?? {});
  return families.find(([, some]) => some.some((cell) => whereOf(cell) === where))?.[0];
}

/** The star, and how much of its value may be luck. */
function ofTheBest(metric, where) {
  const luck = metric.luck[state.time][metric.best[state.time].findIndex((cell) => whereOf(cell) === where)];
  const others = isSearch ? "that may be as good" : "outlined";
  const looks = !luck ? "" : `; as the best of those ${others} it looks better than it is, by up to ${+luck.toPrecision(2)}`;
  return `the best of the complete cells without collapse${where}${looks}`;
}

function extent(metric, values) {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => shown(metric, value));
  return low === high ? low : `${low} to ${high}`;
}

function drawLegend(shownCells) {
  if (!shownCells.length) return $("legend").replaceChildren(element("li", "the sweep has no cell here"));
  const [metric, time] = [mapped(), state.time];
  const present = new Set(shownCells.map((cell) => metric.mark[time][cell]));
  const entries = [...present]
    .sort()
    .filter((mark) => mark !== COMPLETE)
    .map((mark) => entry(marks[mark].letter, marks[mark].meaning));
  entries.unshift(...distinctions(shownCells));
  const before = shownCells.map((cell) => metric.untrained?.[cell] ?? null).filter((score) => score !== null);
  if (before.length) entries.push(element("li", `before training: ${extent(metric, before)}`));
  if (hasBracket(shownCells))
    entries.push(entry("⊓", `on the colour bar: the least significant difference ${metric.signed ? "from 0" : "of two cells"}, by itself: ${+metric.noise.toPrecision(2)}`));
  const beyond = shownCells.filter((cell) => {
    const value = metric.mean[time][cell];
    return value !== null && (value < metric.min || value > metric.max);
  });
  if (beyond.length) entries.push(element("li", `${beyond.length} beyond the scale, in the colours of its ends`));
  $("legend").replaceChildren(...entries);
}

function showHeading() {
  $("map-title").textContent = `${mapped().label} at iteration ${iterations[state.time].toLocaleString("en")}`;
  const slices = data.layout.slices.map((field) => `${axisOf[field].symbol} = ${axisOf[field].text[state.slice[field]]}`);
  $("map-slices").textContent = slices.join(", "); // on paper, where there are no sliders
}

store.register({ on: ["metric", "compared", "time", "slice"], draw: showHeading });
