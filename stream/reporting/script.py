"""What the report does in a browser: draws the plots in the reader's colours, and redraws them."""

SCRIPT = r"""
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const isDark = matchMedia("(prefers-color-scheme: dark)");
  const isCoarse = matchMedia("(pointer: coarse)");
  const NARROW_PX = 560;
  // What fits on A4 and on letter; a page is not laid out for paper yet when it must be drawn.
  const PAPER_PX = 640;
  const hiddenKeys = new Map(figures.map((figure) => [figure.id, new Set()]));

  // var(--name) as the colour that it has in the scheme at hand, wherever it stands.
  const painted = (value, style) => {
    if (typeof value === "string") {
      return value.startsWith("var(") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) {
      const isPlain = typeof value[0] === "number" || value[0] === null;
      return isPlain ? value : value.map((one) => painted(one, style));
    }
    if (value === null || typeof value !== "object") return value;
    const entries = Object.entries(value).map(([key, one]) => [key, painted(one, style)]);
    return Object.fromEntries(entries);
  };

  const axis = (own, canZoom) => ({
    gridcolor: "var(--grid)", linecolor: "var(--line)", tickcolor: "var(--line)",
    zeroline: false, automargin: true, fixedrange: !canZoom, ...own,
    title: {font: {size: 11, color: "var(--muted)"}, ...own.title},
  });

  const draw = (figure) => {
    const box = document.getElementById(figure.id);
    const isPrinting = "printing" in root.dataset;
    const paperPx = box.closest(".pair") ? PAPER_PX / 2 : PAPER_PX;
    const width = isPrinting ? paperPx : box.clientWidth;
    const isNarrow = width < NARROW_PX;
    const above = isNarrow ? figure.narrow : figure.wide;
    // What is marked above a plot takes no room from the plot.
    box.style.removeProperty("height");
    const height = box.clientHeight + above.lanes;
    box.style.height = `${height}px`;
    // A finger that moves over a plot scrolls the page.
    const canZoom = !isCoarse.matches;
    const chosen = root.dataset.window;
    const data = figure.data.map((trace) => ({
      ...trace,
      visible: (!trace.meta.window || trace.meta.window === chosen)
        && !hiddenKeys.get(figure.id).has(trace.meta.key),
    }));
    const layout = {
      ...figure.layout,
      width, height, showlegend: false,
      shapes: [...(figure.layout.shapes ?? []), ...above.shapes], annotations: above.annotations,
      margin: {l: isNarrow ? 40 : 52, r: isNarrow ? 8 : 14, t: 10 + above.lanes, b: 40},
      paper_bgcolor: "var(--card)", plot_bgcolor: "var(--card)",
      font: {family: getComputedStyle(document.body).fontFamily, size: 12, color: "var(--muted)"},
      hoverlabel: {
        bgcolor: "var(--card)", bordercolor: "var(--line)", namelength: -1,
        font: {size: 12, color: "var(--ink)"},
      },
      dragmode: canZoom ? "zoom" : false,
      xaxis: axis({
        spikecolor: "var(--muted)", spikethickness: 1, spikedash: "solid",
        nticks: isNarrow ? 4 : 9, ...figure.layout.xaxis,
      }, canZoom),
      yaxis: axis({nticks: 7, ...figure.layout.yaxis}, canZoom),
      uirevision: "kept",
    };
    const style = getComputedStyle(root);
    const config = {displayModeBar: false, showTips: false};
    Plotly.react(box, painted(data, style), painted(layout, style), config);
    // The box has a name that tells what is drawn; what draws it has none.
    for (const svg of box.querySelectorAll("svg")) svg.setAttribute("aria-hidden", "true");
  };

  const drawAll = () => { for (const figure of figures) draw(figure); };

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const keys = hiddenKeys.get(button.dataset.plot);
      const key = button.dataset.key;
      if (!keys.delete(key)) keys.add(key);
      button.setAttribute("aria-pressed", String(!keys.has(key)));
      draw(figures.find((figure) => figure.id === button.dataset.plot));
    });
  }
  for (const input of document.querySelectorAll("input[name=window]")) {
    // A browser that restores the page restores the choice, too.
    if (input.checked) root.dataset.window = input.value;
    input.addEventListener("change", () => { root.dataset.window = input.value; drawAll(); });
  }

  let resizing = 0;
  let widthPx = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === widthPx) return;
    widthPx = innerWidth;
    clearTimeout(resizing);
    resizing = setTimeout(drawAll, 100);
  });
  isDark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { root.dataset.printing = ""; drawAll(); });
  addEventListener("afterprint", () => { delete root.dataset.printing; drawAll(); });
  drawAll();
  // Where text is measured, far off the page: nothing to read aloud.
  document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
})();
"""
