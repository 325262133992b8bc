// Videos and traversals of the pinned cells, side by side and playing together.

const SECONDS_PER_FRAME = 0.2;
let stepOfPlay = 0;
let playing = null;

/** A picture of a sprite's row, at the place of the play; with two sprites, their difference. */
function frameOf(sprites, row, description) {
  const [{ rows, columns }] = sprites;
  const made = element("div", "", { class: "frame", role: "img", "aria-label": description });
  made.style.backgroundImage = sprites.map(address).join(",");
  made.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
  if (sprites.length > 1) Object.assign(made.style, { backgroundBlendMode: "difference", filter: "brightness(2)" });
  Object.assign(made.dataset, { columns, down: rows > 1 ? (100 * row) / (rows - 1) : 0 });
  return made;
}

function latentOf({ latents, traversal }, latent) {
  const { active, follows, correlation } = latents[latent];
  const said = active ? (follows ? `${follows.replaceAll("_", " ")} ${correlation.toFixed(2)}` : "active") : "not active";
  const cell = element("div");
  cell.append(frameOf([traversal], latent, `Traversal of latent ${latent}, ${said}`), element("span", said, { class: "faint" }));
  return cell;
}

/** What stands in the rows of the stage: a title, and for each cell's pictures an element, or nothing. */
function rowsOfStage(pictured) {
  const known = pictured.filter((one) => one?.reconstruction);
  const most = (count) => Math.max(0, ...known.map(count));
  const originals = parse("originals");
  const rows = [];
  for (let video = 0; video < most(({ reconstruction }) => reconstruction.rows); video++) {
    const of = (sprites, what) => (one) =>
      video < one.reconstruction.rows ? frameOf(sprites(one), video, `Video ${video + 1}, ${what}`) : null;
    const source = (one) => originals[one.original];
    rows.push([`video ${video + 1}`, of((one) => [source(one)], "original")]);
    rows.push(["reconstruction", of((one) => [one.reconstruction], "reconstruction")]);
    rows.push(["difference × 2", of((one) => [source(one), one.reconstruction], "difference")]);
  }
  for (let latent = 0; latent < most(({ traversal }) => traversal.rows); latent++)
    rows.push([`z${latent}`, (one) => (latent < one.traversal.rows ? latentOf(one, latent) : null)]);
  return rows;
}

function showStage() {
  const pictured = state.pins.map((cell) => parse(`pictures-${cell}`));
  const known = pictured.filter((one) => one?.reconstruction);
  $("player").hidden = !known.length;
  if (!known.length) return stopPlaying();
  const heads = state.pins.map((_, pin) => {
    const { seed, note } = pictured[pin] ?? {};
    const head = element("span", PIN_LETTERS[pin], { title: note ?? "" });
    head.append(element("span", note ? " no pictures" : ` seed ${seed}`, { class: "faint" }));
    head.style.color = pinColour(pin);
    return head;
  });
  const rows = rowsOfStage(pictured).flatMap(([title, made]) => [
    element("span", title),
    ...pictured.map((one) => (one?.reconstruction && made(one)) || element("span")),
  ]);
  $("stage").style.gridTemplateColumns = `max-content repeat(${state.pins.length}, minmax(56px, 84px))`;
  $("stage").replaceChildren(element("span"), ...heads, ...rows);
  $("frame").max = Math.max(...known.map(({ reconstruction }) => reconstruction.columns)) - 1;
  showFrame();
}

/** Show all pictures at one place of the play: a video's frame, and as far along a latent. */
function showFrame() {
  const last = Number($("frame").max);
  stepOfPlay = Math.min(stepOfPlay, last);
  const share = last ? stepOfPlay / last : 0;
  for (const made of $("stage").querySelectorAll(".frame")) {
    const columns = Number(made.dataset.columns);
    const across = columns > 1 ? (100 * Math.round(share * (columns - 1))) / (columns - 1) : 0;
    made.style.backgroundPosition = `${across}% ${made.dataset.down}%`;
  }
  const text = `${stepOfPlay + 1} of ${last + 1}; latents from −3 to 3 alike`;
  $("frame").value = stepOfPlay;
  $("frame-value").textContent = text;
  $("frame").setAttribute("aria-valuetext", text);
}

function stopPlaying() {
  clearInterval(playing);
  playing = null;
  $("play").textContent = "Play";
  $("play").setAttribute("aria-pressed", "false");
}

function togglePlay() {
  if (playing !== null) return stopPlaying();
  $("play").textContent = "Pause";
  $("play").setAttribute("aria-pressed", "true");
  playing = setInterval(() => {
    stepOfPlay = (stepOfPlay + 1) % (Number($("frame").max) + 1);
    showFrame();
  }, 1000 * SECONDS_PER_FRAME);
}

$("play").addEventListener("click", togglePlay);
$("frame").addEventListener("input", () => {
  stepOfPlay = Number($("frame").value);
  showFrame();
});
store.register({ on: ["pins", "theme", "systemIsDark"], draw: showStage });
