// Pairs -------------------------------------------------------------------------------------------------------------------

const [PAIR_PROMPT, ROUND, TIE, CHOSEN, REJECTED, CHOSEN_SCORE, REJECTED_SCORE, BEFORE, AFTER, LOGPS] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
];
// Whether oracle and policy disagree: the policy gave the rejected response more probability when it sampled both; and
// after training the margin is on the rejected response's side.
const PAIR_FILTERS = {
  "all pairs": () => true,
  "policy preferred the rejected one when it sampled": (row) => !row[TIE] && row[LOGPS][0] !== null && row[LOGPS][0] < row[LOGPS][1],
  "oracle and policy disagree after training": (row) => !row[TIE] && row[AFTER] !== null && row[AFTER] < 0,
  "margin has shrunk in training": (row) => !row[TIE] && row[AFTER] !== null && row[BEFORE] !== null && row[AFTER] < row[BEFORE],
  ties: (row) => Boolean(row[TIE]),
};

function startPairs(data) {
  const [method, run, round, filter, query] = ["method", "run", "round", "filter", "query"].map((key) => byId(`pair-${key}`));
  const places = runFilter("pair", data.pairs, data.studies, chooseRun);
  let matches = [];
  const pages = pager("pair", draw, (place) => ({ run: set().run, study: set().study, round: matches[place][ROUND], pair: key(matches[place]) }));
  const set = () => data.pairs[run.value];
  const key = (row) => digest(`${data.pair_prompts[row[PAIR_PROMPT]]}\0${row[CHOSEN]}\0${row[REJECTED]}`);

  function chooseRun() {
    const sets = places.chosen();
    setOptions(method, sameText(sets.map((one) => one.method)));
    setOptions(run, runOptions(sets.filter((one) => one.method === method.value), data.pairs));
    chooseRound();
  }

  function chooseRound() {
    const rounds = unique(set().rows.map((row) => row[ROUND]));
    setOptions(round, [["", "all"], ...rounds.map((number) => [number, String(number + 1)])]);
    byId("pair-left-out").textContent = [
      set().left_out ? `${set().left_out} of the run's pairs were left out of this page: it has the first ones of every round.` : "",
      set().note,
    ].join(" ").trim();
    choosePairs();
  }

  function choosePairs() {
    const inRound = set().rows.filter((row) => round.value === "" || String(row[ROUND]) === round.value);
    setOptions(filter, Object.entries(PAIR_FILTERS).map(([name, fits]) => [name, `${name} (${inRound.filter(fits).length})`]));
    const search = pattern(query.value, "iu");
    const texts = (row) => [data.pair_prompts[row[PAIR_PROMPT]], row[CHOSEN], row[REJECTED]];
    matches = inRound.filter(PAIR_FILTERS[filter.value]).filter((row) => !search || texts(row).some((text) => search.test(text)));
    const all = inRound.length;
    const some = matches.length < all ? `of ${matches.length} that match, ${all} in all` : `of ${all}`;
    pages.rows(matches.length, matches.length ? some : `Nothing matches, ${all} in all.`);
  }

  function draw(place) {
    const row = matches[place];
    const search = pattern(query.value, "giu");
    const marked = byId("pair-differences").checked ? wordDifferences(row[CHOSEN], row[REJECTED]) : [null, null];
    const [first, second] = row[TIE] ? ["tie", "tie"] : ["chosen", "rejected"];
    const response = (name, i) =>
      element(
        "article",
        { "aria-label": name },
        element(
          "header",
          {},
          element("h3", { class: `badge ${{ chosen: "win", rejected: "loss", tie: "tie" }[name]}` }, name),
        ),
        textOf(row[CHOSEN + i], search, marked[i]),
        element("p", { class: "scores" }, scoresOf(row, i)),
      );
    return [
      element(
        "div",
        { class: "texts one" },
        element("article", {}, element("header", {}, element("h3", { class: "given" }, `Prompt, round ${row[ROUND] + 1}`)), textOf(data.pair_prompts[row[PAIR_PROMPT]], search)),
      ),
      element("div", { class: "texts" }, response(first, 0), response(second, 1)),
      element("p", { class: "margins" }, row[TIE] ? "A tie is no pair: the policy does not learn from it." : marginsOf(row)),
    ];
  }

  function scoresOf(row, i) {
    const score = row[CHOSEN_SCORE + i];
    const [before, after] = [row[LOGPS][i], row[LOGPS][2 + i]];
    return [
      ...(score === null ? [] : [`oracle's score ${brief(score)}`]),
      ...(before === null ? [] : [`log-prob ${brief(before)}`]),
      ...(after === null ? [] : [`after training ${brief(after)}`]),
    ].join(" · ");
  }

  function marginsOf(row) {
    const after = row[AFTER] === null ? "not computed for this pair" : brief(row[AFTER]);
    return `Margin: ${brief(row[BEFORE])} when collected, ${after} after training.`;
  }

  method.addEventListener("change", chooseRun);
  run.addEventListener("change", chooseRound);
  for (const select of [round, filter]) select.addEventListener("change", choosePairs);
  query.addEventListener("input", choosePairs);
  chooseRun();
  onLink("pairs", (parameters) => {
    const found = data.pairs.find((one) => one.run === parameters.get("run") && String(one.study) === parameters.get("study"));
    if (!found) return false;
    places.choose(found);
    chooseRun();
    method.value = found.method;
    chooseRun();
    run.value = data.pairs.indexOf(found);
    [round.value, filter.value, query.value] = ["", "all pairs", ""];
    chooseRound();
    pages.show(Math.max(matches.findIndex((row) => String(row[ROUND]) === parameters.get("round") && key(row) === parameters.get("pair")), 0));
    return true;
  });
}

