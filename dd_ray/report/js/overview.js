// What the map of a grid and the plot of a search share: the heading, what hovering tells, and the legend.

function hoverText(cell) {
  return `<b>${escaped(nameOf(cell))}</b><br>${escaped(sentence(mapped(), cell)).replace("), ", ")<br>")}`;
}

function entry(letter, meaning) {
  const made = element("li", ` ${meaning}`);
  made.prepend(element("b", letter));
  return made;
}

/** What is said of the best cells, of differences, and of collapse. */
function distinctions(shownCells) {
  const [metric, time] = [mapped(), state.time];
  const entries = [];
  const has = (some) => some?.[time].some((cell) => shownCells.includes(cell));
  if (has(metric.excludes))
    entries.push(entry("▲ ▼", "above or below 0: the 95% interval of the paired difference excludes it"));
  if (metric.signed && !metric.half[time].some((half) => half !== null))
    entries.push(element("li", "fewer than 2 seeds in common: no interval, and no cell is marked"));
  if (has(metric.best)) entries.push(entry("★", "the best of the complete cells without collapse"));
  if (!isSearch && has(metric.region))
    entries.push(entry("▢", "outlined: the best, and those whose 95% interval over seeds overlaps its interval"));
  if (shownCells.some((cell) => metric.collapsed[time][cell]))
    entries.push(entry("C", "collapsed: no active unit in some seed"));
  return entries;
}

function drawLegend(shownCells) {
  const [metric, time] = [mapped(), state.time];
  const present = new Set(shownCells.map((cell) => metric.mark[time][cell]));
  const entries = [...present]
    .sort()
    .filter((mark) => mark !== COMPLETE)
    .map((mark) => entry(marks[mark].letter, marks[mark].meaning));
  entries.unshift(...distinctions(shownCells));
  if (metric.untrained !== null) entries.push(element("li", `before training: ${shown(metric, metric.untrained)}`));
  const beyond = shownCells.filter((cell) => {
    const value = metric.mean[time][cell];
    return value !== null && (value < metric.min || value > metric.max);
  });
  if (beyond.length) entries.push(element("li", `${beyond.length} beyond the scale, in the colours of its ends`));
  $("legend").replaceChildren(...entries);
}

function showHeading() {
  $("map-title").textContent = `${mapped().label} at iteration ${iterations[state.time].toLocaleString("en")}`;
}

store.register({ on: ["metric", "compared", "time"], draw: showHeading });
