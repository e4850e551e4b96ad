// Curves --------------------------------------------------------------------------------------------------------------

function startCurves(data) {
  const metric = byId("curve-metric");
  const smoothing = byId("curve-smoothing");
  const slider = byId("curve-step");
  const methods = Object.keys(data.colors);
  const hiddenMethods = new Set();
  const hiddenRuns = new Set();
  let runs = []; // runs of this task and loss that have the metric, with their points
  let lines = []; // lines drawn: { run (null for a mean), method, points }
  let steps = [];
  let chart = null;

  const dashed = (method) => methods.indexOf(method) >= 8;
  const tint = (node, method) => {
    node.style.setProperty("--color", data.colors[method]);
    node.classList.toggle("dashed", dashed(method));
    return node;
  };
  const places = runFilter("curve", data.curves, data.studies, chooseRuns);
  const marker = (method) => data.markers[method] ?? "o";
  const swatch = (method) =>
    element(
      "span",
      { class: "swatch" },
      shape(
        "svg",
        { viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true" },
        tint(shape("path", { class: "mean", d: "M1 6L25 6" }), method),
        tint(shape("path", { class: "marks", d: markAt(marker(method), 13, 6, 4) }), method),
      ),
    );

  /** The [step, value] points of a run; a gap has the value null. */
  function points(run) {
    const [which, values] = run.series[metric.value];
    return data.steps[which].map((step, i) => [step, values[i]]);
  }

  /** The mean over runs, at the steps where every run has a value. */
  function mean(group) {
    const counts = new Map();
    for (const run of group) {
      for (const [step, value] of run.points) {
        if (value === null) continue;
        const [n, sum] = counts.get(step) ?? [0, 0];
        counts.set(step, [n + 1, sum + value]);
      }
    }
    const complete = [...counts].filter(([, [n]]) => n === group.length);
    return complete.map(([step, [n, sum]]) => [step, sum / n]).sort((a, b) => a[0] - b[0]);
  }

  /** Means of so many neighbouring points; fewer at the ends, as many on both sides. */
  function smooth(points) {
    const reach = (Number(smoothing.value) - 1) / 2;
    if (!reach) return points;
    return points.map(([step, value], i) => {
      const near = Math.min(reach, i, points.length - 1 - i);
      const values = points.slice(i - near, i + near + 1).map((point) => point[1]).filter((one) => one !== null);
      return [step, value === null ? null : values.reduce((a, b) => a + b, 0) / values.length];
    });
  }

  /** The SFT policy's value, a line across the chart: the mean over the runs shown; null if none has one. */
  function level() {
    const values = visible().map((run) => run.levels[metric.value]).filter((value) => typeof value === "number");
    return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
  }

  const visible = () => runs.filter((run) => !hiddenMethods.has(run.method) && !hiddenRuns.has(run.index));

  function chooseRuns() {
    const chosen = places.chosen();
    setOptions(metric, sameText(chosen.flatMap((run) => Object.keys(run.series))));
    runs = chosen
      .filter((run) => Object.hasOwn(run.series, metric.value))
      .map((run) => ({ ...run, points: points(run), index: data.curves.indexOf(run) }))
      .map((run) => ({ ...run, at: new Map(run.points) }));
    listMethods();
    listRuns();
    chooseLines();
  }

  function listMethods() {
    const present = methods.filter((method) => runs.some((run) => run.method === method));
    byId("curve-methods").replaceChildren(
      ...present.map((method) => {
        const box = element("input", { type: "checkbox" });
        box.checked = !hiddenMethods.has(method);
        box.addEventListener("change", () => {
          box.checked ? hiddenMethods.delete(method) : hiddenMethods.add(method);
          chooseLines();
        });
        return element("label", {}, box, swatch(method), method);
      }),
    );
  }

  function listRuns() {
    if (!byId("curve-details").open) return;
    byId("curve-runs").replaceChildren(
      ...runs.map((run) => {
        const box = element("input", { type: "checkbox" });
        box.checked = !hiddenRuns.has(run.index);
        box.addEventListener("change", () => {
          box.checked ? hiddenRuns.delete(run.index) : hiddenRuns.add(run.index);
          chooseLines();
        });
        return element(
          "tr",
          {},
          element("td", {}, element("label", {}, box, element("code", {}, run.run))),
          element("td", {}, swatch(run.method), run.method),
          element("td", { class: "number" }, String(run.seed)),
          element("td", { class: "number" }),
        );
      }),
    );
  }

  function chooseLines() {
    const shownRuns = visible();
    lines = [];
    if (byId("curve-each").checked) {
      lines.push(...shownRuns.map((run) => ({ run, method: run.method, points: smooth(run.points) })));
    }
    if (byId("curve-mean").checked) {
      for (const method of methods) {
        const group = shownRuns.filter((run) => run.method === method);
        if (group.length) lines.push({ run: null, method, points: smooth(mean(group)) });
      }
    }
    const before = steps[slider.value];
    steps = unique(shownRuns.flatMap((run) => run.points.map(([step]) => step))).sort((a, b) => a - b);
    slider.max = Math.max(0, steps.length - 1);
    slider.value = steps.includes(before) ? steps.indexOf(before) : steps.length - 1;
    draw();
  }

  function draw() {
    const holder = byId("chart");
    if (!holder.clientWidth) return;
    chart = drawChart(holder, lines, metric.value, { tint, marker, level: level() });
    chart.svg.addEventListener("pointermove", hover);
    chart.svg.addEventListener("pointerdown", hover);
    chart.svg.addEventListener("pointerleave", () => chart.near(null));
    readOut();
  }

  function hover(event) {
    if (!steps.length) return;
    const box = chart.svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const distance = (step) => Math.abs(chart.x(step) - x);
    slider.value = steps.reduce((best, step, i) => (distance(step) < distance(steps[best]) ? i : best), 0);
    readOut();
    const step = steps[slider.value];
    let [nearest, least] = [null, 24];
    for (const line of lines) {
      const value = line.points.find(([s]) => s === step)?.[1];
      if (value === null || value === undefined) continue;
      const away = Math.abs(chart.y(value) - y);
      if (away < least) [nearest, least] = [{ line, step, value }, away];
    }
    chart.near(nearest);
  }

  /** Shows the slider's step on the chart, and the values there in the tables and for screen readers. */
  function readOut() {
    const step = steps[slider.value];
    const known = step !== undefined;
    byId("curve-step-value").textContent = known ? String(step) : "–";
    chart?.cursor(known ? step : null);
    const rows = [];
    for (const method of methods) {
      const group = visible().filter((run) => run.method === method);
      if (!group.length) continue;
      const values = group.map((run) => run.at.get(step)).filter((value) => value !== null && value !== undefined);
      const [low, high] = values.length ? extent(values) : [null, null];
      const average = values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
      rows.push([method, String(values.length), ...[average, low, high].map(measured)]);
    }
    byId("curve-values").replaceChildren(
      ...rows.map(([method, ...cells]) =>
        element(
          "tr",
          {},
          element("td", {}, swatch(method), method),
          ...cells.map((text) => element("td", { class: "number" }, text)),
        ),
      ),
    );
    const spoken = rows.map(([method, , average]) => `${method} ${average}`).join(", ");
    slider.setAttribute("aria-valuetext", `step ${known ? step : "none"}: ${spoken}`);
    if (byId("curve-details").open) {
      [...byId("curve-runs").rows].forEach((row, i) => (row.cells[3].textContent = measured(runs[i].at.get(step))));
    }
  }

  metric.addEventListener("change", chooseRuns);
  smoothing.addEventListener("change", chooseLines);
  for (const id of ["curve-each", "curve-mean"]) byId(id).addEventListener("change", chooseLines);
  slider.addEventListener("input", readOut);
  byId("curve-details").addEventListener("toggle", () => {
    listRuns();
    readOut();
  });
  chooseRuns();
  let width = byId("chart").clientWidth;
  new ResizeObserver(() => {
    if (byId("chart").clientWidth === width) return;
    width = byId("chart").clientWidth;
    draw();
  }).observe(byId("chart"));
}

