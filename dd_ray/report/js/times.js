// Times of a sweep: seconds after its first attempt in the data, and the viewer's time on the page.

let attempts = []; // in the order of their beginning, with their lanes
let gaps = []; // times in which nothing ran, which are cut out

const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];
const LONGEST_GAP = 0.08; // of the time in which something ran; longer times in which nothing did are cut out
const timeAt = (seconds) => new Date((data.timeline.zero + seconds) * 1000);
const utc = (seconds) => timeAt(seconds).toISOString();

/** Seconds since 1970 of a time if the viewer's clock were that of UTC. */
const onTheirClock = (seconds) => timeAt(seconds).getTime() / 1000 - timeAt(seconds).getTimezoneOffset() * MINUTE;
const withoutZone = (seconds) => new Date(seconds * 1000).toISOString().slice(0, -1);
/** A time as plotly draws it, which knows no zones. */
const drawnAt = (seconds) => withoutZone(onTheirClock(seconds));

const dayAndClock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const clockTime = (seconds) => dayAndClock.format(timeAt(seconds));

function lasting(seconds) {
  if (seconds < 90) return `${+seconds.toPrecision(2)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Long times in which nothing ran, but for a margin on both sides; attempts are in the order of their beginning. */
function gapsBetween(some) {
  const found = [];
  let [busy, until] = [0, 0];
  for (const { began, ended } of some) {
    if (began > until) found.push([until, began]);
    busy += Math.max(0, ended - Math.max(began, until));
    until = Math.max(until, ended);
  }
  const room = 0.015 * busy;
  return found.filter(([from, to]) => to - from > LONGEST_GAP * busy).map(([from, to]) => [from + room, to - room]);
}

const endOfAll = () => Math.max(...attempts.map(({ ended }) => ended));
/** Seconds that the axis shows until a time, without what is cut out. */
const shownSeconds = (until = endOfAll()) =>
  until - gaps.reduce((sum, [from, to]) => sum + Math.max(0, Math.min(until, to) - from), 0);

const STEPS = [1, 5, 15, 30, ...[1, 5, 15, 30].map((n) => n * MINUTE), ...[1, 3, 6, 12].map((n) => n * HOUR)];
const PIXELS_PER_TICK = 75;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Ticks at round times of the viewer's clock, with the date where it changes, none near another or where time is cut. */
function ticksOfTime(width) {
  const perPixel = (shownSeconds() || 1) / width;
  const days = Math.ceil((PIXELS_PER_TICK * perPixel) / DAY);
  const step = STEPS.find((seconds) => seconds >= PIXELS_PER_TICK * perPixel) ?? days * DAY;
  const [tickvals, ticktext] = [[], []];
  let [last, day] = [-Infinity, ""];
  const first = onTheirClock(0);
  for (let at = Math.ceil(first / step) * step; at <= onTheirClock(endOfAll()); at += step) {
    const shownAt = shownSeconds(at - first);
    const gone = gaps.some(([from, to]) => at - first > from && at - first < to);
    if (gone || (shownAt - last) / perPixel < 0.8 * PIXELS_PER_TICK) continue;
    const time = withoutZone(at);
    const date = `${time.slice(8, 10)} ${MONTHS[Number(time.slice(5, 7)) - 1]}`;
    tickvals.push(time);
    ticktext.push((step >= DAY ? "" : time.slice(11, step < MINUTE ? 19 : 16)) + (date === day ? "" : `<br>${date}`));
    [last, day] = [shownAt, date];
  }
  return { tickvals, ticktext };
}
