// When and where trials ran: a bar for each attempt, in rows of the machines and devices, in the viewer's time.

/** How an attempt ended: in words, as a colour and, for eyes that colours do not tell apart, as a pattern. */
const ENDS = {
  finished: { says: "finished", colour: "pin-1", letter: "■", pattern: "" },
  stopped_early: { says: "stopped early", colour: "pin-0", letter: "▨", pattern: "/" },
  at_plateau: { says: "ended at a plateau", colour: "pin-0", letter: "▤", pattern: "-" },
  out_of_time: { says: "out of time", colour: "pin-0", letter: "▥", pattern: "|" },
  diverged: { says: "diverged", colour: "pin-2", letter: "▩", pattern: "x" },
  failed: { says: "failed", colour: "failed", letter: "▩", pattern: "x" },
  error: { says: "failed, and was tried again", colour: "failed", letter: "▨", pattern: "/" },
  left: { says: "saved, to go on later", colour: "soft", letter: "■", pattern: "" },
  killed: { says: "killed", colour: "soft", letter: "▩", pattern: "x" },
  running: { says: "running", colour: "pin-3", letter: "■", pattern: "" },
};

let lanesOfPlaces = [];
let attemptOfKeys = -1; // the one that arrow keys are at
whenRead(() => {
  const { zero, places, states, columns } = data.timeline;
  const now = Date.parse(data.about.written) / 1000 - zero;
  attempts = columns.cell.map((cell, i) => ({
    ...{ cell, trial: cells[cell].trials[columns.trial[i]], place: columns.place[i], state: states[columns.state[i]] },
    ...{ began: columns.began[i], ended: Math.max(columns.ended[i] ?? now, columns.began[i]), from: columns.from[i] },
    ...{ i, to: columns.to[i], recorded: columns.recorded[i], error: columns.error[i] },
  }));
  gaps = gapsBetween(attempts);
  lanesOfPlaces = places.map((_, place) => intoLanes(attempts.filter((attempt) => attempt.place === place)));
  let top = 0;
  places.forEach((_, place) => {
    for (const attempt of attempts) if (attempt.place === place) attempt.row = top + attempt.lane;
    top += lanesOfPlaces[place] + 1;
  });
});

/** Put attempts that ran at the same time into lanes of their own, and return how many that takes. */
function intoLanes(some) {
  const ends = [];
  for (const attempt of some) {
    const free = ends.findIndex((end) => end <= attempt.began);
    attempt.lane = free < 0 ? ends.length : free;
    ends[attempt.lane] = attempt.ended;
  }
  return ends.length;
}

const deviceName = (device) => (device === "cpu" ? "CPU" : device);
const placeName = ([host, device]) => `${host}, ${deviceName(device)}`;
const placeOnAxis = ([host, device]) => `${escaped(host)}<br>${escaped(deviceName(device))}`;

function attemptInWords(attempt) {
  const end = attempt.recorded || attempt.state === "running" ? "" : "at least ";
  const error = attempt.error ?? (attempt.state === "failed" ? attempt.trial.error : null);
  return [
    `${nameOf(attempt.cell)}, seed ${attempt.trial.seed}`,
    `${ENDS[attempt.state]?.says ?? attempt.state}${error ? `: ${error.slice(0, 160)}` : ""}`,
    `${clockTime(attempt.began)} for ${end}${lasting(attempt.ended - attempt.began)}, iterations ` +
      `${attempt.from.toLocaleString("en")} to ${end}${attempt.to.toLocaleString("en")}`,
    placeName(data.timeline.places[attempt.place]),
  ];
}

const inWords = (attempt) => (attempt.words ??= attemptInWords(attempt));

const MOST_HEIGHT = 620; // pixels of all lanes
const laneHeight = () => Math.min(16, Math.max(3, MOST_HEIGHT / (Math.max(...attempts.map(({ row }) => row)) + 1)));

function barsOf(ended) {
  const some = attempts.filter(({ state }) => state === ended);
  const { colour, pattern } = ENDS[ended] ?? ENDS.left;
  const shortest = (2000 * shownSeconds()) / widthOf("timeline"); // two pixels
  return {
    ...{ type: "bar", orientation: "h", name: ended, width: 0.86 },
    base: some.map(({ began }) => drawnAt(began)),
    x: some.map(({ began, ended }) => Math.max(1000 * (ended - began), shortest)),
    y: some.map(({ row }) => row),
    customdata: some.map(({ i }) => i),
    hovertext: some.map((attempt) => inWords(attempt).map(escaped).join("<br>")),
    hovertemplate: "%{hovertext}<extra></extra>",
    marker: {
      color: themeColour(colour),
      opacity: some.map(({ cell }) => (isKept(cell) ? 1 : NOT_KEPT)),
      line: { width: 0.5, color: themeColour("panel") },
      pattern: { shape: pattern, size: 5, solidity: 0.35, fgcolor: themeColour("panel"), fillmode: "overlay" },
    },
  };
}

/** Frames around the attempts at the chosen cell, and a line where time is cut out. */
function shapesOfTimeline() {
  const framed = attempts.filter(({ cell }) => cell === state.cell);
  const frames = framed.map((attempt) => ({
    ...{ type: "rect", x0: drawnAt(attempt.began), x1: drawnAt(attempt.ended), layer: "above" },
    ...{ y0: attempt.row - 0.48, y1: attempt.row + 0.48 },
    line: { color: CHOSEN, width: attempts[attemptOfKeys] === attempt ? 4 : 2 },
  }));
  const cuts = gaps.map(([from]) => ({
    ...{ type: "line", x0: drawnAt(from), x1: drawnAt(from), yref: "paper", y0: 0, y1: 1, name: "cut" },
    line: { color: themeColour("soft"), width: 1, dash: "dot" },
  }));
  return [...cuts, ...frames];
}

