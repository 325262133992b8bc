// Colours: those of the theme, of a metric's scale, and of ordered values.

const CHOSEN = "#d55e00"; // vermilion, which the colour-blind see (Wong 2011, Nature Methods 8, p. 441)
const probe = document.body.appendChild(element("span", "", { hidden: "" }));
const themeColours = { light: new Map(), dark: new Map() };
/** A colour of the theme; asking the browser has it look through the styles of the page, so that it is asked once. */
function themeColour(name) {
  const colours = themeColours[isDark() ? "dark" : "light"];
  if (!colours.has(name)) {
    probe.style.color = `var(--${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}

function inkOn(metric, value) {
  if (value === null) return themeColour("ink");
  const share = Math.min(1, Math.max(0, (value - metric.min) / (metric.max - metric.min)));
  const { black } = data.colours[metric.colours];
  return black[Math.round(share * (black.length - 1))] ? "#000" : "#fff";
}

const colourScale = (metric) => ({ colorscale: data.colours[metric.colours].stops });

const isDark = () => (state.theme === "auto" ? state.systemIsDark : state.theme === "dark");

const LEAST_CONTRAST = 3; // of lines and points, as WCAG 2.1 has it for graphics

function luminance(colour) {
  const parts = colour.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255);
  const linear = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function contrastOf(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const channels = (hex) => [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16));

/** Colours of ordered values, of the part of viridis that can be seen on the panel. */
function orderedColours(count) {
  const colours = data.colours.viridis.stops.map(([, hex]) => hex);
  const seen = colours.filter((hex) => contrastOf(`${channels(hex)}`, themeColour("panel")) >= LEAST_CONTRAST);
  return Array.from({ length: count }, (_, i) => seen[Math.round(((seen.length - 1) * i) / Math.max(1, count - 1))]);
}

/** What tells pinned cells apart: a letter, a colour, a dash. */
const PIN_LETTERS = ["A", "B", "C", "D"];
const PIN_DASHES = ["solid", "dash", "dot", "dashdot"];
const MOST_PINS = PIN_LETTERS.length;
const pinColour = (pin) => themeColour(`pin-${pin}`);

function showTheme() {
  if (state.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = state.theme;
  $("theme").textContent = `Theme: ${state.theme}`;
}

store.register({ on: ["theme"], draw: showTheme });
