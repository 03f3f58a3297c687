(() => {
  const root = document.documentElement;
  const specs = JSON.parse(document.getElementById("figures").textContent);
  const narrow = window.matchMedia("(max-width: 640px)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // "--c1" is a colour of the page, "--c1/0.2" the same, transparent.
  const colour = (text) => {
    const [name, alpha] = text.split("/");
    const hex = getComputedStyle(root).getPropertyValue(name).trim();
    if (!alpha) return hex;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };
  const coloured = (value) => {
    if (typeof value === "string") return value.startsWith("--") ? colour(value) : value;
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(coloured);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner)]));
    return value;
  };

  const axis = (given) => ({
    automargin: true, gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line"),
    fixedrange: narrow.matches, ...coloured(given || {}),
  });
  const layout = (spec) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: spec.height,
    font: { color: colour("--ink"), family: getComputedStyle(document.body).fontFamily, size: narrow.matches ? 11 : 13 },
    hoverlabel: { bgcolor: colour("--surface"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    margin: { l: 8, r: 12, t: 8, b: 8 }, hovermode: "x unified", dragmode: narrow.matches ? false : "zoom",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    ...coloured(spec.layout), xaxis: { ...axis(spec.layout.xaxis), showgrid: false }, yaxis: axis(spec.layout.yaxis),
  });
  const options = { responsive: true, displaylogo: false, displayModeBar: false };
  const draw = () => specs.forEach((spec) => Plotly.react(spec.name, coloured(spec.data), layout(spec), options));

  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
  window.addEventListener("beforeprint", () => { root.classList.add("print"); draw(); specs.forEach((s) => Plotly.Plots.resize(s.name)); });
  window.addEventListener("afterprint", () => { root.classList.remove("print"); draw(); specs.forEach((s) => Plotly.Plots.resize(s.name)); });
})();
