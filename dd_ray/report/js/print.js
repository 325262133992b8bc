// Printing: everything as wide as paper, in light colours, drawn at once.

const WIDTH_OF_PAPER = 1000; // pixels, of A4 on its side less its margins

function drawEverythingNow() {
  for (const view of store.views) view.draw(new Set(Object.keys(state)));
}

let themeOfScreen = null;
addEventListener("beforeprint", () => {
  themeOfScreen = state.theme;
  state.theme = "light";
  document.documentElement.classList.add("printing");
  document.body.style.width = `${WIDTH_OF_PAPER}px`;
  drawEverythingNow();
});
addEventListener("afterprint", () => {
  state.theme = themeOfScreen;
  document.documentElement.classList.remove("printing");
  document.body.style.width = "";
  drawEverythingNow();
});
