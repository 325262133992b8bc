// The page of a sweep that runs, as its server shows it: newer numbers without loading it anew.

const SECONDS_BETWEEN = 5;
let { version } = document.documentElement.dataset; // of the numbers that are shown

/** What a file of the server says now; null where that is what it said last, or where it does not answer. */
async function ask(file, known) {
  try {
    const answer = await fetch(file, { cache: "no-store", headers: known ? { "If-None-Match": known } : {} });
    return answer.ok ? { content: await answer.json(), version: answer.headers.get("ETag") } : null;
  } catch {
    return { content: null };
  }
}

function clock(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function showProgress(progress) {
  const left = progress?.seconds_left;
  const running = progress?.running && [
    `${progress.running} running`,
    `${progress.iterations_per_second.toFixed(1)} iterations a second`,
    left === null ? "" : `about ${clock(left)} left`,
  ];
  const text = running ? running.filter(Boolean).join(", ") : "Nothing runs at the moment";
  $("live").textContent = progress ? `${text}.` : "The server cannot be asked, or the sweep is gone; what is shown may be old.";
  $("live").classList.toggle("badge", !progress);
}

async function look() {
  const progress = await ask("progress.json", null);
  showProgress(progress?.content);
  const newer = await ask("content.json", version);
  if (newer?.content) {
    refresh(newer.content);
    version = newer.version;
  }
  setTimeout(look, SECONDS_BETWEEN * 1000);
}

$("live").hidden = false;
look();
