// Interactive figures, drawn when they come into view and again when the theme changes.

const plotted = new Map();
const narrow = matchMedia("(max-width: 40rem)");

function legendRows(data, width) {
  // about so many rows the legend will take below the axes
  const entries = data.filter((trace) => trace.name && trace.showlegend !== false && trace.type !== "heatmap");
  const longest = Math.max(0, ...entries.map((trace) => trace.name.replace(/<[^>]*>/g, "").length));
  return entries.length > 1 ? Math.ceil(entries.length / Math.max(1, Math.floor(width / (60 + 7 * longest)))) : 0;
}

function themed(layout, height, rows) {
  const [ink, muted, rule, surface] = ["--ink", "--muted", "--rule", "--surface"].map(colourOf);
  const axis = { gridcolor: rule, zerolinecolor: rule, linecolor: muted, tickcolor: muted, automargin: true, ticks: "outside", ticklen: 4 };
  const whole = {
    ...layout, height: height + 20 * Math.max(0, rows - 2),
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
    font: { family: 'system-ui, "Segoe UI", "Liberation Sans", Arial, sans-serif', size: 12, color: ink },
    margin: { l: 60, r: 16, t: layout.grid ? 56 : 20, b: 50 },
    hoverlabel: { bgcolor: surface, bordercolor: muted, font: { color: ink }, align: "left", namelength: -1 },
    legend: { orientation: "h", x: 0, y: -62 / Math.max(60, height - 80 - 20 * Math.min(rows, 2)), yanchor: "top", itemsizing: "constant" },
  };
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) { whole[name] = { ...axis, ...layout[name] }; }
  return whole;
}

function stacked(layout, height, legend) {
  // panels stand below one another where there is no room beside
  if (!layout.grid || !narrow.matches || layout.grid.columns === 1) { return themed(layout, height, legend); }
  const rows = layout.grid.rows * layout.grid.columns;
  return themed({ ...layout, grid: { ...layout.grid, rows, columns: 1, ygap: 0.4 } }, Math.max(height, 290 * rows), legend);
}

function coloured(data) {
  // the first colour of the palette is lighter on dark ground, as in the drawings
  return JSON.parse(JSON.stringify(data).replaceAll(PRINT["var(--series)"], hexOf("--series")));
}

async function drawPlot(host) {
  const plotly = await library("plotly");
  const { data, layout, height } = plotted.get(host) ?? dataOf(host.closest("figure"));
  plotted.set(host, { data, layout, height });
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "toImage"] };
  const rows = legendRows(data, host.clientWidth);
  await plotly.react(host, coloured(data), stacked(layout, height, rows), config);
  host.dataset.drawn = "yes";
}

function beginPlots() {
  whenSeen(document.querySelectorAll(".plot"), drawPlot);
  document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", () => {
    details.querySelectorAll(".plot[data-drawn]").forEach((host) => window.Plotly?.Plots.resize(host));
  }));
  const again = () => plotted.forEach((_, host) => drawPlot(host));
  watchers.push(again);
  narrow.addEventListener("change", again);
}
