"""What is written: figures, tables and captions of every study, and the page."""

import re
from collections.abc import Sequence
from pathlib import Path

from analysis import remarks, results_table
from analysis.annotated_pairs import pair_sets
from analysis.drawn import Drawn, as_csv, paragraph, read_table
from analysis.figures import facts
from analysis.figures.figure import Study
from analysis.figures.paired import ALL
from analysis.names import title_of
from analysis.page.contents import Page, PageFigure, PageStudy, PageTable
from analysis.run_facts import run_facts
from analysis.running import is_finished
from analysis.runs import Run, Skipped
from analysis.shown import Shown
from analysis.single_runs import table_of_single_runs
from analysis.studies import Made
from analysis.traces import curves, sample_sets
from analysis.whole_files import write_whole

# Beginnings of sentences that hold for several figures and are said in the first one's caption.
REPEATED = ("These intervals are too narrow", "All seeds start from", "Each seed has an", "Some seeds share an")


def folder_of(out: Path, number: int) -> Path:
    """Where the figures and tables of a study go: those of the first one into `--out` itself."""
    return out if number == 1 else out / f"study{number}"


def page_of(
    made: Sequence[Made],
    shown: Sequence[Shown],
    beyond: Sequence[Run],
    skipped: Sequence[Skipped],
    study: Study,
    samples: int,
) -> Page:
    """The page of all runs.

    Args:
        shown: all runs of the page.
        beyond: runs that are in no study, because there are too many studies.
        samples: samples a run.
    """
    methods = {one.cell.method.name: one.cell.method for one in shown}
    begun = [one for one in shown if not is_finished(one.run)]
    notes = remarks.skipped_in_short(skipped) + remarks.beyond(beyond, len(made)) + remarks.unfinished(begun)
    if len(made) == 1:
        [only] = made
        notes = [*_summary(only, study), *notes]
    one_method = len(methods) == 1 and not (made and made[0].table)
    return Page(
        title=_title(made, shown, one_method),
        summary=notes,
        studies=[_study(one, study, alone=len(made) == 1) for one in made],
        curves=curves(shown),
        samples=sample_sets(shown, samples),
        pairs=pair_sets(shown),
        runs=run_facts(shown),
        colors={name: method.color for name, method in methods.items()},
        markers={name: method.marker for name, method in methods.items()},
    )


def _title(made: Sequence[Made], shown: Sequence[Shown], one_method: bool) -> str:
    if len(shown) == 1:
        [one] = shown
        return f"One run: {one.cell.method.name}, {title_of(one.cell.task, one.cell.loss)}, seed {one.cell.seed}"
    return "Runs" if one_method or not any(one.table for one in made) else "Runs compared"


def _summary(made: Made, study: Study) -> list[str]:
    chosen = made.chosen
    return [*_in_words(made.figures, study), facts.basis({**chosen.grid, **chosen.alone}), *chosen.notes]


def _study(made: Made, study: Study, alone: bool) -> PageStudy:
    """The part of a study; its summary stands at the top of the page if it is the only one."""
    chosen = made.chosen
    basis = paragraph(facts.basis({**chosen.grid, **chosen.alone}))
    # What the section's summary says of all runs, and what an earlier caption says of the same runs, is said once.
    told = {basis: "", **dict.fromkeys(_sentences(basis), "")}
    figures = []
    for figure in made.figures:
        same = told.get(figure.basis)
        runs = [one for one in _sentences(figure.basis) if one not in told]
        if same is not None:
            runs = [f"Runs: as in “{same}”."] if same else []
        shows = [one for one in _sentences(figure.shows) if not one.startswith(REPEATED) or one not in told]
        told |= {figure.basis: told.get(figure.basis, figure.kind.title), **dict.fromkeys(shows, "")}
        svg = figure.files["svg"].decode()
        figures.append(PageFigure(figure.kind.name, figure.kind.title, svg, paragraph(*shows, *runs)))
    tables = [*table_of_single_runs(chosen.alone)]
    if made.table is not None:
        tables.insert(0, _main_table(made, study, basis))
    title = f"Study {chosen.number}: {facts.counted(len(chosen.grid) + len(chosen.alone), 'run')}"
    return PageStudy(title, [] if alone else _summary(made, study), figures, tables)


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.]) (?=[A-Z0-9])", text)


def _main_table(made: Made, study: Study, told: str = "") -> PageTable:
    assert made.table is not None
    part, results = made.table
    shown = results_table.text(results, study.metric)
    basis = paragraph(facts.basis(part.grid))
    title = study.metric.label[0].upper() + study.metric.label[1:]
    caption = paragraph(f"{title}.", results_table.caption(results), str(part.dropped), basis if basis != told else "")
    return PageTable("results", title, shown.header, shown.rows, caption)


def write_study(made: Made, study: Study, out: Path, formats: Sequence[str]) -> None:
    """Writes the tables, figures and captions of a study; nothing if there is neither."""
    for figure in made.figures:
        write_whole(out / "tables" / f"{figure.kind.name}.csv", figure.csv)
        for format in formats:
            write_whole(out / "figures" / f"{figure.kind.name}.{format}", figure.files[format])
    if made.table is not None:
        results, shown = as_csv(made.table[1]), results_table.text(made.table[1], study.metric)
        caption = _main_table(made, study).caption
        write_whole(out / "tables" / "results.csv", results)
        write_whole(out / "tables" / "results.md", results_table.markdown(shown, caption))
        write_whole(out / "tables" / "results.tex", results_table.latex(shown, caption))
    if made.figures:
        captions = "\n\n".join(f"**{one.kind.title}** (`{one.kind.name}`). {one.caption}" for one in made.figures)
        write_whole(out / "figures" / "captions.md", captions + "\n")


def _in_words(figures: Sequence[Drawn], study: Study) -> list[str]:
    """The interquartile means of figure 3 and the paired differences over all tasks, a sentence each, if drawn."""
    tables = {figure.kind.name: read_table(figure.csv) for figure in figures if figure.kind.name in ("fig3", "paired")}
    show, sentences = study.metric.show, []
    if "fig3" in tables:
        means = tables["fig3"][tables["fig3"]["aggregate"] == "IQM"].sort_values("point", ascending=False)
        each = [f"{row.method} {show(row.point)} [{show(row.low)}, {show(row.high)}]" for row in means.itertuples()]
        sentences.append(f"Interquartile mean, {study.metric.label}, with 95 % intervals: {'; '.join(each)}.")
    if "paired" in tables:
        last = tables["paired"].iloc[-1]
        rows = tables["paired"][(tables["paired"][["task", "loss"]] == last[["task", "loss"]]).all(axis=1)]
        each = [
            f"{row.method} minus {row.over} {show(row.difference, True)} "
            f"[{show(row.low, True)}, {show(row.high, True)}]"
            for row in rows.itertuples()
        ]
        of = "mean of all tasks and losses" if last["task"] == ALL[0] else title_of(last["task"], last["loss"])
        sentences.append(f"Paired {study.metric.difference_label}, {of}, with 95 % intervals: {'; '.join(each)}.")
    return sentences
