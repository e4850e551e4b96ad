// Moving between rows, and links to them ---------------------------------------------------------------------------------

/**
 * Buttons, keys, a number and a link that move between the rows of a section.
 *
 * name: prefix of the ids. draw(place): draws the row at a place. address(place): what a link to it contains.
 * Returns `rows(count, text)`, to be called when there are other rows, `place()` and `show(place)`.
 */
function pager(name, draw, address) {
  const position = byId(`${name}-position`);
  const section = byId(`${name}s`);
  let [current, count] = [0, 0];

  function show(place) {
    current = Math.max(0, Math.min(Number.isFinite(place) ? place : current, count - 1));
    position.value = count ? current + 1 : "";
    position.max = count;
    position.disabled = !count;
    byId(`${name}-previous`).setAttribute("aria-disabled", current <= 0);
    byId(`${name}-next`).setAttribute("aria-disabled", current >= count - 1);
    byId(name).replaceChildren(...(count ? draw(current) : []));
    const link = byId(`${name}-link`);
    link.hidden = !count;
    if (count) link.setAttribute("href", `#${name}s?${new URLSearchParams(address(current))}`);
  }

  function onKey(event) {
    const forward = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (!forward || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    // Keys keep their meaning in inputs, selects and scrolling parts.
    if (event.target.closest("input, select, textarea, summary, .scroll")) return;
    if (!section.contains(event.target) && mostInView() !== section) return;
    event.preventDefault();
    show(current + forward);
  }

  byId(`${name}-previous`).addEventListener("click", () => show(current - 1));
  byId(`${name}-next`).addEventListener("click", () => show(current + 1));
  position.addEventListener("change", () => show(Math.round(Number(position.value)) - 1));
  byId(`${name}-differences`).addEventListener("change", () => show(current));
  document.addEventListener("keydown", onKey);
  return {
    rows(number, text, place = 0) {
      count = number;
      byId(`${name}-count`).textContent = text;
      show(place);
    },
    place: () => current,
    show,
  };
}

/** Of the sections that keys move in, the one that fills most of the window; null if none is in view. */
function mostInView() {
  let [found, most] = [null, 0];
  for (const section of [byId("samples"), byId("pairs")]) {
    const box = section.getBoundingClientRect();
    const seen = box.top < innerHeight * 0.75 ? Math.min(box.bottom, innerHeight) - Math.max(box.top, 0) : 0;
    if (seen > most) [found, most] = [section, seen];
  }
  return found;
}

/** What a link to a section asks for: the parameters behind `#name?`; null if the address is not such a link. */
function asked(name) {
  const [section, parameters] = location.hash.slice(1).split("?");
  return section === name && parameters ? new URLSearchParams(parameters) : null;
}

/** Opens what a link asks for, now and whenever the address changes. */
function onLink(name, open) {
  const follow = () => {
    const parameters = asked(name);
    if (parameters && open(parameters)) byId(name).scrollIntoView({ behavior: "instant" });
  };
  addEventListener("hashchange", follow);
  follow();
}

/** Eight hexadecimal digits that stand for a text, the same on every page (FNV-1a). */
function digest(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** The selects study, task and loss of a section: returns `chosen()`, the runs that fit, and `choose(run)`. */
function runFilter(name, all, studies, changed) {
  const [study, task, loss] = ["study", "task", "loss"].map((key) => byId(`${name}-${key}`));
  study.parentElement.hidden = unique(all.map((run) => run.study)).length < 2;

  function chosen() {
    setOptions(study, unique(all.map((run) => run.study)).map((number) => [number, studies[number]]));
    const ofStudy = all.filter((run) => String(run.study) === study.value);
    setOptions(task, sameText(ofStudy.map((run) => run.task)));
    const ofTask = ofStudy.filter((run) => run.task === task.value);
    setOptions(loss, sameText(ofTask.map((run) => run.loss)));
    return ofTask.filter((run) => run.loss === loss.value);
  }

  for (const select of [study, task, loss]) select.addEventListener("change", changed);
  return {
    chosen,
    choose(run) {
      for (const [select, value] of [[study, run.study], [task, run.task], [loss, run.loss]]) {
        chosen();
        select.value = value;
      }
      chosen();
    },
  };
}

/** The [index in `all`, name] pairs of runs as options of a select, by seed. */
function runOptions(runs, all) {
  const seeds = runs.map((run) => run.seed);
  return runs.map((run) => {
    const alone = seeds.filter((seed) => seed === run.seed).length === 1;
    return [all.indexOf(run), alone ? `seed ${run.seed}` : `seed ${run.seed}, ${run.run}`];
  });
}

