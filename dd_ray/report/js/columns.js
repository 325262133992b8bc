// Columns of the table and of the parallel coordinates, and the filters that both share.

const EXACT = 1e-5; // labels and filters have six digits

const columnsNow = () => [
  ...(isSearch
    ? [
        { name: "suggestion", title: "Suggestion", value: (cell) => cells[cell].suggestion },
        { name: "on_front", title: "On front", value: (cell) => (cells[cell].on_front ? "yes" : ""), text: true },
      ]
    : []),
  ...data.axes.map((axis) => ({
    name: axis.field,
    title: axis.symbol,
    axis,
    value: (cell) => cells[cell].at[axis.field],
    shown: (cell) => axisText(axis, cells[cell].at[axis.field]),
  })),
  { name: "state", title: "State", text: true, value: (cell) => markOf(state.metric, cell) },
  ...(cells.some((cell) => cell.sweep)
    ? [{ name: "sweep", title: "Sweep", text: true, value: (cell) => cells[cell].sweep }]
    : []),
  { name: "seeds", title: "Seeds", value: (cell) => state.metric.seeds[state.time][cell] },
  ...metrics.map((metric) => ({
    name: metric.name,
    title: metric.short,
    metric,
    value: (cell) => metric.mean[state.time][cell],
    shown: (cell) => withInterval(metric, cell),
  })),
];
let columnsOfTable = [];
whenRead(() => {
  columnsOfTable = columnsNow();
});

/** The closed range of numbers that a filter keeps, or null if the text is not such a filter. */
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
  columnsOfTable.every((column) => !state.filters[column.name] || keeps(state.filters[column.name], column, cell));
