// What all plots share: their layout, their colour bar, and how they are drawn.

const QUIET = { displayModeBar: false, displaylogo: false, responsive: false, scrollZoom: false };

/** Draw a plot in an element; `on` has a listener for each event of plotly's, added with the first drawing. */
function plot(id, traces, layout, on = {}) {
  const first = !$(id).data;
  Plotly.react(id, traces, layout, QUIET);
  if (first) for (const [event, listener] of Object.entries(on)) $(id).on(event, listener);
}

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
