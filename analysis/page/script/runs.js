// Runs --------------------------------------------------------------------------------------------------------------------

function startRuns(data) {
  const choice = byId("run-choice");
  const several = Object.keys(data.studies).length > 1;
  setOptions(
    choice,
    data.runs.map((run, i) => {
      const study = several ? `${run.study}: ` : "";
      const state = run.state === "finished" ? "" : ` (${run.state})`;
      return [i, `${study}${run.task}, ${run.loss}, ${run.method}, seed ${run.seed}${state}`];
    }),
  );

  function show() {
    const run = data.runs[choice.value];
    const fact = (name, ...content) => [element("dt", {}, name), element("dd", {}, ...content)];
    const changes = run.changes.map(([key, value, usual]) =>
      element("tr", {}, ...[key, value, usual].map((text) => element("td", {}, element("code", {}, text)))),
    );
    byId("run").replaceChildren(
      element(
        "dl",
        { class: "facts" },
        ...fact("Run", element("code", {}, run.run)),
        ...fact("State", run.state),
        ...fact("Command", element("code", { class: "command" }, run.command)),
        ...run.facts.flatMap(([name, text]) => fact(name, text)),
      ),
      element("h3", {}, changes.length ? "Settings that differ from the defaults" : "All settings are the defaults."),
      ...(changes.length
        ? [
            element(
              "div",
              { class: "scroll", role: "region", "aria-label": "Settings", tabindex: 0 },
              element(
                "table",
                {},
                element("thead", {}, element("tr", {}, ...["key", "value", "default"].map((text) => element("th", { scope: "col" }, text)))),
                element("tbody", {}, ...changes),
              ),
            ),
          ]
        : []),
    );
    byId("run-link").setAttribute("href", `#runs?${new URLSearchParams({ run: run.run, study: run.study })}`);
  }

  choice.addEventListener("change", show);
  show();
  onLink("runs", (parameters) => {
    const found = data.runs.findIndex((run) => run.run === parameters.get("run") && String(run.study) === parameters.get("study"));
    if (found < 0) return false;
    choice.value = found;
    show();
    return true;
  });
}

