// Samples -------------------------------------------------------------------------------------------------------------

const [PROMPT, RESPONSE, SCORE, LABEL_SCORE, OUTCOME] = [0, 1, 2, 3, 4];

function startSamples(data) {
  const task = byId("sample-task");
  const loss = byId("sample-loss");
  const query = byId("sample-query");
  const position = byId("sample-position");
  const sides = ["left", "right"].map((side) => ({
    method: byId(`${side}-method`),
    run: byId(`${side}-run`),
    outcome: byId(`${side}-outcome`),
  }));
  let pairs = []; // [left, right]: rows of both runs on the same prompt; with one run: [left]
  let matches = [];
  let current = 0;

  const chosen = () => sides.map((side) => data.samples[side.run.value]).filter(Boolean);

  function chooseRuns() {
    setOptions(task, sameText(data.samples.map((set) => set.task)));
    const ofTask = data.samples.filter((set) => set.task === task.value);
    setOptions(loss, sameText(ofTask.map((set) => set.loss)));
    const sets = ofTask.filter((set) => set.loss === loss.value);
    const methods = unique(sets.map((set) => set.method));
    const [left, right] = sides;
    setOptions(left.method, sameText(methods));
    const another = methods.find((method) => method !== left.method.value) ?? (sets.length > 1 ? methods[0] : "");
    setOptions(right.method, [...sameText(methods), ["", "none"]], another);
    for (const side of sides) {
      const ofMethod = sets.filter((set) => set.method === side.method.value);
      const seeds = ofMethod.map((set) => set.seed);
      const options = ofMethod.map((set) => {
        const alone = seeds.filter((seed) => seed === set.seed).length === 1;
        return [data.samples.indexOf(set), alone ? `seed ${set.seed}` : `seed ${set.seed}, ${set.run}`];
      });
      const first = data.samples[left.run.value];
      const partner = ofMethod.find((set) => set.method !== first?.method && set.seed === first?.seed);
      const preferred = side === right ? (partner ?? ofMethod.find((set) => set !== first)) : ofMethod[0];
      setOptions(side.run, options.length ? options : [["", "none"]], preferred && data.samples.indexOf(preferred));
      side.run.disabled = !options.length;
    }
    pairUp();
  }

  function pairUp() {
    const [left, right] = chosen();
    const ofRight = right && new Map(right.rows.map((row) => [row[PROMPT], row]));
    pairs = left.rows.map((row) => (right ? [row, ofRight.get(row[PROMPT])] : [row]));
    pairs = pairs.filter((pair) => pair.every(Boolean));
    sides.forEach((side, i) => {
      const options = ["win", "tie", "loss", "not judged"]
        .map((outcome) => [outcome, pairs.filter((pair) => pair[i]?.[OUTCOME] === outcome).length])
        .filter(([outcome, count]) => count || outcome !== "not judged")
        .map(([outcome, count]) => [outcome, `${outcome} (${count})`]);
      setOptions(side.outcome, [["", "any"], ...options], "");
      side.outcome.disabled = i === 1 && !right;
      if (side.outcome.disabled) side.outcome.value = "";
    });
    byId("sample-left-out").textContent = leftOut(left, right);
    filter();
  }

  function leftOut(left, right) {
    const parts = [[left, "left"], [right, "right"]]
      .filter(([set]) => set?.left_out)
      .map(([set, side]) => `${set.left_out} of the ${side} run's ${set.rows.length + set.left_out}`);
    const notes = parts.length ? [`Rows were left out of this page: ${parts.join(", ")}.`] : [];
    const alone = right ? left.rows.length + right.rows.length - 2 * pairs.length : 0;
    if (alone) notes.push(`Rows of prompts that only one of the two runs has here are not shown: ${alone}.`);
    return notes.join(" ");
  }

  function filter() {
    const wanted = sides.map((side) => side.outcome.value);
    const search = pattern(query.value, "iu");
    const texts = (pair) => [...data.prompts[pair[0][PROMPT]], ...pair.map((row) => row[RESPONSE])];
    matches = pairs.filter(
      (pair) =>
        pair.every((row, i) => !wanted[i] || row[OUTCOME] === wanted[i]) &&
        (!search || texts(pair).some((text) => search.test(text))),
    );
    show(0);
  }

  function show(index) {
    current = Math.min(Math.max(index, 0), matches.length - 1);
    position.value = current + 1;
    position.max = matches.length;
    position.disabled = !matches.length;
    byId("sample-previous").setAttribute("aria-disabled", current <= 0);
    byId("sample-next").setAttribute("aria-disabled", current >= matches.length - 1);
    const filtered = matches.length < pairs.length ? ` that match, ${pairs.length} in all` : "";
    const none = pairs.length ? `Nothing matches, ${pairs.length} in all.` : "The two runs have no prompt in common here.";
    byId("sample-count").textContent = matches.length ? `of ${matches.length}${filtered}` : none;
    byId("sample").replaceChildren(...(matches.length ? sample(matches[current]) : []));
  }

  function sample(pair) {
    const [prompt, label] = data.prompts[pair[0][PROMPT]];
    const search = pattern(query.value, "giu");
    const same = pair.length === 2 && pair[0][RESPONSE] === pair[1][RESPONSE];
    const given = (title, text) =>
      element("article", {}, element("header", {}, element("h3", { class: "given" }, title)), textOf(text, search));
    const response = (row, set) =>
      element(
        "article",
        { "aria-label": `Response of ${set.method}, seed ${set.seed}` },
        element(
          "header",
          {},
          element("h3", {}, `${set.method}, seed ${set.seed}`),
          element("span", { class: `badge ${row[OUTCOME]}` }, row[OUTCOME]),
          ...(same ? [element("span", { class: "run-name" }, "both responses are equal")] : []),
        ),
        textOf(row[RESPONSE], search),
        // A judge that compares responses gives no scores.
        ...(row[SCORE] === null && row[LABEL_SCORE] === null
          ? []
          : [element("p", { class: "scores" }, `score ${brief(row[SCORE])} · label ${brief(row[LABEL_SCORE])}`)]),
        element("p", { class: "run-name" }, element("code", {}, set.run)),
      );
    return [
      element("div", { class: "texts" }, given("Prompt", prompt), given("Label: the human text", label)),
      element("div", { class: "texts" }, ...pair.map((row, i) => response(row, chosen()[i]))),
    ];
  }

  function onKey(event) {
    const forward = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (!forward || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    // Keys keep their meaning in inputs, selects and scrolling parts.
    if (event.target.closest("input, select, textarea, summary, .scroll")) return;
    const section = byId("samples");
    const box = section.getBoundingClientRect();
    const inView = box.top < innerHeight * 0.75 && box.bottom > 0;
    if (!section.contains(event.target) && !inView) return;
    event.preventDefault();
    show(current + forward);
  }

  for (const select of [task, loss, ...sides.map((side) => side.method)]) select.addEventListener("change", chooseRuns);
  for (const side of sides) {
    side.run.addEventListener("change", pairUp);
    side.outcome.addEventListener("change", filter);
  }
  query.addEventListener("input", filter);
  byId("sample-previous").addEventListener("click", () => show(current - 1));
  byId("sample-next").addEventListener("click", () => show(current + 1));
  position.addEventListener("change", () => show(Math.round(Number(position.value)) - 1));
  document.addEventListener("keydown", onKey);
  chooseRuns();
}

/** The pattern that finds the words of a search literally, in any case; null if there are none. */
function pattern(words, flags) {
  const text = words.trim();
  return text ? new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), flags) : null;
}

/** A block of text with the hits of a search marked. */
function textOf(text, search) {
  const block = element("div", { class: "text", dir: "auto" });
  let end = 0;
  for (const hit of search ? text.matchAll(search) : []) {
    block.append(text.slice(end, hit.index), element("mark", {}, hit[0]));
    end = hit.index + hit[0].length;
  }
  block.append(text.slice(end) || (end ? "" : "∅"));
  return block;
}

