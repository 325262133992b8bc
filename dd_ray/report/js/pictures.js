// The chosen cell in pictures: reconstructions, traversals, dreams.

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

/** Reconstruction less original about a middle grey, cut off at ±½ of white, as figures have it. */
function differenceStrip([original, reconstruction], row, description) {
  // Half of 1 − original and half of the reconstruction make ½ + (reconstruction − original) / 2.
  const [under, over] = [strip([original], row, ""), strip([reconstruction], row, "")];
  under.style.filter = "invert(1)";
  over.style.opacity = "0.5";
  const made = element("div", "", { class: "difference", role: "img", "aria-label": description });
  for (const layer of [under, over]) layer.setAttribute("aria-hidden", "true");
  made.append(under, over);
  return made;
}

function showPictures() {
  if (state.cell < 0) return;
  const pictures = parse(`pictures-${state.cell}`);
  if (pictures === null)
    return $("pictures").replaceChildren(
      element("p", "This page was written without pictures; its report command, given the sweep, writes it with them.", { class: "hint" }),
    );
  if (pictures.note)
    return $("pictures").replaceChildren(element("p", `No pictures: ${pictures.note}`, { class: "hint" }));
  const where = `Seed ${pictures.seed}, iteration ${pictures.iteration.toLocaleString("en")}`;
  $("pictures").replaceChildren(
    element("h3", "Reconstructions of held-out videos"),
    element("p", `${where}. Frames from left to right. The difference is reconstruction less original, about grey.`, { class: "hint" }),
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
function lagOf({ pixels, shown: share, motion }) {
  const many = `${Math.round(100 * share)}% of the frames show a circle`;
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
      element("span", "difference", { title: "reconstruction less original: white is too bright, black too dark" }),
      differenceStrip([source, reconstruction], video, `Video ${video + 1}, reconstruction less original`),
    );
  }
  return grid;
}

function traversals({ traversal, latents }) {
  const grid = element("div", "", { class: "sprites" });
  for (let latent = 0; latent < traversal.rows; latent++) {
    const { active, follows, correlation, variance } = latents[latent];
    const followed = follows ? `${follows.replaceAll("_", " ")} ${correlation.toFixed(2)}` : "active";
    const said = active ? followed : "not active";
    const label = element("span", `z${latent} `, { title: `variance ${variance}` });
    label.append(element("span", said, { class: "faint" }));
    grid.append(label, strip([traversal], latent, `Traversal of latent ${latent}, ${said}`));
  }
  const ends = element("div", "", { class: "ends" });
  ends.append(element("span", "−3"), element("span", "0"), element("span", "3"));
  grid.append(element("span", ""), ends);
  return grid;
}

// Without pictures, what is said of a cell is short, and its curves stand below it rather than below the map.
if (document.documentElement.dataset.pictures === "no") $("cell").after($("curves-section"));
store.register({ on: ["cell"], far: "pictures", unseen: true, draw: showPictures });
