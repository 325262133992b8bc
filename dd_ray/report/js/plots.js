// What all plots share: their layout, their colour bar, and how they are drawn.

const NOT_KEPT = 0.12; // opacity of points that the filter does not keep
const QUIET = { displayModeBar: false, displaylogo: false, responsive: false, scrollZoom: false };

/** Draw a plot in an element; `on` has a listener for each event of plotly's, added with the first drawing. */
function plot(id, traces, layout, on = {}) {
  const first = !$(id).data;
  Plotly.react(id, traces, layout, QUIET);
  if (first) for (const [event, listener] of Object.entries(on)) $(id).on(event, listener);
}

/**
 * Below a plot, what keeps it: as pictures, and as the table of numbers, heading first, that `rows` gives; of what is
 * no plot, the numbers alone.
 */
function offerFiles(id, rows, { pictures = true } = {}) {
  const bar = element("p", "", { class: "downloads" });
  const what = document.getElementById($(id).getAttribute("aria-labelledby"))?.textContent || $(id).ariaLabel;
  const drawn = {
    SVG: () => Plotly.toImage(id, { format: "svg" }),
    PNG: () => Plotly.toImage(id, { format: "png", scale: 2 }),
  };
  const kinds = {
    ...(pictures ? drawn : {}),
    CSV: async () => `data:text/csv;charset=utf-8,${encodeURIComponent(rows().map(csvLine).join(""))}`,
  };
  for (const [kind, made] of Object.entries(kinds)) {
    const button = element("button", kind, { type: "button", "aria-label": `${kind} file: ${what || id}` });
    button.addEventListener("click", async () => {
      const name = `${data.about.name}_${id}.${kind.toLowerCase()}`;
      element("a", "", { href: await made(), download: name }).click();
    });
    bar.append(button);
  }
  const scrolled = $(id).closest(".scroll");
  (scrolled ?? $(id)).after(bar);
}

const csvLine = (values) =>
  `${values.map((value) => (/[",\n]/.test(value ?? "") ? `"${String(value).replaceAll('"', '""')}"` : (value ?? ""))).join(",")}\n`;

const hintOf = ({ better, signed }) =>
  ({
    min: signed ? "below 0 is better: blue" : "lower is better",
    max: signed ? "above 0 is better: blue" : "higher is better",
  })[better] ?? "";

function colourBar(metric) {
  return {
    orientation: "h",
    x: 0.5,
    y: 1,
    yanchor: "bottom",
    ypad: 6,
    xpad: 0,
    len: 1,
    thickness: 11,
    outlinewidth: 0,

    title: { text: hintOf(metric), side: "top", font: { size: 12 } },
    tickfont: { size: 11 },
    nticks: 6,
  };
}

function baseLayout() {
  return {
    paper_bgcolor: themeColour("panel"),
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    dragmode: false,
    font: { family: "system-ui, sans-serif", size: 12, color: themeColour("ink") },
    hoverlabel: {
      bgcolor: themeColour("panel"),
      bordercolor: themeColour("soft"),
      align: "left",
      font: { color: themeColour("ink"), size: 13 },
    },
  };
}
