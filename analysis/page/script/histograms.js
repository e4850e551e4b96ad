// Histograms --------------------------------------------------------------------------------------------------------------

/** A histogram of responses, with the labels as an outline. `bins` has start, width, responses and labels. */
function histogram(title, who, bins, color) {
  const [width, height, left, bottom, top] = [320, 150, 8, 22, 20];
  const counts = [bins.responses, bins.labels].map((list) => {
    const total = list.reduce((a, b) => a + b, 0);
    return list.map((count) => (total ? count / total : 0));
  });
  const most = Math.max(...counts.flat(), 1e-9);
  const bars = bins.responses.length;
  const [x, y] = [(i) => left + (i / bars) * (width - 2 * left), (share) => height - bottom - (share / most) * (height - bottom - top)];
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}, ${who}` });
  svg.append(shape("text", { x: left, y: 12 }, title));
  const solid = shape("g", { class: "bars" });
  solid.style.setProperty("--color", color);
  counts[0].forEach((share, i) => {
    if (!share) return;
    const bar = shape("rect", { x: x(i) + 0.5, y: y(share), width: x(1) - x(0) - 1, height: height - bottom - y(share) });
    const [low, high] = [i, i + 1].map((edge) => brief(bins.start + edge * bins.width));
    bar.append(shape("title", {}, `${low} to ${high}: ${(100 * share).toFixed(1)} % of responses, ${(100 * counts[1][i]).toFixed(1)} % of labels`));
    solid.append(bar);
  });
  svg.append(solid);
  if (counts[1].some(Boolean)) {
    const outline = counts[1].map((share, i) => `${i ? "L" : "M"}${x(i)} ${y(share)}L${x(i + 1)} ${y(share)}`).join("");
    svg.append(shape("path", { class: "outline", d: outline }));
  }
  svg.append(shape("line", { class: "grid", x1: left, x2: width - left, y1: height - bottom, y2: height - bottom }));
  for (const { value, text } of ticks(bins.start, bins.start + bars * bins.width, 5)) {
    const place = x((value - bins.start) / bins.width);
    svg.append(shape("text", { x: Math.min(Math.max(place, 12), width - 12), y: height - 6, "text-anchor": "middle" }, text));
  }
  return svg;
}

/** The histograms of one run's responses under its name. */
function histogramsOf(set, color) {
  const { count, histograms } = set.summary;
  const who = `${set.method}, seed ${set.seed}`;
  const labels = Object.values(histograms).some((bins) => bins.labels.some(Boolean)) ? "; outline: labels" : "";
  return element(
    "figure",
    { class: "histograms" },
    element("figcaption", {}, `${who}: shares of ${count} responses${labels}`),
    element("div", {}, ...Object.entries(histograms).map(([title, bins]) => histogram(title, who, bins, color))),
  );
}

