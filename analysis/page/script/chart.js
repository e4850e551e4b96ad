/**
 * Draws lines over steps with axes. Returns what pointer and slider need: scales, `cursor(step)`, `near(point)`.
 *
 * tint(node, method): colors a node. marker(method): the method's marker. level: a value with a line across, or null.
 */
function drawChart(holder, lines, title, { tint, marker, level }) {
  const width = holder.clientWidth;
  const height = Math.round(Math.min(380, Math.max(240, width * 0.42)));
  const all = lines.flatMap((line) => line.points).filter(([, value]) => value !== null);
  const [firstStep, lastStep] = span(all.map(([step]) => step));
  const [low, high] = span([...all.map(([, value]) => value), ...(level === null ? [] : [level])], 0.05);
  const yTicks = ticks(low, high, height / 60);
  const xTicks = ticks(firstStep, lastStep, width / 90).filter((tick) => Number.isInteger(tick.value));
  const left = 14 + 7 * Math.max(...yTicks.map((tick) => tick.text.length));
  const [top, right, bottom] = [26, 14, 38];
  const x = (step) => left + ((step - firstStep) / (lastStep - firstStep)) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low)) * (height - top - bottom);
  const label = `${title} over steps; the values stand in the table below`;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });

  svg.append(shape("text", { x: 0, y: 12 }, title));
  svg.append(shape("text", { x: width - right, y: height - 4, "text-anchor": "end" }, "step"));
  for (const { value, text } of yTicks) {
    svg.append(
      shape("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      shape("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, text),
    );
  }
  for (const { value, text } of xTicks) {
    const floor = height - bottom;
    svg.append(
      shape("line", { class: "grid", x1: x(value), x2: x(value), y1: floor, y2: floor + 4 }),
      shape("text", { x: x(value), y: floor + 17, "text-anchor": "middle" }, text),
    );
  }
  if (!all.length) {
    svg.append(shape("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "No line is chosen."));
  }

  const cursor = shape("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  svg.append(cursor);
  if (level !== null) {
    svg.append(
      shape("line", { class: "level", x1: left, x2: width - right, y1: y(level), y2: y(level) }),
      shape("text", { class: "tip", x: width - right, y: y(level) - 5, "text-anchor": "end" }, "SFT policy"),
    );
  }
  const paths = new Map();
  for (const line of lines) {
    const path = tint(shape("path", { class: line.run ? "run" : "mean", d: pathOf(line.points, x, y) }), line.method);
    paths.set(line, path);
    svg.append(path);
    // Runs beside a mean go without markers, but for single points, of which a line shows nothing.
    const alone = line.points.filter(([, value]) => value !== null).length < 2;
    if (!line.run || alone || !lines.some((other) => !other.run && other.method === line.method)) {
      svg.append(tint(shape("path", { class: "marks", d: marksOf(line.points, x, y, marker(line.method)) }), line.method));
    }
  }
  const tip = shape("text", { class: "tip" });
  svg.append(tip);
  holder.replaceChildren(svg);

  return {
    svg,
    x,
    y,
    cursor(step) {
      cursor.setAttribute("visibility", step === null ? "hidden" : "visible");
      if (step !== null) for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(step));
    },
    near(point) {
      for (const path of paths.values()) path.classList.remove("near");
      tip.textContent = "";
      if (!point) return;
      paths.get(point.line).classList.add("near");
      const { run, method } = point.line;
      tip.textContent = `${run ? `${method}, seed ${run.seed}` : `${method}, mean`}: ${measured(point.value)}`;
      const before = x(point.step) > width / 2;
      tip.setAttribute("x", x(point.step) + (before ? -8 : 8));
      tip.setAttribute("y", Math.max(top + 10, y(point.value) - 8));
      tip.setAttribute("text-anchor", before ? "end" : "start");
    },
  };
}

// The outlines of matplotlib's markers, within a circle of radius 1.
const OUTLINES = {
  s: [[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]],
  D: [[0, -1.1], [1.1, 0], [0, 1.1], [-1.1, 0]],
  "^": [[0, -1.1], [1.05, 0.85], [-1.05, 0.85]],
  v: [[0, 1.1], [1.05, -0.85], [-1.05, -0.85]],
  "<": [[-1.1, 0], [0.85, -1.05], [0.85, 1.05]],
  ">": [[1.1, 0], [-0.85, -1.05], [-0.85, 1.05]],
  P: plus(0),
  X: plus(Math.PI / 4),
  "*": star(5, 0.45),
  p: star(5, 1),
  h: star(6, 1),
  H: star(6, 1),
  8: star(8, 1),
  d: [[0, -1.2], [0.7, 0], [0, 1.2], [-0.7, 0]],
};

function plus(angle) {
  const corners = [[-0.38, -1.1], [0.38, -1.1], [0.38, -0.38], [1.1, -0.38], [1.1, 0.38], [0.38, 0.38], [0.38, 1.1], [-0.38, 1.1]];
  const all = [...corners, [-0.38, 0.38], [-1.1, 0.38], [-1.1, -0.38], [-0.38, -0.38]];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return all.map(([x, y]) => [x * cos - y * sin, x * sin + y * cos]);
}

/** A star with so many points; with an inner radius of 1 a polygon. */
function star(points, inner) {
  const corners = inner === 1 ? points : 2 * points;
  return Array.from({ length: corners }, (_, i) => {
    const [angle, radius] = [(2 * Math.PI * i) / corners - Math.PI / 2, inner !== 1 && i % 2 ? 1.2 * inner : 1.15];
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}

/** The `d` of a marker around a point. */
function markAt(marker, x, y, radius) {
  const outline = OUTLINES[marker];
  if (!outline) return `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0Z`;
  return `${outline.map(([dx, dy], i) => `${i ? "L" : "M"}${(x + radius * dx).toFixed(1)} ${(y + radius * dy).toFixed(1)}`).join("")}Z`;
}

/** The `d` of markers on at most some ten points of a line. */
function marksOf(points, x, y, marker) {
  const there = points.filter(([, value]) => value !== null);
  const every = Math.max(1, Math.ceil(there.length / 10));
  return there.filter((_, i) => i % every === 0 || i === there.length - 1).map(([step, value]) => markAt(marker, x(step), y(value), 3.6)).join("");
}

/** The range [low, high] of an axis: never empty, with a margin of `room` times the range on both sides. */
function span(values, room = 0) {
  if (!values.length) return [0, 1];
  const [low, high] = extent(values);
  if (low === high) return [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
  return [low - room * (high - low), high + room * (high - low)];
}

/** Smallest and largest value. */
function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}

/** About `count` round numbers within a range: { value, text } of each. */
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(2, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const far = Math.max(Math.abs(low), Math.abs(high));
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const value = (first + i) * step;
    const text = digits > 4 || far >= 1e6 ? Number(value.toPrecision(6)).toExponential() : value.toFixed(digits);
    return { value: Number(value.toPrecision(12)), text: (value === 0 ? "0" : text).replaceAll("-", "−") };
  });
}

/** The `d` of an SVG path through points; a gap lifts the pen. */
function pathOf(points, x, y) {
  let [path, pen] = ["", "M"];
  for (const [step, value] of points) {
    if (value === null) {
      pen = "M";
    } else {
      path += `${pen}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    }
  }
  return path;
}

