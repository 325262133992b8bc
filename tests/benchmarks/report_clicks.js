// What a reader does on a report page: window.benchmark times each step, from the event to the next picture.
(() => {
const $ = (id) => document.getElementById(id);
const median = (times) => [...times].sort((one, other) => one - other)[Math.floor(times.length / 2)];
const nextFrame = () => new Promise(requestAnimationFrame);
const afterwards = () => new Promise((resume) => setTimeout(resume));
const rest = (ms) => new Promise((resume) => setTimeout(resume, ms));

async function seen(id) {
  $(id).scrollIntoView({ block: "center" });
  await rest(1500); // what is drawn when it is about to be seen
}

const QUICK = 30; // milliseconds of a frame in which nothing was drawn

/**
 * Until the picture that follows an action has been drawn, by its own work, that of the next frame, layout and paint;
 * and until all in sight has been drawn, which two quick frames tell. The frame is waited for from before the action,
 * so that what the page leaves for after the picture comes after the first time is taken.
 */
async function timeOf(act) {
  await rest(2500); // until what is out of sight has been drawn, too
  const picture = nextFrame().then(afterwards);
  const began = performance.now();
  act();
  await picture;
  const first = performance.now() - began;
  let [last, all] = [performance.now(), performance.now()];
  for (let quick = 0; quick < 2; ) {
    await nextFrame();
    await afterwards();
    const now = performance.now();
    quick = now - last < QUICK ? quick + 1 : 0;
    if (!quick) all = now;
    last = now;
  }
  return [first, all - began];
}

const CELLS = 216;
const spread = (turn) => (turn * 37 + 5) % CELLS;
const rowOf = (turn) => {
  const rows = document.querySelectorAll("#table tr[data-cell]");
  return rows[(turn * 7 + 5) % rows.length];
};
const pick = (plot, point) => $(plot).emit("plotly_click", { points: [point] });
const slide = (id, value) => {
  $(id).value = value;
  $(id).dispatchEvent(new Event("input", { bubbles: true }));
};
const type = (input, text) => {
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};

const STEPS = {
  map: ["map", (turn) => pick("map", { x: turn % 6, y: (2 * turn + 1) % 6 })],
  "map by arrow key": [
    "map",
    (turn) => $("map").dispatchEvent(new KeyboardEvent("keydown", { key: ["ArrowUp", "ArrowDown"][turn % 2] })),
  ],
  "small maps": ["multiples", (turn) => pick("multiples", { customdata: spread(turn) })],
  "curves of all cells": ["groups", (turn) => pick("groups", { customdata: spread(turn) })],
  "trade-offs": ["tradeoffs", (turn) => pick("tradeoffs", { customdata: spread(turn), yaxis: { _id: "y" } })],
  table: ["table", (turn) => rowOf(turn).click()],
  "pin a cell": ["map", () => $("pin").click()],
  "map with two pins": ["map", (turn) => pick("map", { x: turn % 6, y: (2 * turn + 1) % 6 })],
  "sort the table": ["table", (turn) => document.querySelectorAll("#table thead button")[8 + (turn % 3)].click()],
  "iteration slider": ["map", (turn) => slide("iteration", turn + 3)],
  "slider of λ": ["map", (turn) => slide("slice-lam", turn % 6)],
  "another metric": [
    "map",
    (turn) => {
      $("metric").value = $("metric").options[turn % 5].value;
      $("metric").dispatchEvent(new Event("change"));
    },
  ],
  "type a filter": ["query", (turn) => type($("query"), ["gamma > 0", "gamma > 0.5", "lambda < 10", "beta: 0.1", ""][turn % 5])],
  "type in the table": ["table", (turn) => type(document.querySelector("#table thead input"), ["0", "0.", "0.1", ""][turn % 4])],
};

window.benchmark = {
  steps: Object.keys(STEPS),
  /** Have every part of the page drawn once. */
  async seeAll() {
    for (const id of ["multiples", "curves", "groups", "effects", "tradeoffs", "parallel", "table"]) await seen(id);
  },
  see: (name) => seen(STEPS[name][0]),
  time: (name, turn) => timeOf(() => STEPS[name][1](turn)),
};
})();