function timelineLayout(width) {
  const middles = data.timeline.places.map((_, place) => {
    const rows = attempts.filter((attempt) => attempt.place === place).map(({ row }) => row);
    return (Math.min(...rows) + Math.max(...rows)) / 2;
  });
  const last = Math.max(...attempts.map(({ row }) => row));
  const room = 0.01 * (shownSeconds() || 1);
  return {
    ...baseLayout(),
    ...{ width, height: laneHeight() * (last + 1) + 66, margin: { l: 10, r: 12, t: 8, b: 46 } },
    ...{ barmode: "overlay", hovermode: "closest", shapes: shapesOfTimeline() },
    xaxis: {
      ...{ type: "date", ...AXIS, gridcolor: themeColour("grid"), ...ticksOfTime(width - 180), tickangle: 0 },
      range: [drawnAt(-room), drawnAt(endOfAll() + room)],
      rangebreaks: gaps.map((gap) => ({ bounds: gap.map(drawnAt) })),
    },
    yaxis: {
      ...{ ...AXIS, showgrid: false, automargin: true, range: [last + 0.7, -0.7] },
      ...{ tickvals: middles, ticktext: data.timeline.places.map(placeOnAxis), tickfont: { size: 11 } },
    },
  };
}

function drawTimeline() {
  describeTimeline();
  if (!attempts.length) return;
  const ended = Object.keys(ENDS).filter((name) => attempts.some(({ state }) => state === name));
  plot("timeline", ended.map(barsOf), timelineLayout(widthOf("timeline")), {
    plotly_click: ({ points: [point] }) => toAttempt(point.customdata),
  });
}

/** Of another metric or iteration nothing changes but which cells a filter keeps, of another cell the frames. */
function drawTimelineOrFrames(changed) {
  const few = changed && [...changed].every((key) => ["cell", "metric", "time"].includes(key));
  if (!few || !$("timeline").data || (isFiltered() && !(changed.size === 1 && changed.has("cell")))) drawTimeline();
  else if (changed.has("cell")) drawFrames();
}

const drawFrames = () => overlay("timeline", { shapes: shapesOfTimeline() });

function describeTimeline() {
  const { without } = data.timeline;
  const lacking = `Of ${counted(without, "trial")} no times were recorded, as by earlier versions.`;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const cut = gaps.length ? " Dotted: times in which nothing ran are cut out." : "";
  const what =
    `Each bar is one attempt at a trial, where it ran; times are of ${zone}.${cut} ` +
    "Click a bar, or use the arrow keys here, to choose its cell.";
  $("timeline-help").textContent = [attempts.length ? what : "", without ? lacking : ""].filter(Boolean).join(" ");
  const shownEnds = Object.entries(ENDS).filter(([name]) => attempts.some(({ state }) => state === name));
  const entries = shownEnds.map(([name, { says, colour, letter }]) => {
    const count = attempts.filter((attempt) => attempt.state === name && isKept(attempt.cell)).length;
    const made = entry(letter, `${says} (${count})`);
    made.querySelector("b").style.color = themeColour(colour);
    return made;
  });
  $("timeline-legend").replaceChildren(...entries);
}

/** To an attempt: say what it is, and choose its cell. */
function toAttempt(place) {
  attemptOfKeys = place;
  $("timeline-reading").textContent = `${inWords(attempts[place]).join("; ")}.`;
  choose(attempts[place].cell);
  drawFrames();
}

/** The attempt that an arrow key leads to: before or after in the same lane, or the nearest in time in another. */
function nextAttempt(key) {
  const from = attempts[attemptOfKeys] ?? attempts.find(({ cell }) => cell === state.cell);
  if (!from) return 0;
  const [across, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const middle = ({ began, ended }) => (began + ended) / 2;
  const away = (attempt) => Math.abs(middle(attempt) - middle(from));
  const inLane = (attempt) => attempt.row === from.row && (middle(attempt) - middle(from)) * across > 0;
  const beyond = attempts.filter((attempt) => (across ? inLane(attempt) : (attempt.row - from.row) * down > 0));
  const rowsAway = (attempt) => Math.abs(attempt.row - from.row);
  const [nearest] = beyond.sort((one, other) => rowsAway(one) - rowsAway(other) || away(one) - away(other));
  return attempts.indexOf(nearest ?? from);
}

function keyInTimeline(event) {
  if (!event.key.startsWith("Arrow") || !attempts.length) return;
  event.preventDefault();
  toAttempt(nextAttempt(event.key));
}

/** A row for each attempt at a trial of the kept cells. */
function timelineRows() {
  const fields = data.axes.map(({ field }) => field);
  const row = (attempt) => [
    ...[attempt.trial.key, ...fields.map((field) => cells[attempt.cell].at[field]), attempt.trial.seed],
    ...[...data.timeline.places[attempt.place], utc(attempt.began), utc(attempt.ended), attempt.recorded],
    ...[attempt.state, attempt.from, attempt.to, attempt.error],
  ];
  const times = ["host", "device", "began", "ended", "end_recorded", "state", "from", "to", "error"];
  const heading = ["key", ...fields, "seed", ...times];
  return [heading, ...attempts.filter(({ cell }) => isKept(cell)).map(row)];
}

$("timeline").addEventListener("keydown", keyInTimeline);
offerFiles("timeline", timelineRows);
whenRead(() => {
  const shownParts = $("timeline-section").querySelectorAll("#timeline, .downloads, #timeline-legend, #timeline-reading");
  for (const part of shownParts) part.hidden = !attempts.length;
});
const SHOWN = ["cell", "metric", "time", ...KEEPING, ...LOOK];
store.register({ on: SHOWN, far: "timeline-section", draw: drawTimelineOrFrames });
