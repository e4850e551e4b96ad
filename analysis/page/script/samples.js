// Samples -------------------------------------------------------------------------------------------------------------

const [PROMPT, RESPONSE, SCORE, LABEL_SCORE, OUTCOME] = [0, 1, 2, 3, 4];

function startSamples(data) {
  const query = byId("sample-query");
  const sides = ["left", "right"].map((side) => ({
    method: byId(`${side}-method`),
    run: byId(`${side}-run`),
    outcome: byId(`${side}-outcome`),
  }));
  const places = runFilter("sample", data.samples, data.studies, chooseRuns);
  const again = occurrences(data.prompts);
  let pairs = []; // [left, right]: rows of both runs on the same prompt; with one run: [left]
  let matches = [];
  const pages = pager("sample", (place) => sample(matches[place]), address);

  const chosen = () => sides.map((side) => data.samples[side.run.value]).filter(Boolean);

  function chooseRuns() {
    const sets = places.chosen();
    const methods = unique(sets.map((set) => set.method));
    const [left, right] = sides;
    setOptions(left.method, sameText(methods));
    const another = methods.find((method) => method !== left.method.value) ?? (sets.length > 1 ? methods[0] : "");
    setOptions(right.method, [...sameText(methods), ["", "none"]], another);
    for (const side of sides) {
      const ofMethod = sets.filter((set) => set.method === side.method.value);
      const options = runOptions(ofMethod, data.samples);
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
    summarize();
    filter();
  }

  /** The distributions of both runs, and who agrees with whom; drawn while they are open. */
  function summarize() {
    if (!byId("sample-summary").open) return;
    const sets = unique(chosen());
    byId("sample-histograms").replaceChildren(...sets.map((set) => histogramsOf(set, data.colors[set.method])));
    byId("sample-agreement").replaceChildren(
      ...sets.flatMap((set) =>
        set.summary.agreement.map(([who, on, count, share]) =>
          element(
            "tr",
            {},
            ...[`${set.method}, seed ${set.seed}`, who, on].map((text) => element("td", {}, text)),
            ...[String(count), (100 * share).toFixed(1)].map((text) => element("td", { class: "number" }, text)),
          ),
        ),
      ),
    );
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
    const filtered = matches.length < pairs.length ? ` that match, ${pairs.length} in all` : "";
    const none = pairs.length ? `Nothing matches, ${pairs.length} in all.` : "The two runs have no prompt in common here.";
    pages.rows(matches.length, matches.length ? `of ${matches.length}${filtered}` : none);
  }

  /** What a link to a pair of responses contains: the runs, and a digest of the prompt that other pages share. */
  function address(place) {
    const [left, right] = chosen();
    const other = right ? { right: right.run } : {};
    return { left: left.run, ...other, study: left.study, prompt: key(matches[place]) };
  }

  const key = (pair) => digest(data.prompts[pair[0][PROMPT]].join("\0")) + (pair[0][PROMPT] in again ? again[pair[0][PROMPT]] : "");

  function sample(pair) {
    const [prompt, label] = data.prompts[pair[0][PROMPT]];
    const search = pattern(query.value, "giu");
    const texts = pair.length === 2 ? pair.map((row) => row[RESPONSE]) : [pair[0][RESPONSE], label];
    const marked = byId("sample-differences").checked ? wordDifferences(...texts) : [null, null];
    const same = pair.length === 2 && pair[0][RESPONSE] === pair[1][RESPONSE];
    const given = (title, text, pieces = null) =>
      element("article", {}, element("header", {}, element("h3", { class: "given" }, title)), textOf(text, search, pieces));
    const response = (row, set, pieces) =>
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
        textOf(row[RESPONSE], search, pieces),
        // A judge that compares responses gives no scores.
        ...(row[SCORE] === null && row[LABEL_SCORE] === null
          ? []
          : [element("p", { class: "scores" }, `score ${brief(row[SCORE])} · label ${brief(row[LABEL_SCORE])}`)]),
        element("p", { class: "run-name" }, element("code", {}, set.run)),
      );
    return [
      element("div", { class: "texts" }, given("Prompt", prompt), given("Label: the human text", label, pair.length === 1 ? marked[1] : null)),
      element("div", { class: "texts" }, ...pair.map((row, i) => response(row, chosen()[i], marked[i]))),
    ];
  }

  /** Opens the sample that a link names; with runs that this page lacks, nothing. */
  function open(parameters) {
    const [left, right] = ["left", "right"].map((side) =>
      data.samples.find((set) => set.run === parameters.get(side) && String(set.study) === parameters.get("study")),
    );
    if (!left) return false;
    places.choose(left);
    for (const [side, set] of [[sides[0], left], [sides[1], right]]) {
      chooseRuns();
      side.method.value = set ? set.method : "";
      chooseRuns();
      if (set) side.run.value = data.samples.indexOf(set);
    }
    query.value = "";
    pairUp();
    pages.show(Math.max(matches.findIndex((pair) => key(pair) === parameters.get("prompt")), 0));
    return true;
  }

  for (const side of sides) {
    side.method.addEventListener("change", chooseRuns);
    side.run.addEventListener("change", pairUp);
    side.outcome.addEventListener("change", filter);
  }
  query.addEventListener("input", filter);
  byId("sample-summary").addEventListener("toggle", summarize);
  chooseRuns();
  onLink("samples", open);
}

/** A prompt that a run has more than once: index of the prompt -> "-2" for the second time, and so on. */
function occurrences(prompts) {
  const [seen, again] = [new Map(), {}];
  prompts.forEach((texts, i) => {
    const text = texts.join("\0");
    seen.set(text, (seen.get(text) ?? 0) + 1);
    if (seen.get(text) > 1) again[i] = `-${seen.get(text)}`;
  });
  return again;
}

/** The pattern that finds the words of a search literally, in any case; null if there are none. */
function pattern(words, flags) {
  const text = words.trim();
  return text ? new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), flags) : null;
}

/** A block of text with the hits of a search marked, and the pieces [text, marked] that stand in this text alone. */
function textOf(text, search, pieces = null) {
  const block = element("div", { class: "text", dir: "auto" });
  for (const [piece, alone] of pieces ?? [[text, false]]) {
    const holder = alone ? element("ins", {}) : block;
    let end = 0;
    for (const hit of search ? piece.matchAll(search) : []) {
      holder.append(piece.slice(end, hit.index), element("mark", {}, hit[0]));
      end = hit.index + hit[0].length;
    }
    holder.append(piece.slice(end));
    if (alone) block.append(holder);
  }
  if (!text) block.append("∅");
  return block;
}

