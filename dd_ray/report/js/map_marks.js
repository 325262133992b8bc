// What is drawn over the cells of a map: hatching, crosses, the best region, what is
// not kept, the frame of the chosen cell.

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

/** What is laid over the cells that the filter does not keep. */
function veil(shownCells) {
  let path = "";
  for (const cell of shownCells) {
    if (isKept(cell)) continue;
    const [x, y] = [place(cell, xField) - 0.5, place(cell, yField) - 0.5];
    path += `M${x},${y}H${x + 1}V${y + 1}H${x}Z`;
  }
  const cover = { fillcolor: themeColour("panel"), opacity: 0.85, line: { width: 0 } };
  return path ? [{ type: "path", path, layer: "above", name: "not kept", ...cover }] : [];
}

/** A frame for each pinned cell that is on the map. */
function pinFrames(shownCells) {
  return state.pins.flatMap((cell, pin) => {
    if (!shownCells.includes(cell)) return [];
    const [x, y] = [place(cell, xField), place(cell, yField)];
    const box = { type: "rect", x0: x - 0.4, x1: x + 0.4, y0: y - 0.38, y1: y + 0.38, layer: "above" };
    const inner = { ...box, name: `pin ${PIN_LETTERS[pin]}`, line: { color: pinColour(pin), width: 2.5 } };
    return [{ ...box, line: { color: themeColour("panel"), width: 5 } }, inner];
  });
}

/** The letters of the pinned cells, in a corner of each. */
function pinLetters() {
  const shownCells = cellsOnMap();
  return state.pins.flatMap((cell, pin) => {
    if (!shownCells.includes(cell)) return [];
    const at = { x: place(cell, xField) - 0.4, y: place(cell, yField) + 0.38, xanchor: "left", yanchor: "top" };
    const look = { showarrow: false, borderpad: 1, bgcolor: pinColour(pin) };
    return [{ ...at, ...look, text: PIN_LETTERS[pin], font: { size: 11, color: themeColour("panel") } }];
  });
}

function shapesOnMap() {
  const shownCells = cellsOnMap();
  const marked = [...hatching(shownCells), ...crosses(shownCells), ...outline(shownCells)];
  return [...marked, ...veil(shownCells), ...pinFrames(shownCells), ...frame(state.cell)];
}
