"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const { cells, iterations, metrics, marks } = data;
  const isSearch = data.kind === "search";
  const axisOf = Object.fromEntries(data.axes.map((axis) => [axis.field, axis]));
  const metricOf = Object.fromEntries(metrics.map((metric) => [metric.name, metric]));
  const COMPLETE = marks.findIndex((mark) => mark.name === "complete");
  const UNDEFINED = marks.findIndex((mark) => mark.name === "undefined");
  const QUIET = { displayModeBar: false, displaylogo: false, responsive: false, scrollZoom: false };
  const CHOSEN = "#d55e00"; // vermilion, which the colour-blind see (Wong 2011, Nature Methods 8, p. 441)
  const seen = new Set(); // plots that have been near the window
  const EXACT = 1e-5; // labels and filters have six digits

  const state = {
    metric: metrics[0],
    compared: "", // the field to whose 0 the map shows the difference
    panel: 0, // of the trade-offs, the one that arrow keys move in
    time: iterations.length - 1,
    slice: Object.fromEntries(data.layout.slices.map((field) => [field, 0])),
    cell: -1,
    sort: { column: 0, up: true },
    filters: [],
  };

  /** A metric as the map shows it: itself, or its difference to the cells where a field is 0. */
  for (const metric of metrics) {
    metric.views = { "": metric };
    for (const { field, symbol } of data.references) {
      const label = `${metric.label} minus that at ${symbol} = 0`;
      const own = { label, field, signed: true, count: false, untrained: null, best: null, region: null };
      metric.views[field] = { ...metric, ...own, ...metric.differences[field] };
    }
  }
  const mapped = () => state.metric.views[state.compared];

  // ---- Text ----

  function digitsOf(metric) {
    const largest = Math.max(Math.abs(metric.min), Math.abs(metric.max));
    const first = Math.floor(Math.log10(largest));
    const apart = first + Math.ceil(2.5 - Math.log10(metric.max - metric.min)); // the scale in thirty steps
    return Math.min(6, Math.max(3, first + 1, apart));
  }
  for (const metric of metrics) for (const view of Object.values(metric.views)) view.digits = digitsOf(view);

  function shown(metric, value) {
    if (value === null) return "–";
    if (value === 0) return "0";
    if (metric.signed) return withSign(metric, value);
    return metric.count ? String(+value.toPrecision(3)) : value.toPrecision(metric.digits);
  }

  /** A difference, with as many decimals as the others, so that they can be compared at a glance. */
  function withSign(metric, value) {
    const decimals = Math.min(9, Math.max(0, 2 - Math.floor(Math.log10(metric.max))));
    const text = Math.abs(value).toFixed(decimals);
    return Number(text) === 0 ? text : `${value > 0 ? "+" : "−"}${text}`;
  }

  function withInterval(metric, cell) {
    const half = metric.half[state.time][cell];
    const value = shown(metric, metric.mean[state.time][cell]);
    return half === null ? value : `${value} ± ${+half.toPrecision(2)}`;
  }

  const axisText = (axis, value) => axis.text[axis.values.indexOf(value)] ?? String(value);
  const escaped = (text) =>
    String(text).replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);

  function nameOf(cell) {
    const values = data.axes.map((axis) => `${axis.symbol} = ${axisText(axis, cells[cell].at[axis.field])}`);
    return (isSearch ? `Suggestion ${cells[cell].suggestion}: ` : "") + values.join(", ");
  }

  function markOf(metric, cell) {
    const mark = marks[metric.mark[state.time][cell]];
    const at = metric.at[state.time][cell];
    return mark.meaning + (at === null || mark.name === "complete" ? "" : ` at iteration ${at.toLocaleString("en")}`);
  }

  function seedsOf(metric, cell) {
    const [used, all] = [metric.seeds[state.time][cell], cells[cell].trials.length];
    return used === all ? `${all} seed${all > 1 ? "s" : ""}` : `${used} of ${all} seeds`;
  }

  function collapseOf(metric, cell) {
    const [collapsed, all] = [metric.collapsed[state.time][cell], cells[cell].trials.length];
    return collapsed ? `, collapsed${collapsed < all ? ` in ${collapsed} of ${all} seeds` : ""}` : "";
  }

  /** What a cell is on its map: the best, as good as the best, or different from the reference. */
  function distinctionOf(metric, cell) {
    if (metric.excludes?.[state.time].includes(cell)) return ", the 95% interval excludes 0";
    if (metric.best?.[state.time].includes(cell)) return ", the best";
    return metric.region?.[state.time].includes(cell) ? ", may be as good as the best" : "";
  }

  const sentence = (metric, cell) =>
    `${metric.label}: ${withInterval(metric, cell)} (${seedsOf(metric, cell)}), ` +
    markOf(metric, cell) +
    collapseOf(metric, cell) +
    distinctionOf(metric, cell);

  function element(tag, text = "", attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  // ---- Colours ----

  const probe = document.body.appendChild(element("span", "", { hidden: "" }));
  function themeColour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  function inkOn(metric, value) {
    if (value === null) return themeColour("ink");
    const share = Math.min(1, Math.max(0, (value - metric.min) / (metric.max - metric.min)));
    const { black } = data.colours[metric.colours];
    return black[Math.round(share * (black.length - 1))] ? "#000" : "#fff";
  }

  const colourScale = (metric) => ({ colorscale: data.colours[metric.colours].stops });

  const hintOf = ({ better, signed }) =>
    ({
      min: signed ? "below 0 is better: blue" : "lower is better",
      max: signed ? "above 0 is better: blue" : "higher is better",
    })[better] ?? "";
  function colourBar(metric) {
    return {
      orientation: "h",
      x: 0.5,
      y: 1,
      yanchor: "bottom",
      ypad: 6,
      xpad: 0,
      len: 1,
      thickness: 11,
      outlinewidth: 0,

      title: { text: hintOf(metric), side: "top", font: { size: 12 } },
      tickfont: { size: 11 },
      nticks: 6,
    };
  }

  function baseLayout() {
    return {
      paper_bgcolor: themeColour("panel"),
      plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false,
      dragmode: false,
      font: { family: "system-ui, sans-serif", size: 12, color: themeColour("ink") },
      hoverlabel: {
        bgcolor: themeColour("panel"),
        bordercolor: themeColour("soft"),
        align: "left",
        font: { color: themeColour("ink"), size: 13 },
      },
    };
  }

  // ---- The map of a grid ----

  const { x: xField, y: yField } = data.layout;
  const place = (cell, field) => (field ? axisOf[field].values.indexOf(cells[cell].at[field]) : 0);
  const numX = () => axisOf[xField].values.length;
  const numY = () => (yField ? axisOf[yField].values.length : 1);

  function cellsOnMap() {
    return cells
      .map((_, cell) => cell)
      .filter((cell) => data.layout.slices.every((field) => place(cell, field) === state.slice[field]));
  }

  const cellAt = (x, y) => cellsOnMap().find((cell) => place(cell, xField) === x && place(cell, yField) === y) ?? -1;

  function hoverText(cell) {
    return `<b>${escaped(nameOf(cell))}</b><br>${escaped(sentence(mapped(), cell)).replace("), ", ")<br>")}`;
  }

  function mapTraces(shownCells, size) {
    const [metric, time] = [mapped(), state.time];
    const rows = (fill) => Array.from({ length: numY() }, () => Array(numX()).fill(fill));
    const [z, text] = [rows(null), rows("not part of the sweep")];
    const labels = { x: [], y: [], text: [], colours: [] };
    for (const cell of shownCells) {
      const [x, y] = [place(cell, xField), place(cell, yField)];
      const value = metric.mean[time][cell];
      z[y][x] = value;
      text[y][x] = hoverText(cell);
      labels.x.push(x);
      labels.y.push(y);
      labels.text.push(labelIn(size, cell));
      labels.colours.push(inkOn(metric, value));
    }
    const heat = {
      type: "heatmap",
      z,
      text,
      zmin: metric.min,
      zmax: metric.max,
      xgap: 2,
      ygap: 2,
      hoverongaps: true,
      hovertemplate: "%{text}<extra></extra>",
      ...colourScale(metric),
      colorbar: colourBar(metric),
    };
    const letters = {
      type: "scatter",
      mode: "text",
      x: labels.x,
      y: labels.y,
      text: labels.text,
      hoverinfo: "skip",
      textfont: { color: labels.colours, size: size.font },
    };
    return [heat, letters];
  }

  /** What fits into a cell of the map: its value and marks, or the marks alone. */
  function labelIn(size, cell) {
    const [metric, time] = [mapped(), state.time];
    const mean = metric.mean[time][cell];
    const best = metric.best?.[time].includes(cell) ? "★" : "";
    const distinction = metric.excludes?.[time].includes(cell) ? (mean > 0 ? "▲" : "▼") : best;
    const collapsed = metric.collapsed[time][cell] ? "C" : "";
    const letters = [distinction, marks[metric.mark[time][cell]].letter, collapsed].filter(Boolean).join(" ");
    const value = mean === null || !size.numbers ? "" : shown(metric, mean);
    return [value, letters].filter(Boolean).join(size.height > 2.4 * size.font ? "<br>" : " ");
  }

  function mapSize() {
    const width = Math.max(200, $("map").clientWidth);
    const labels = yField ? Math.max(...axisOf[yField].text.map((text) => text.length)) : 0;
    const across = Math.max(...axisOf[xField].text.map((text) => text.length));
    const margin = { l: 32 + 7 * labels, r: 12, t: 54, b: 50 };
    const height = Math.min(84, Math.max(30, 440 / numY()));
    const cellWidth = (width - margin.l - margin.r) / numX();
    const crowded = across * 8 > cellWidth;
    if (crowded) margin.b += 7 * across - 12;
    const longest = Math.max(
      ...cells.map((_, cell) => shown(mapped(), mapped().mean[state.time][cell]).length),
    );
    const font = Math.min(13, (cellWidth - 6) / (0.6 * longest), height * 0.42);
    const numbers = font >= 8;
    return {
      width,
      margin,
      height,
      crowded,
      numbers,
      font: numbers ? font : Math.min(13, cellWidth * 0.8),
      total: height * numY(),
    };
  }

  /** Diagonals over cells that are not complete, in black or white as can be seen. */
  function hatching(shownCells) {
    const paths = { "#000": "", "#fff": "" };
    for (const cell of shownCells) {
      const value = mapped().mean[state.time][cell];
      if (mapped().mark[state.time][cell] === COMPLETE || value === null) continue;
      const [x, y] = [place(cell, xField) - 0.5, place(cell, yField) - 0.5];
      const ink = inkOn(mapped(), value);
      for (const part of [1 / 3, 2 / 3, 1]) paths[ink] += `M${x},${y + part}L${x + part},${y}`;
      for (const part of [1 / 3, 2 / 3]) paths[ink] += `M${x + part},${y + 1}L${x + 1},${y + part}`;
    }
    return Object.entries(paths)
      .filter(([, path]) => path)
      .map(([color, path]) => ({ type: "path", path, line: { color, width: 1 }, opacity: 0.32, layer: "above" }));
  }

  /** Crosses over cells with a collapsed network, off their numbers. */
  function crosses(shownCells) {
    const paths = { "#000": "", "#fff": "" };
    for (const cell of shownCells) {
      const value = mapped().mean[state.time][cell];
      if (!mapped().collapsed[state.time][cell] || value === null) continue;
      const [x, y] = [place(cell, xField), place(cell, yField)];
      for (const [dx, dy] of [[1, 1], [1, -1], [-1, 1], [-1, -1]])
        paths[inkOn(mapped(), value)] += `M${x + 0.45 * dx},${y + 0.45 * dy}L${x + 0.27 * dx},${y + 0.27 * dy}`;
    }
    return Object.entries(paths)
      .filter(([, path]) => path)
      .map(([color, path]) => ({ type: "path", path, line: { color, width: 1.6 }, layer: "above" }));
  }

  /** The border of the best region: all edges of its cells that no two of them share. */
  function outline(shownCells) {
    const region = mapped().region?.[state.time] ?? [];
    const inside = new Set(region.filter((cell) => shownCells.includes(cell)).map(positionOf));
    let path = "";
    for (const position of inside) {
      const [x, y] = position.split(",").map(Number);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        if (inside.has(`${x + dx},${y + dy}`)) continue;
        const [middleX, middleY] = [x + dx / 2, y + dy / 2];
        const [alongX, alongY] = [Math.abs(dy) / 2, Math.abs(dx) / 2];
        path += `M${middleX - alongX},${middleY - alongY}L${middleX + alongX},${middleY + alongY}`;
      }
    }
    const border = { type: "path", path, layer: "above", name: "best region" };
    return path ? [{ color: "#fff", width: 5 }, { color: "#000", width: 2 }].map((line) => ({ ...border, line })) : [];
  }

  const positionOf = (cell) => `${place(cell, xField)},${place(cell, yField)}`;

  function frame(cell) {
    if (cell < 0) return [];
    const [x, y] = [place(cell, xField), place(cell, yField)];
    const box = { type: "rect", x0: x - 0.46, x1: x + 0.46, y0: y - 0.46, y1: y + 0.46, layer: "above" };
    return [
      { ...box, line: { color: "#fff", width: 6 } },
      { ...box, line: { color: CHOSEN, width: 3 } },
    ];
  }

  function shapesOnMap() {
    const shownCells = cellsOnMap();
    return [...hatching(shownCells), ...crosses(shownCells), ...outline(shownCells), ...frame(state.cell)];
  }

  function mapAxis(field, angle) {
    const count = field ? axisOf[field].values.length : 1;
    return {
      range: [-0.52, count - 0.48], // with room for the outline
      fixedrange: true,
      showgrid: false,
      zeroline: false,
      ticks: "",
      tickvals: field ? [...Array(count).keys()] : [],
      ticktext: field ? axisOf[field].text.map(escaped) : [],
      title: {
        text: field ? escaped(axisOf[field].symbol) : "",
        font: { size: 15 },
        standoff: field === xField ? 24 : 12,
      },
      tickangle: angle,
    };
  }

  function drawMap() {
    const size = mapSize();
    const shownCells = cellsOnMap();
    const layout = {
      ...baseLayout(),
      width: size.width,
      height: size.total + size.margin.t + size.margin.b,
      margin: size.margin,
      plot_bgcolor: themeColour("empty"),
      xaxis: mapAxis(xField, size.crowded ? -90 : 0),
      yaxis: mapAxis(yField, 0),
      shapes: shapesOnMap(),
    };
    Plotly.react("map", mapTraces(shownCells, size), layout, QUIET);
    drawLegend(shownCells);
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

  // ---- The scatter plot of a search ----

  const SYMBOL = {
    complete: "circle",
    stopped_early: "triangle-down",
    failed: "x",
    diverged: "x",
    unfinished: "circle-open",
  };

  function valuesOf(name) {
    return name in metricOf ? metricOf[name].mean[state.time] : cells.map((cell) => cell.at[name]);
  }

  function scatterAxis(name) {
    const field = axisOf[name];
    return {
      type: field ? (field.log ? "log" : undefined) : undefined,
      fixedrange: true,
      gridcolor: themeColour("grid"),
      zeroline: false,
      nticks: 7,
      title: { text: escaped(field ? field.symbol : metricOf[name].label), standoff: 20 },
      exponentformat: field?.log ? "none" : "power",
    };
  }

  function drawScatter() {
    const { metric, time } = state;
    const [across, up] = [valuesOf($("across").value), valuesOf($("up").value)];
    const width = Math.max(200, $("map").clientWidth);
    const points = {
      type: "scatter",
      mode: "markers",
      x: across,
      y: up,
      text: cells.map((_, cell) => hoverText(cell)),
      hovertemplate: "%{text}<extra></extra>",
      marker: {
        color: metric.mean[time].map((value) => value),
        cmin: metric.min,
        cmax: metric.max,
        ...colourScale(metric),
        colorbar: colourBar(metric),
        size: cells.map((cell) => (cell.on_front ? 15 : 10)),
        symbol: metric.mark[time].map((mark) => SYMBOL[marks[mark].name] ?? "diamond-open"),
        line: { width: cells.map((cell) => (cell.on_front ? 2.5 : 1)), color: themeColour("ink") },
      },
    };
    const ring = {
      type: "scatter",
      mode: "markers",
      x: state.cell < 0 ? [] : [across[state.cell]],
      y: state.cell < 0 ? [] : [up[state.cell]],
      hoverinfo: "skip",
      marker: { size: 24, symbol: "circle-open", color: themeColour("accent"), line: { width: 3 } },
    };
    const layout = {
      ...baseLayout(),
      width,
      height: 470,
      margin: { l: 66, r: 14, t: 66, b: 56 },
      hovermode: "closest",
      xaxis: scatterAxis($("across").value),
      yaxis: scatterAxis($("up").value),
    };
    Plotly.react("map", [points, ring], layout, QUIET);
    drawLegend(cells.map((_, cell) => cell));
    $("legend").append(element("li", "large, thick edge: on the front"));
  }

  const drawOverview = () => (isSearch ? drawScatter() : drawMap());

  // ---- The chosen cell ----

  function choose(cell) {
    if (cell < 0) return;
    state.cell = cell;
    let moved = false;
    for (const field of data.layout.slices) {
      moved ||= state.slice[field] !== place(cell, field);
      state.slice[field] = place(cell, field);
    }
    if (isSearch || moved) {
      showSlices();
      drawOverview();
    } else {
      Plotly.relayout("map", { shapes: shapesOnMap() });
    }
    showCell();
    showPictures();
    markRow();
    soon(drawCurves);
    soon(drawTradeoffs);
  }

  function showCell() {
    const { cell, metric } = state;
    if (cell < 0) return;
    $("cell-title").textContent = nameOf(cell);
    const complete = metric.mark[state.time][cell] === COMPLETE;
    const badge = element("span", markOf(metric, cell), complete ? {} : { class: "badge" });
    $("cell-state").replaceChildren(badge, ` · ${seedsOf(metric, cell)} in the mean`);
    $("reading").textContent = `${nameOf(cell)} — ${sentence(mapped(), cell)}.`;
    showSeeds();
    showConfig();
  }

  function showSeeds() {
    const trials = cells[state.cell].trials;
    const withErrors = trials.some((trial) => trial.error);
    const head = element("tr");
    for (const text of ["Seed", "State", "Iteration", ...metrics.map((metric) => metric.short)])
      head.append(element("th", text));
    if (withErrors) head.append(element("th", "Error", { class: "text" }));
    const rows = trials.map((trial) => {
      const row = element("tr", "", { title: `${trial.label} (${trial.key})` });
      row.append(element("td", trial.seed), element("td", trial.state.replaceAll("_", " ")));
      row.append(element("td", trial.iteration === null ? "–" : trial.iteration.toLocaleString("en")));
      for (const metric of metrics) row.append(element("td", shown(metric, trial.curves[metric.name][state.time])));
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
      const text = value === null ? "none" : String(value);
      row.append(
        element("td", name),
        element("td", text),
        element("td", name in own ? "differs in the sweep" : "", { class: "faint" }),
      );
      return row;
    });
    $("config").replaceChildren(...rows);
  }

  // ---- Pictures ----

  const parse = (id) => ($(id) ? JSON.parse($(id).textContent) : null);
  const address = (sprite) => `url(data:image/png;base64,${sprite.png})`;

  function strip(sprites, row, description) {
    const made = element("div", "", { class: "strip", role: "img", "aria-label": description });
    const [{ rows, columns }] = sprites;
    made.style.aspectRatio = `${columns} / 1`;
    made.style.backgroundImage = sprites.map(address).join(",");
    made.style.backgroundSize = `100% ${rows * 100}%`;
    made.style.backgroundPosition = `0 ${rows > 1 ? (row / (rows - 1)) * 100 : 0}%`;
    return made;
  }

  function differenceStrip(sprites, row, description) {
    const made = strip(sprites, row, description);
    made.style.backgroundBlendMode = "difference";
    made.style.filter = "brightness(2)";
    return made;
  }

  function showPictures() {
    const pictures = parse(`pictures-${state.cell}`);
    if (pictures === null)
      return $("pictures").replaceChildren(
        element("p", "This report was written without pictures.", { class: "hint" }),
      );
    if (pictures.note)
      return $("pictures").replaceChildren(element("p", `No pictures: ${pictures.note}`, { class: "hint" }));
    const where = `Seed ${pictures.seed}, iteration ${pictures.iteration.toLocaleString("en")}`;
    $("pictures").replaceChildren(
      element("h3", "Reconstructions of held-out videos"),
      element("p", `${where}. Frames from left to right.`, { class: "hint" }),
      reconstructions(pictures),
      element("p", pictures.lag ? lagOf(pictures.lag) : "", { class: "hint", id: "lag" }),
      element("h3", "Traversals"),
      element("p", `Each latent from −3 to 3, the others as encoded, with the factor it correlates with most.`, {
        class: "hint",
      }),
      traversals(pictures),
      ...(pictures.dream ? dreams(pictures.dream) : []),
    );
  }

  /** How far the circle in the reconstructions is behind. */
  function lagOf({ pixels, shown, motion }) {
    const many = `${Math.round(100 * shown)}% of the frames show a circle`;
    if (!pixels) return `Only ${many}: no lag is measured.`;
    const [median, low, high] = pixels.map((value) => String(value).replace("-", "−"));
    return `Lag: the circle is ${median} px behind (median; 95% interval ${low} to ${high}); ${many}, and it moves ${motion} px a frame.`;
  }

  /** Dreams of the first video, each picture below the frame that it stands for. */
  function dreams({ sprite, original, gammas, seen, delay }) {
    const grid = element("div", "", { class: "sprites" });
    const source = parse("originals")[original];
    grid.append(element("span", "video"), strip([source], 0, "Video 1, all frames"));
    gammas.forEach((gamma, row) => {
      const made = strip([sprite], row, `Dream of video 1 at γ = ${gamma}`);
      made.style.marginLeft = `${(100 * delay) / source.columns}%`;
      made.style.width = `${(100 * sprite.columns) / source.columns}%`;
      grid.append(element("span", `γ = ${gamma}`), made);
    });
    const hint = `What the network shows of the first video when it sees its first ${seen} frames and then nothing, at any γ: the latents go on in a straight line.`;
    return [element("h3", "Dreams"), element("p", hint, { class: "hint" }), grid];
  }

  function reconstructions({ reconstruction, original }) {
    const source = parse("originals")[original];
    const grid = element("div", "", { class: "sprites" });
    for (let video = 0; video < reconstruction.rows; video++) {
      if (video) grid.append(element("div", "", { class: "gap" }));
      grid.append(element("span", "original"), strip([source], video, `Video ${video + 1}, original`));
      grid.append(
        element("span", "reconstruction"),
        strip([reconstruction], video, `Video ${video + 1}, reconstruction`),
      );
      grid.append(
        element("span", "difference × 2"),
        differenceStrip([source, reconstruction], video, `Video ${video + 1}, difference`),
      );
    }
    return grid;
  }

  function traversals({ traversal, latents }) {
    const grid = element("div", "", { class: "sprites" });
    for (let latent = 0; latent < traversal.rows; latent++) {
      const { active, follows, correlation, variance } = latents[latent];
      const said = active ? `${follows.replaceAll("_", " ")} ${correlation.toFixed(2)}` : "not active";
      const label = element("span", `z${latent} `, { title: `variance ${variance}` });
      label.append(element("span", said, { class: "faint" }));
      grid.append(label, strip([traversal], latent, `Traversal of latent ${latent}, ${said}`));
    }
    const ends = element("div", "", { class: "ends" });
    ends.append(element("span", "−3"), element("span", "0"), element("span", "3"));
    grid.append(element("span", ""), ends);
    return grid;
  }

  // ---- Trade-offs ----

  const SHAPES = { circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", "triangle-down": "▼", cross: "✚", x: "✖" };
  const swept = data.axes.filter((axis) => axis.values.length > 1);
  const fieldNamed = (...names) => swept.find((axis) => names.includes(axis.field));
  const coloured = fieldNamed("gamma") ?? fieldNamed("lam") ?? fieldNamed("beta", "beta_norm") ?? swept[0] ?? data.axes[0];
  const joined = fieldNamed("beta", "beta_norm") ?? coloured;
  const shaped = swept.find((axis) => axis !== coloured && axis !== joined && axis.values.length <= 7);
  const shapeOf = (cell) => (shaped ? Object.keys(SHAPES)[place(cell, shaped.field)] : "circle");

  /** Colours of ordered values, of the part of viridis that can be seen on the panel. */
  function orderedColours(count) {
    const { stops } = data.colours.viridis;
    const [low, high] = isDark() ? [0.35, 1] : [0, 0.85];
    return Array.from({ length: count }, (_, i) => {
      const share = low + ((high - low) * i) / Math.max(1, count - 1);
      return stops[Math.round(share * (stops.length - 1))][1];
    });
  }

  function isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  const bothComplete = (x, y, cell) => [x, y].every((metric) => metric.mark[state.time][cell] === COMPLETE);

  /** Complete cells that differ in one field alone, joined in the order of its values. */
  function joiningLines([x, y], at, colours) {
    const groups = new Map();
    for (const cell of cells.keys()) {
      if (!bothComplete(x, y, cell)) continue;
      const others = data.axes.filter((axis) => axis !== joined).map((axis) => cells[cell].at[axis.field]);
      const key = others.join("|");
      groups.set(key, [...(groups.get(key) ?? []), cell]);
    }
    return coloured.values.map((_, value) => {
      const lines = [...groups.values()]
        .map((group) => group.filter((cell) => joined === coloured || place(cell, coloured.field) === value))
        .filter((group) => group.length && (joined !== coloured || value === 0))
        .map((group) => group.sort((one, other) => place(one, joined.field) - place(other, joined.field)));
      const points = lines.flatMap((group) => [...group, null]);
      const of = (metric) => points.map((cell) => (cell === null ? null : metric.mean[state.time][cell]));
      const color = joined === coloured ? themeColour("soft") : colours[value];
      return { ...at, mode: "lines", x: of(x), y: of(y), line: { color, width: 1 }, opacity: 0.6, hoverinfo: "skip" };
    });
  }

  function letterIn(x, y, cell) {
    const mark = Math.min(x.mark[state.time][cell], y.mark[state.time][cell]); // the worse
    return [marks[mark].letter, x.collapsed[state.time][cell] ? "C" : ""].filter(Boolean).join(" ");
  }

  function tradeoffTraces({ x: nameX, y: nameY, front }, panel) {
    const [x, y] = [metricOf[nameX], metricOf[nameY]];
    const at = { type: "scatter", xaxis: `x${panel ? panel + 1 : ""}`, yaxis: `y${panel ? panel + 1 : ""}` };
    const { time } = state;
    const colours = orderedColours(coloured.values.length);
    const values = (metric, some) => some.map((cell) => metric.mean[time][cell]);
    const all = [...cells.keys()];
    const best = [...front[time]].sort((one, other) => x.mean[time][one] - x.mean[time][other]);
    const quiet = { ...at, hoverinfo: "skip" };
    const edge = { x: values(x, best), y: values(y, best) };
    const chosen = state.cell < 0 ? [] : [state.cell];
    const points = {
      ...at,
      mode: "markers+text",
      x: values(x, all),
      y: values(y, all),
      customdata: all,
      text: all.map((cell) => letterIn(x, y, cell)),
      textposition: "top right",
      textfont: { size: 10, color: themeColour("ink") },
      hovertext: all.map(
        (cell) => `<b>${escaped(nameOf(cell))}</b><br>${[x, y].map((metric) => escaped(sentence(metric, cell))).join("<br>")}`,
      ),
      hovertemplate: "%{hovertext}<extra></extra>",
      marker: {
        size: 8,
        color: all.map((cell) => colours[place(cell, coloured.field)]),
        symbol: all.map((cell) => shapeOf(cell) + (bothComplete(x, y, cell) ? "" : "-open")),
        line: { width: 1.2 },
      },
    };
    return [
      { ...quiet, ...edge, mode: "lines", line: { color: themeColour("ink"), width: 5 }, opacity: 0.18 },
      ...joiningLines([x, y], at, colours),
      { ...quiet, ...edge, mode: "markers", marker: { size: 15, symbol: "circle-open", color: themeColour("ink") } },
      points,
      {
        ...quiet,
        x: values(x, chosen),
        y: values(y, chosen),
        mode: "markers",
        marker: { size: 22, symbol: "square-open", color: CHOSEN, line: { width: 3 } },
      },
    ];
  }

  const RATE = "kl";
  function tradeoffAxis(metric, others) {
    const hint = metric.name === RATE ? "the rate: lower is better" : hintOf(metric);
    return {
      ...others,
      title: { text: `${escaped(metric.label)}<br>${hint}`, font: { size: 12 }, standoff: 6 },
      fixedrange: true,
      gridcolor: themeColour("grid"),
      zeroline: false,
      nticks: 5,
      tickfont: { size: 10 },
      exponentformat: "power",
    };
  }

  function drawTradeoffs() {
    if (!seen.has("tradeoffs") || !data.tradeoffs.length) return;
    const width = Math.max(200, $("tradeoffs").clientWidth);
    const columns = width > 860 ? data.tradeoffs.length : 1;
    const rows = Math.ceil(data.tradeoffs.length / columns);
    const [height, gapX, gapY] = [360, 84, 86]; // pixels: of a panel with its labels, and of labels between panels
    const layout = { ...baseLayout(), width, height: rows * height, hovermode: "closest" };
    layout.margin = { l: 78, r: 12, t: 10, b: 70 };
    const inner = [width - layout.margin.l - layout.margin.r, layout.height - layout.margin.t - layout.margin.b];
    data.tradeoffs.forEach(({ x, y }, panel) => {
      const [column, row] = [panel % columns, rows - 1 - Math.floor(panel / columns)];
      const span = (place, count, gap, total) => {
        const size = (total - gap * (count - 1)) / count;
        return [(place * (size + gap)) / total, (place * (size + gap) + size) / total].map((end) => Math.min(1, end));
      };
      const name = panel ? panel + 1 : "";
      const anchors = [{ anchor: `y${name}` }, { anchor: `x${name}` }];
      layout[`xaxis${name}`] = tradeoffAxis(metricOf[x], { ...anchors[0], domain: span(column, columns, gapX, inner[0]) });
      layout[`yaxis${name}`] = tradeoffAxis(metricOf[y], { ...anchors[1], domain: span(row, rows, gapY, inner[1]) });
    });
    const first = !$("tradeoffs").data;
    Plotly.react("tradeoffs", data.tradeoffs.flatMap(tradeoffTraces), layout, QUIET);
    if (first) $("tradeoffs").on("plotly_click", tradeoffClicked);
    describeTradeoffs();
  }

  function tradeoffClicked({ points: [point] }) {
    if (point.customdata === undefined) return;
    state.panel = Math.max(0, Number(point.yaxis._id.slice(1)) - 1);
    choose(point.customdata);
  }

  function describeTradeoffs() {
    $("tradeoffs-help").textContent =
      `Each point is a cell at iteration ${iterations[state.time].toLocaleString("en")}, the mean of its seeds` +
      (joined === coloured ? "" : `; lines run along ${joined.symbol}`) +
      ". Click a point, or use the arrow keys here, to choose its cell.";
    const colours = orderedColours(coloured.values.length);
    const ofColours = coloured.values.map((_, value) => {
      const made = entry("●", `${coloured.symbol} = ${coloured.text[value]}`);
      made.querySelector("b").style.color = colours[value];
      return made;
    });
    const ofShapes = (shaped?.values ?? []).map((_, value) =>
      entry(Object.values(SHAPES)[value], `${shaped.symbol} = ${shaped.text[value]}`),
    );
    const pairs = data.tradeoffs.map(({ x, y }) => [metricOf[x], metricOf[y]]);
    const some = (test) => pairs.some(([x, y]) => [...cells.keys()].some((cell) => test(x, y, cell)));
    const ofMarks = marks
      .map((mark, i) => [mark, (x, y, cell) => Math.min(x.mark[state.time][cell], y.mark[state.time][cell]) === i])
      .filter(([mark, test]) => mark.letter && some(test))
      .map(([mark]) => entry(mark.letter, `${mark.meaning} (hollow)`));
    const collapsed = some((x, y, cell) => x.collapsed[state.time][cell])
      ? [entry("C", "collapsed: no active unit in some seed")]
      : [];
    const front = entry("◯", "Pareto front, of complete cells");
    $("tradeoffs-legend").replaceChildren(...ofColours, ...ofShapes, front, ...ofMarks, ...collapsed);
  }

  // ---- Curves ----

  /** Metrics of more than two evaluations: what is computed once, before and after the training, has no curve. */
  const several = metrics.filter((metric) => metric.mean.filter((row) => row.some((value) => value !== null)).length > 2);
  const curved = several.length ? several : metrics;

  function curveTraces(metric, axis) {
    const { trials } = cells[state.cell];
    const [mean, half] = [metric.mean, metric.half].map((rows) => rows.map((row) => row[state.cell]));
    const anchors = { type: "scatter", xaxis: `x${axis}`, yaxis: `y${axis}` };
    const seeds = { x: [], y: [] };
    for (const trial of trials) {
      seeds.x.push(...iterations, null);
      seeds.y.push(...trial.curves[metric.name], null);
    }
    const known = iterations.map((_, time) => time).filter((time) => half[time] !== null);
    const edge = (sign, times) => times.map((time) => mean[time] + sign * half[time]);
    const back = [...known].reverse();
    const at = (times) => times.map((time) => iterations[time]);
    const band = {
      x: [...at(known), ...at(back)],
      y: [...edge(1, known), ...edge(-1, back)],
      mode: "lines",
      fill: "toself",
      line: { width: 0 },
      fillcolor: themeColour("accent"),
      opacity: 0.22,
      hoverinfo: "skip",
    };
    const thin = { ...seeds, mode: "lines", line: { color: themeColour("soft"), width: 1 }, hoverinfo: "skip" };
    const thick = {
      x: iterations,
      y: mean,
      mode: iterations.length > 12 ? "lines" : "lines+markers",
      marker: { size: 4 },
      line: { color: themeColour("accent"), width: 2.2 },
      hovertemplate: "%{x}: %{y:.4~g}<extra></extra>",
    };
    return [band, thin, thick].map((trace) => ({ ...anchors, ...trace }));
  }

  function curveLayout(columns, width) {
    const rows = Math.ceil(curved.length / columns);
    const rowHeight = 138;
    const layout = {
      ...baseLayout(),
      width,
      height: rows * rowHeight + 26,
      margin: { l: 46, r: 16, t: 22, b: 34 },
      annotations: [],
      shapes: [],
      grid: { rows, columns, pattern: "independent", xgap: 0.3, ygap: 0.42 },
      hovermode: "closest",
    };
    curved.forEach((metric, i) => {
      const axis = i ? i + 1 : "";
      const shared = { fixedrange: true, gridcolor: themeColour("grid"), zeroline: false, tickfont: { size: 10 } };
      layout[`xaxis${axis}`] = {
        ...shared,
        range: [iterations[0], Math.max(data.last, 1)],
        nticks: 4,
        title: i >= curved.length - columns ? { text: "iteration", font: { size: 11 }, standoff: 4 } : {},
      };
      layout[`yaxis${axis}`] = { ...shared, nticks: 5, exponentformat: "power" };
      layout.annotations.push({
        text: escaped(metric.short),
        xref: `x${axis} domain`,
        yref: `y${axis} domain`,
        x: 0,
        y: 1,
        xanchor: "left",
        yanchor: "bottom",
        showarrow: false,
        font: { size: 12 },
      });
      layout.shapes.push({
        type: "line",
        xref: `x${axis}`,
        yref: `y${axis} domain`,
        x0: iterations[state.time],
        x1: iterations[state.time],
        y0: 0,
        y1: 1,
        line: { color: themeColour("soft"), width: 1, dash: "dot" },
      });
    });
    return layout;
  }

  function drawCurves() {
    if (state.cell < 0) return;
    const width = Math.max(200, $("curves").clientWidth);
    const columns = Math.min(curved.length, width > 560 ? 3 : 2);
    const traces = curved.flatMap((metric, i) => curveTraces(metric, i ? i + 1 : ""));
    Plotly.react("curves", traces, curveLayout(columns, width), QUIET);
    $("curves-help").textContent =
      (cells[state.cell].trials.length > 1
        ? "Thick: the mean of the seeds that got as far, with its 95% interval; thin: single seeds."
        : "One seed.") +
      " Dotted: the iteration of the map." +
      (data.thinned ? ` Shown are ${iterations.length} of the evaluations.` : "") +
      (curved.length < metrics.length ? " Scores that are computed once, at the end, stand below." : "");
  }

  // ---- The table: one row a cell, and its filters, which the parallel coordinates share ----

  const columnsOfTable = [
    ...(isSearch
      ? [
          { title: "Suggestion", value: (cell) => cells[cell].suggestion },
          { title: "On front", value: (cell) => (cells[cell].on_front ? "yes" : ""), text: true },
        ]
      : []),
    ...data.axes.map((axis) => ({
      title: axis.symbol,
      axis,
      value: (cell) => cells[cell].at[axis.field],
      shown: (cell) => axisText(axis, cells[cell].at[axis.field]),
    })),
    { title: "State", text: true, value: (cell) => markOf(state.metric, cell) },
    { title: "Seeds", value: (cell) => state.metric.seeds[state.time][cell] },
    ...metrics.map((metric) => ({
      title: metric.short,
      metric,
      value: (cell) => metric.mean[state.time][cell],
      shown: (cell) => withInterval(metric, cell),
    })),
  ];
  const rowsOfTable = cells.map((_, cell) => {
    const row = element("tr", "", { tabindex: "0", "aria-selected": "false", "data-cell": cell });
    for (const column of columnsOfTable) row.append(element("td", "", column.text ? { class: "text" } : {}));
    return row;
  });

  /** The closed range of numbers that a filter keeps, or null if it is no such filter. */
  function rangeOf(text) {
    const numeric = "[-−]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?";
    const read = (part) => Number(part.replace("−", "-"));
    const between = text.match(new RegExp(`^(${numeric})\\s*\\.\\.\\s*(${numeric})$`, "i"));
    if (between) return [read(between[1]), read(between[2]), true];
    const compared = text.match(new RegExp(`^(<=|>=|<|>|=)?\\s*(${numeric})$`, "i"));
    if (!compared) return null;
    const value = read(compared[2]);
    if (compared[1]?.startsWith("<")) return [-Infinity, value, compared[1] === "<="];
    if (compared[1]?.startsWith(">")) return [value, Infinity, compared[1] === ">="];
    return [value, value, true];
  }

  function keeps(text, column, cell) {
    const value = column.value(cell);
    const range = column.text ? null : rangeOf(text);
    if (!range || typeof value !== "number")
      return String(column.shown?.(cell) ?? value)
        .toLowerCase()
        .includes(text.toLowerCase());
    const [low, high, closed] = range;
    const room = closed ? EXACT * Math.max(Math.abs(value), 1e-12) : 0;
    return closed ? value >= low - room && value <= high + room : value > low && value < high;
  }

  const isKept = (cell) =>
    columnsOfTable.every((column, i) => !state.filters[i] || keeps(state.filters[i], column, cell));

  function buildTable() {
    const head = element("tr");
    columnsOfTable.forEach((column, i) => {
      const heading = element("th", "", { scope: "col", class: column.text ? "text" : "" });
      const button = element("button", column.title, { type: "button" });
      button.addEventListener("click", () => {
        state.sort = { column: i, up: state.sort.column === i ? !state.sort.up : column.metric?.better !== "max" };
        showTable();
      });
      const input = element("input", "", {
        type: "text",
        "aria-label": `Filter ${column.title}`,
        autocomplete: "off",
        inputmode: "text",
      });
      input.addEventListener("input", () => {
        state.filters[i] = input.value.trim();
        showTable();
        soon(drawParallel);
      });
      column.input = input;
      heading.append(button, input);
      head.append(heading);
    });
    $("table").tHead.replaceChildren(head);
    $("table").tBodies[0].append(...rowsOfTable);
  }

  function compare(column, one, other) {
    const [a, b] = [column.value(one), column.value(other)];
    if (a === null || b === null) return (a === null) - (b === null) || one - other; // numbers first, either way
    const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
    return (state.sort.up ? order : -order) || one - other;
  }

  function showTable() {
    const column = columnsOfTable[state.sort.column];
    const order = cells.map((_, cell) => cell).sort((one, other) => compare(column, one, other));
    let kept = 0;
    for (const cell of order) {
      const row = rowsOfTable[cell];
      row.hidden = !isKept(cell);
      kept += !row.hidden;
      columnsOfTable.forEach((c, i) => {
        row.children[i].textContent = c.shown?.(cell) ?? c.value(cell) ?? "–";
      });
    }
    $("table").tBodies[0].append(...order.map((cell) => rowsOfTable[cell]));
    [...$("table").tHead.rows[0].cells].forEach((heading, i) => {
      const sorted = i === state.sort.column;
      heading.setAttribute("aria-sort", sorted ? (state.sort.up ? "ascending" : "descending") : "none");
      heading.firstChild.textContent = columnsOfTable[i].title + (sorted ? (state.sort.up ? " ▲" : " ▼") : "");
    });
    $("rows-shown").textContent =
      `${kept} of ${cells.length} rows, at iteration ${iterations[state.time].toLocaleString("en")}.`;
    $("clear").hidden = !state.filters.some(Boolean);
    markRow();
  }

  function markRow() {
    rowsOfTable.forEach((row, cell) => row.setAttribute("aria-selected", String(cell === state.cell)));
  }

  // ---- Parallel coordinates ----

  const parallelColumns = columnsOfTable
    .map((column, i) => ({ ...column, i }))
    .filter((column) => column.axis || column.metric);

  function dimensionOf(column) {
    const values = cells.map((_, cell) => column.value(cell));
    const dimension = column.axis ? axisDimension(column.axis, values) : metricDimension(column.metric, values);
    const range = state.filters[column.i] ? rangeOf(state.filters[column.i]) : null;
    if (range) dimension.constraintrange = positionsOf(column, range, dimension.range);
    return { label: column.title, multiselect: false, ...dimension };
  }

  function axisDimension(axis, values) {
    if (axis.log) {
      const positive = values.filter((value) => value > 0).map(Math.log10);
      const [low, high] = [Math.min(...positive), Math.max(...positive)];
      const zero = low - 0.1 * (high - low || 1); // where a field without effect has 0
      const hasZero = positive.length < values.length;
      const ticks = [0, 1, 2, 3].map((i) => low + ((high - low) * i) / 3);
      const labels = ticks.map((tick) => String(+(10 ** tick).toPrecision(2)));
      return {
        values: values.map((value) => (value > 0 ? Math.log10(value) : zero)),
        range: [hasZero ? zero : low, high],
        tickvals: hasZero ? [zero, ...ticks] : ticks,
        ticktext: hasZero ? ["0", ...labels] : labels,
      };
    }
    if (isSearch && values.every((value) => typeof value === "number"))
      return { values, range: [Math.min(...values), Math.max(...values)] };
    const last = axis.values.length - 1;
    const ticks = axis.values.map((_, i) => i);
    return {
      values: values.map((value) => axis.values.indexOf(value)),
      range: [-0.15, last + 0.15],
      tickvals: ticks,
      ticktext: axis.text.map(escaped),
    };
  }

  /** A metric's axis, with a place of its own below it for cells without a number. */
  function metricDimension(metric, values) {
    const known = values.filter((value) => value !== null);
    let [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
    if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5];
    const below = low - 0.12 * (high - low);
    const missing = known.length < values.length;
    if (metric.count) [low, high] = [metric.min, metric.max];
    const parts = metric.count ? Math.min(high, 10) : 4;
    const ticks = Array.from({ length: parts + 1 }, (_, i) => low + ((high - low) * i) / parts);
    return {
      values: values.map((value) => value ?? below),
      range: [missing ? below : low, high],
      tickvals: missing ? [below, ...ticks] : ticks,
      ticktext: [...(missing ? ["none"] : []), ...ticks.map((tick) => String(+tick.toPrecision(3)))],
    };
  }

  function positionsOf(column, [low, high], ends) {
    if (column.axis && !column.axis.log && !isSearch) {
      const within = column.axis.values
        .map((value, i) => [value, i])
        .filter(([value]) => value >= low && value <= high);
      return within.length ? [within[0][1] - 0.1, within.at(-1)[1] + 0.1] : [-2, -1.5];
    }
    const scale = column.axis?.log ? (value) => (value > 0 ? Math.log10(value) : -Infinity) : (value) => value;
    return [Math.max(ends[0], scale(low)), Math.min(ends[1], scale(high))];
  }

  function filterOf(column, [low, high]) {
    if (column.axis && !column.axis.log && !isSearch) {
      const within = column.axis.values.filter((_, i) => i >= low && i <= high);
      if (!within.length) return "none";
      return within.length === 1
        ? axisText(column.axis, within[0])
        : `${axisText(column.axis, within[0])}..${axisText(column.axis, within.at(-1))}`;
    }
    const scale = column.axis?.log ? (value) => 10 ** value : (value) => value;
    return `${+scale(low).toPrecision(4)}..${+scale(high).toPrecision(4)}`;
  }

  function brushed() {
    parallelColumns.forEach((column, i) => {
      const range = $("parallel").data[0].dimensions[i].constraintrange;
      if (!range && !rangeOf(state.filters[column.i] ?? "")) return; // a filter by text has no place on an axis
      state.filters[column.i] = range ? filterOf(column, range) : "";
      columnsOfTable[column.i].input.value = state.filters[column.i];
    });
    showTable();
  }

  function drawParallel() {
    if (!seen.has("parallel")) return;
    const { metric, time } = state;
    const width = Math.max($("parallel").parentElement.clientWidth, 92 * parallelColumns.length);
    const middle = (metric.min + metric.max) / 2;
    const trace = {
      type: "parcoords",
      dimensions: parallelColumns.map(dimensionOf),
      labelfont: { size: 13 },
      tickfont: { size: 11, color: themeColour("ink") },
      rangefont: { size: 1, color: "rgba(0,0,0,0)" },
      line: {
        color: metric.mean[time].map((value) => value ?? middle),
        cmin: metric.min,
        cmax: metric.max,
        ...colourScale(metric),
      },
      unselected: { line: { color: themeColour("soft"), opacity: 0.08 } },
    };
    $("parallel").style.width = `${width}px`;
    const first = !$("parallel").data;
    Plotly.react(
      "parallel",
      [trace],
      { ...baseLayout(), width, height: 340, margin: { l: 46, r: 46, t: 44, b: 18 } },
      QUIET,
    );
    if (first) $("parallel").on("plotly_restyle", brushed);
  }

  // ---- Controls ----

  const waiting = new Set();
  /** Run once before the next frame, however often it is asked for. */
  function soon(draw) {
    if (waiting.has(draw)) return;
    waiting.add(draw);
    requestAnimationFrame(() => {
      waiting.delete(draw);
      draw();
    });
  }

  function showSlices() {
    for (const field of data.layout.slices) {
      $(`slice-${field}`).value = state.slice[field];
      $(`slice-${field}-value`).textContent = axisOf[field].text[state.slice[field]];
    }
  }

  function buildSlices() {
    for (const field of data.layout.slices) {
      const axis = axisOf[field];
      const label = element("label", `${axis.symbol} `, { class: "control wide" });
      const input = element("input", "", {
        type: "range",
        min: 0,
        max: axis.values.length - 1,
        step: 1,
        id: `slice-${field}`,
      });
      label.append(element("output", "", { id: `slice-${field}-value` }), input);
      input.addEventListener("input", () => slide(field, Number(input.value)));
      $("slices").append(label);
    }
    showSlices();
  }

  /** To another value of an axis that has a slider, staying at the same place of the map. */
  function slide(field, value) {
    const [x, y] = state.cell < 0 ? [-1, -1] : [place(state.cell, xField), place(state.cell, yField)];
    state.slice[field] = value;
    showSlices();
    $(`slice-${field}`).setAttribute("aria-valuetext", axisOf[field].text[value]);
    state.cell = cellAt(x, y);
    drawMap();
    if (state.cell >= 0) choose(state.cell);
  }

  function showTime() {
    $("iteration").value = state.time;
    const text = `${iterations[state.time].toLocaleString("en")} of ${data.last.toLocaleString("en")}`;
    $("iteration-value").textContent = text;
    $("iteration").setAttribute("aria-valuetext", text);
  }

  function showAll() {
    showTime();
    $("map-title").textContent = `${mapped().label} at iteration ${iterations[state.time].toLocaleString("en")}`;
    drawOverview();
    showCell();
    showTable();
    soon(drawCurves);
    soon(drawTradeoffs);
    soon(drawParallel);
  }

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  function step(event) {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    choose(isSearch ? nextPoint(move, [$("across").value, $("up").value]) : nextCell(move));
  }

  function nextCell([dx, dy]) {
    let [x, y] = state.cell < 0 ? [0, 0] : [place(state.cell, xField) + dx, place(state.cell, yField) + dy];
    while (x >= 0 && y >= 0 && x < numX() && y < numY()) {
      const found = cellAt(x, y);
      if (found >= 0) return found;
      [x, y] = [x + dx, y + dy];
    }
    return -1;
  }

  function stepInTradeoffs(event) {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    const { x, y } = data.tradeoffs[state.panel];
    choose(nextPoint(move, [x, y]));
  }

  /** The next cell along an axis of a scatter plot. */
  function nextPoint([dx, dy], [across, up]) {
    const values = valuesOf(dx ? across : up);
    const order = cells.map((_, cell) => cell).filter((cell) => values[cell] !== null);
    order.sort((one, other) => (values[one] > values[other]) - (values[one] < values[other]) || one - other);
    return order[order.indexOf(state.cell) + dx + dy] ?? -1;
  }

  const THEMES = ["auto", "light", "dark"];
  function toggleTheme() {
    const now = document.documentElement.dataset.theme ?? "auto";
    const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    $("theme").textContent = `Theme: ${next}`;
    showAll();
  }

  function rowChosen(event) {
    const row = event.target.closest("tr[data-cell]");
    if (!row) return;
    if (event.type === "keydown") {
      const shownRows = [...$("table").tBodies[0].rows].filter((other) => !other.hidden);
      const next = shownRows[shownRows.indexOf(row) + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0)];
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        return next?.focus();
      }
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
    }
    choose(Number(row.dataset.cell));
  }

  function clearFilters() {
    state.filters = [];
    for (const column of columnsOfTable) column.input.value = "";
    showTable();
    soon(drawParallel);
  }

  function buildControls() {
    for (const metric of metrics) $("metric").append(element("option", metric.label, { value: metric.name }));
    $("metric").addEventListener("change", () => {
      state.metric = metricOf[$("metric").value];
      showAll();
    });
    $("iteration").max = iterations.length - 1;
    $("iteration").addEventListener("input", () => {
      state.time = Number($("iteration").value);
      soon(showAll);
    });
    $("iteration").closest("label").classList.add("wide");
    for (const control of document.querySelectorAll(".search-only")) control.hidden = !isSearch;
    $("compared").append(element("option", "the metric", { value: "" }));
    for (const { field, symbol } of data.references)
      $("compared").append(element("option", `difference to ${symbol} = 0`, { value: field }));
    $("compared").addEventListener("change", () => {
      state.compared = $("compared").value;
      showAll();
    });
    $("compared-control").hidden = !data.references.length;
    $("tradeoffs-section").hidden = !data.tradeoffs.length;
    $("tradeoffs").addEventListener("keydown", stepInTradeoffs);
    if (isSearch) buildScatterControls();
    buildSlices();
    $("theme").addEventListener("click", toggleTheme);
    $("clear").addEventListener("click", clearFilters);
    $("controls").addEventListener("submit", (event) => event.preventDefault());
    $("map").addEventListener("keydown", step);
    for (const type of ["click", "keydown"]) $("table").tBodies[0].addEventListener(type, rowChosen);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
  }

  function buildScatterControls() {
    for (const id of ["across", "up"]) {
      for (const axis of data.axes) $(id).append(element("option", axis.symbol, { value: axis.field }));
      for (const metric of metrics) $(id).append(element("option", metric.label, { value: metric.name }));
      $(id).addEventListener("change", drawOverview);
    }
    $("up").value = data.axes[1]?.field ?? metrics[0].name;
  }

  function redrawWhenResized() {
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth === width) return; // a phone's address bar comes and goes
      width = innerWidth;
      soon(showAll);
    });
    whenNear("parallel", drawParallel);
    whenNear("tradeoffs", drawTradeoffs);
  }

  /** Draw what is far down when it is about to be seen. */
  function whenNear(id, draw) {
    new IntersectionObserver(
      (entries, observer) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        seen.add(id);
        draw();
      },
      { rootMargin: "200px" },
    ).observe($(id));
  }

  function bestCell() {
    return state.metric.best[state.time][0] ?? 0;
  }

  function describeSweep() {
    const trials = Object.values(data.states).reduce((sum, count) => sum + count, 0);
    const states = Object.entries(data.states).map(
      ([name, count]) => `${count.toLocaleString("en")} ${name.replaceAll("_", " ")}`,
    );
    const what = isSearch ? "suggestions" : "cells";
    $("summary").textContent =
      `${cells.length} ${what}, ${trials.toLocaleString("en")} trials with their seeds: ${states.join(", ")}.`;
    $("map-help").textContent = isSearch
      ? "A search draws its settings and has no grid: each point is a suggestion. Click a point, or use the arrow keys."
      : "Click a cell, or use the arrow keys here. One colour scale for all sliders: that of the last iteration. ± is the 95% interval over seeds.";
  }

  describeSweep();
  buildControls();
  buildTable();
  showAll();
  $("map").on("plotly_click", ({ points: [point] }) => choose(isSearch ? point.pointNumber : cellAt(point.x, point.y)));
  redrawWhenResized();
  document.addEventListener("DOMContentLoaded", () => {
    choose(bestCell());
    document.documentElement.dataset.ready = "yes";
  });
})();
