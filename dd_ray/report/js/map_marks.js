// What is drawn over the cells of a map: hatching, crosses, the best region, the frame of the chosen cell.

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
