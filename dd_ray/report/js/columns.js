// Columns of the table and of the parallel coordinates, and the filter that all views share.

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

const QUOTED = '="(?:[^"]|"")*"'; // as in a table of commas
/** A filter that keeps a text alone, whatever it holds. */
const exactlyText = (text) => (/[",]|^\s|\s$/.test(text) ? `="${text.replaceAll('"', '""')}"` : `=${text}`);
const textMeant = (filter) =>
  new RegExp(`^${QUOTED}$`).test(filter) ? filter.slice(2, -1).replaceAll('""', '"') : filter.slice(1).trim();

/** A number as it is meant: the nearest of the values that agree with it in the digits of labels, if any does. */
function meant(number, values) {
  const off = (value) => Math.abs(value - number);
  const alike = values.filter((value) => off(value) <= EXACT * Math.max(Math.abs(value), 1e-12));
  return alike.sort((one, other) => off(one) - off(other))[0] ?? number;
}

/**
 * Whether a value, or what is shown of it, is what a filter says: a range, an exact text after =, or a part of it;
 * `values` are those that the column has.
 */
function fits(text, value, shownAs, values) {
  const range = typeof value === "number" ? rangeOf(text) : null;
  if (!range) {
    const [wanted, has] = [text, String(shownAs ?? value)].map((one) => one.toLowerCase());
    return wanted.startsWith("=") ? has === textMeant(wanted) : has.includes(wanted);
  }
  const [low, high, closed] = range;
  return closed ? value >= meant(low, values) && value <= meant(high, values) : value > low && value < high;
}

const partsOf = (text) =>
  (text.match(new RegExp(`(?:${QUOTED}|[^,])+`, "g")) ?? []).map((part) => part.trim()).filter(Boolean);

/** A filter as it is typed, with its signs as they are in code. */
const inSigns = (text) => text.replaceAll("≤", "<=").replaceAll("≥", ">=").replaceAll("≠", "!=");

/** Whether a column's filter keeps a value; one with commas is a list of what to keep, where it is not a text itself. */
function fitsAny(typed, value, shownAs, values = [value]) {
  const text = inSigns(typed);
  if (text.startsWith("!=")) return !fitsAny(text.slice(1), value, shownAs, values);
  const parts = partsOf(text);
  const fitting = (part) => fits(part, value, shownAs, values);
  return fitting(text) || (parts.length > 1 && parts.some(fitting));
}

/** What a filter of one axis says that keeps some of its values; nothing where it keeps none or all. */
function filterOfValues(axis, some) {
  if (!some.length || some.length === axis.values.length) return "";
  const exactly = (value) => (typeof value === "number" ? axisText(axis, value) : exactlyText(axisText(axis, value)));
  return axis.values.filter((value) => some.includes(value)).map(exactly).join(", ");
}

const keeps = (text, column, cell) =>
  fitsAny(text, column.text ? String(column.value(cell)) : column.value(cell), column.shown?.(cell), column.axis?.values);

const plainName = (name) => name.toLowerCase().replace(/[\s_-]/g, "");

const withoutUnit = (label) => label.replace(/ \([^()]*\)$/, "");

/** The column that a word means: by its name, as an option is spelled, or as it is written on the page. */
function columnNamed(word) {
  const wanted = plainName(word);
  return columnsOfTable.find(({ name, title, axis, metric: { label } = { label: "" } }) =>
    [name, title, axis?.option, axis?.symbol, label, withoutUnit(label)].some(
      (known) => known && plainName(known) === wanted,
    ),
  );
}

/** The parts of a text that are joined by commas, as in a cell's name: "β = 0.1, γ = 0.5", but not "γ = 0, 0.5". */
function namedParts(text) {
  for (const { index } of text.matchAll(/,/g)) {
    const [before, after] = [text.slice(0, index), text.slice(index + 1)];
    const [, name] = after.match(/^([^!<>=:]+)!?[<>=:]/) ?? [];
    if (/[<>=:]/.test(before) && name && columnNamed(name.trim())) return [before, ...namedParts(after)];
  }
  return [text];
}

/**
 * What is typed to keep cells by: parts joined by "and" or ;, each NAME OPERATOR VALUE, or a part of a cell's name,
 * label or state.
 */
function clausesOf(query) {
  const parts = inSigns(query).split(/\s+and\s+|;|&&/i).flatMap(namedParts).map((part) => part.trim());
  return parts.filter(Boolean).map((part) => {
    const [, name, sign, value] = part.match(/^([^<>=:]+?)\s*(<=|>=|!=|<|>|=|:)\s*(.*)$/) ?? [];
    if (!name) return { text: part.toLowerCase() };
    const bare = sign === ":" || (sign === "=" && /,|\.\./.test(value));
    return { name, column: columnNamed(name), filter: value && (bare ? value : sign + value) };
  });
}

function saysOf(cell) {
  return [nameOf(cell), cells[cell].trials[0].label, markOf(state.metric, cell)].join(" ").toLowerCase();
}

function holds({ text, column, filter }, cell) {
  if (text !== undefined) return saysOf(cell).includes(text);
  return !column || !filter || keeps(filter, column, cell);
}

let keptFor = [];
let keptNow = [];
/** For each cell whether the filters keep it; worked out once for all views. */
function kept() {
  const what = [cells, state.filters, state.query, state.time, state.metric];
  if (what.some((one, i) => one !== keptFor[i])) {
    const filters = columnsOfTable.filter(({ name }) => state.filters[name]);
    const clauses = clausesOf(state.query);
    keptNow = cells.map(
      (_, cell) =>
        filters.every((column) => keeps(state.filters[column.name], column, cell)) &&
        clauses.every((clause) => holds(clause, cell)),
    );
    keptFor = what;
  }
  return keptNow;
}

const isKept = (cell) => kept()[cell];
const isFiltered = () => Boolean(state.query) || Object.values(state.filters).some(Boolean);
