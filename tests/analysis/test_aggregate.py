"""The command, as people type it."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.aggregate import EXAMPLES, main, parser
from analysis.figures.kinds import KINDS
from analysis.names import FIGURES
from tests.analysis.made_runs import ALLOCATIONS, make_run, make_sweep, plan, row, win_rates, write_plan, write_rows

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FAST = ("--reps", "200")
# Where a test is about runs, not about figures.
ONE_FIGURE = ("--figures", "fig1", *FAST)


def refused(*arguments: str) -> str:
    """The message of a command that ends with an error."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, str) and caught.value.code.startswith("error: ")
    return caught.value.code


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four methods, two tasks, five seeds, one loss."""
    return make_sweep(tmp_path_factory.mktemp("sweep") / "outputs", samples=3)


@pytest.fixture(scope="module")
def written(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes for the sweep."""
    out = tmp_path_factory.mktemp("out")
    main([str(sweep), "--out", str(out), *FAST])
    return out


def test_everything_is_written(written: Path) -> None:
    drawn = {"fig1", "fig3", "fig4", "fig5", "paired", "kl", "length", "cost", "improvement", "profiles"}
    assert {path.stem for path in (written / "figures").glob("*.svg")} == drawn
    assert {path.stem for path in (written / "tables").glob("*.csv")} == drawn | {"results"}
    assert {"results.md", "results.tex"} <= {path.name for path in (written / "tables").iterdir()}
    page = (written / "report.html").read_text()
    assert "<svg" in page and "BPO F=2" in page
    assert not list(written.rglob(".*.partial"))


def test_the_names_are_those_of_the_figures() -> None:
    assert tuple(kind.name for kind in KINDS) == FIGURES


def test_the_table_holds_the_runs_own_numbers(sweep: Path, written: Path) -> None:
    with (written / "tables" / "results.csv").open() as file:
        table = {(line["task"], line["method"]): line for line in csv.DictReader(file)}
    assert len(table) == 8
    rates = [
        json.loads((sweep / f"bpo2,tldr,dpo,{seed}" / "results.jsonl").read_text().splitlines()[-1])["win_rate"]
        for seed in range(5)
    ]
    line = table["tldr", "BPO F=2"]
    assert float(line["mean"]) == pytest.approx(sum(rates) / 5) and line["seeds"] == "5"
    assert float(line["std"]) == pytest.approx((sum((rate - sum(rates) / 5) ** 2 for rate in rates) / 4) ** 0.5)
    assert f"{100 * sum(rates) / 5:.1f} ± " in (written / "tables" / "results.md").read_text()
    assert float(line["gold_score"]) == pytest.approx(2 * sum(rates) / 5) and float(line["tokens"]) == 15


def test_captions_say_what_was_done(written: Path) -> None:
    text = (written / "figures" / "captions.md").read_text()
    for words in (
        "40 runs",
        "5 seeds (0-4)",
        "200 repetitions",
        "gold, which is also the oracle",
        "too narrow",
        "T=64",
    ):
        assert words in text, words
    assert "200 prompts of the test split" in text


@pytest.mark.nightly
def test_captions_name_a_method_of_the_paper_that_was_never_run(tmp_path: Path) -> None:
    make_sweep(tmp_path / "runs", methods=("offline", "bpo2"), seeds=range(2))
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *FAST])
    captions = (tmp_path / "out" / "figures" / "captions.md").read_text()
    assert captions.count("never run: On-policy (F=T, sft), BPO F=T.") == 2


@pytest.mark.nightly
def test_the_same_rows_and_seed_give_the_same_bytes(sweep: Path, written: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "analysis" / "aggregate.py"), str(sweep), "--out", str(tmp_path / "again"), *FAST],
        cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first = {path.relative_to(written): path.read_bytes() for path in written.rglob("*") if path.is_file()}
    again = {path.relative_to(tmp_path / "again"): path for path in (tmp_path / "again").rglob("*") if path.is_file()}
    assert first.keys() == again.keys() and len(first) > 15
    for name, content in first.items():
        assert content == again[name].read_bytes(), name


def test_another_seed_of_the_bootstrap_gives_other_intervals(sweep: Path, written: Path, tmp_path: Path) -> None:
    main([str(sweep), "--out", str(tmp_path), "--seed", "1", "--figures", "fig3", *FAST])
    assert (tmp_path / "tables" / "fig3.csv").read_bytes() != (written / "tables" / "fig3.csv").read_bytes()


def test_the_order_of_folders_and_of_figures_changes_nothing(sweep: Path, written: Path, tmp_path: Path) -> None:
    for place, folder in enumerate(sorted(sweep.iterdir(), reverse=True)):
        shutil.copytree(folder, tmp_path / "runs" / f"{place:03}" / folder.name)
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--figures", "profiles,fig1", *FAST])
    for name in ("tables/fig1.csv", "figures/fig1.svg", "figures/profiles.svg", "tables/results.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (written / name).read_bytes(), name


@pytest.mark.parametrize("format", ["png", "pdf", "svg,png,pdf"])
def test_formats(sweep: Path, tmp_path: Path, format: str) -> None:
    main([str(sweep), "--out", str(tmp_path), "--figures", "fig1", "--format", format, *FAST])
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    assert sorted(path.suffix[1:] for path in (tmp_path / "figures").glob("fig1.*")) == sorted(format.split(","))
    for kind in format.split(","):
        assert (tmp_path / "figures" / f"fig1.{kind}").read_bytes().startswith(starts[kind])


@pytest.mark.parametrize(
    ("metric", "label", "value"),
    [
        ("win_rate_length_controlled", "Length-controlled win rate (%)", 0.5),
        pytest.param("judge_score_mean", "Mean judge score", 20, marks=pytest.mark.nightly),
        pytest.param("gold_score_mean", "Mean gold score", 2, marks=pytest.mark.nightly),
    ],
)
def test_metrics(sweep: Path, written: Path, tmp_path: Path, metric: str, label: str, value: float) -> None:
    main([str(sweep), "--out", str(tmp_path), "--metric", metric, *FAST])
    assert label in (tmp_path / "tables" / "results.md").read_text()

    def means(folder: Path) -> list[float]:
        with (folder / "tables" / "results.csv").open() as file:
            return [float(line["mean"]) for line in csv.DictReader(file)]

    assert means(tmp_path) == pytest.approx([value * mean for mean in means(written)])
    assert "Stars" not in (tmp_path / "figures" / "captions.md").read_text(), "the paper's cells are plain win rates"


def test_a_judge_that_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = make_sweep(tmp_path / "runs", seeds=range(3), samples=3)
    for place, folder in enumerate(sorted(runs.iterdir())):
        lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
        for line in lines:
            usable = 100 if line["losses"] < 100 else 0
            line |= {"judge": "llm:m", "judge_is_oracle": False, "judge_score_mean": None, "wins": usable}
            line |= {"ties": 0, "losses": place * (usable > 0), "n_invalid": 200 - usable - place * (usable > 0)}
            line |= win_rates(line)
        write_rows(folder, lines)
    main([str(runs), "--out", str(tmp_path / "out"), *FAST])
    said = capsys.readouterr().out
    assert "responses got no usable verdict of the judge; win rates are over the others" in said
    assert "Bounds: means of the win rates if all" in (tmp_path / "out" / "tables" / "results.md").read_text()
    assert "Judgements are missing; bounds of the mean" in (tmp_path / "out" / "figures" / "captions.md").read_text()
    message = refused(str(runs), "--out", str(tmp_path / "more"), "--metric", "judge_score_mean", *FAST)
    assert "24 runs of 24 have none" in message and "use --metric win_rate" in message
    assert not (tmp_path / "more").exists()


def test_how_an_endpoint_was_asked_may_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = make_sweep(tmp_path / "runs", seeds=range(2), methods=["offline"], tasks=["tldr"])
    for number, folder in enumerate(sorted(runs.iterdir())):
        config = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(f"{config}judge:\n  concurrency: {number}\n  max_tokens: 5\n")
    main([str(runs), "--out", str(tmp_path / "out"), *FAST])
    (folder / "config.yaml").write_text(f"{config}judge:\n  concurrency: 1\n  max_tokens: 6\n")
    capsys.readouterr()
    main([str(runs), "--out", str(tmp_path / "more"), *FAST])
    assert "1 run with judge.max_tokens=6 instead of 5" in capsys.readouterr().out


def test_a_hole_is_refused_with_its_cell_and_command_and_nothing_is_written(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep, tmp_path / "runs")
    for seed in (3, 4):
        shutil.rmtree(tmp_path / "runs" / f"bpo2,tldr,dpo,{seed}")
    message = refused(str(tmp_path / "runs"), "--strict", "--out", str(tmp_path / "out"), *FAST)
    assert "missing: tldr, dpo, BPO F=2, seed 3, 4" in message
    command = r"python -m src.train task=tldr loss=dpo F=2 reference=behavior .*model.rows=256 .*-m seed=3,4\n"
    assert re.search(command, message) and message.count("missing:") == 1
    assert message.startswith("error: 1 problem; nothing was written:\n  - missing: ")
    assert message.endswith("\nor leave out the methods and tasks concerned: --allow-incomplete")
    assert not (tmp_path / "out").exists()
    strict = ("--strict", "--allow-incomplete", "--figures", "fig1,fig3")
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *strict, *FAST])
    captions = (tmp_path / "out" / "figures" / "captions.md").read_text()
    assert "Left out because runs are missing: BPO F=2." in captions
    assert "BPO F=2" not in (tmp_path / "out" / "tables" / "fig3.csv").read_text()
    assert "missing: tldr, dpo, BPO F=2, seed 3, 4; run: " in (tmp_path / "out" / "report.html").read_text()


def test_a_figure_asked_for_by_name_does_not_wait_for_runs_it_does_not_show(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep, tmp_path / "runs")
    for task, seeds in (("tldr", range(5)), ("helpfulness", range(3))):
        for seed in seeds:
            make_run(tmp_path / "runs" / f"more,{task},{seed}", task=task, F=2, reference="sft", seed=seed)
    main([str(tmp_path / "runs"), "--figures", "fig1", "--out", str(tmp_path / "out"), *FAST])
    tables = tmp_path / "out" / "tables"
    assert "BPO F=2" in (tables / "fig1.csv").read_text() and "sft F=2" not in (tables / "fig1.csv").read_text()
    with (tables / "results.csv").open() as file:
        assert [one["task"] for one in csv.DictReader(file) if one["method"] == "sft F=2"] == ["tldr"]
    assert "Left out because runs are missing: sft F=2." in (tables / "results.md").read_text()


def test_the_command_for_a_hole_is_one_the_program_takes(sweep: Path, tmp_path: Path) -> None:
    from src.cli.compose import problems_of
    from src.cli.overrides import flags_first

    shutil.copytree(sweep, tmp_path / "runs")
    for name in ("offline,tldr,dpo,1", "onpolicy,helpfulness,dpo,0", "bpoT,tldr,dpo,2"):
        shutil.rmtree(tmp_path / "runs" / name)
    message = refused(str(tmp_path / "runs"), "--strict", "--out", str(tmp_path / "out"), *FAST)
    commands = re.findall(r"python -m src.train (.*)", message)
    assert len(commands) == 3
    for command in commands:
        assert problems_of(flags_first(command.split())) == []


def test_of_runs_that_are_not_comparable_the_most_are_taken_and_the_others_named(
    sweep: Path, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(sweep, tmp_path / "runs")
    make_sweep(tmp_path / "runs" / "short", T=32, methods=("offline", "bpo2"))
    make_run(tmp_path / "runs" / "smoke", T=4)
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *ONE_FIGURE])
    said = capsys.readouterr().out
    assert "not compared with the other 40 runs: 20 runs with T=32 instead of 64 (" in said and "--where T=32" in said
    assert "1 run with T=4 instead of 64 (smoke)" in said and str(tmp_path) not in said.partition("61 runs")[0]
    assert (tmp_path / "out" / "tables" / "fig1.csv").read_bytes() == (written / "tables" / "fig1.csv").read_bytes()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "20 runs with T=32" in page and "Study 2: 20 runs" in page and "Study 3: 1 run<" in page
    assert (tmp_path / "out" / "study2" / "figures" / "fig1.svg").is_file()
    assert not (tmp_path / "out" / "study3").exists()
    assert "runs that are not comparable: T is 32 in 20 (" in refused(str(tmp_path / "runs"), "--strict", *ONE_FIGURE)
    main([str(tmp_path / "runs"), "--where", "T=32", "--out", str(tmp_path / "out"), *ONE_FIGURE])
    assert "20 runs" in (tmp_path / "out" / "figures" / "captions.md").read_text()


@pytest.mark.nightly
def test_allocations_are_methods_of_one_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("uniform", "depth2", "balanced", "pilot")
    make_sweep(tmp_path / "runs", methods=names, tasks=("tldr",), seeds=range(2))
    for seed in range(2):
        write_plan(tmp_path / "runs" / f"balanced,tldr,dpo,{seed}", plan())
    assert set(names) <= set(ALLOCATIONS)
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *FAST])
    drawn = {path.stem for path in (tmp_path / "out" / "figures").glob("*.svg")}
    assert {"allocation", "budget", "clusters", "fig3"} <= drawn and "fig1" not in drawn
    assert "fig1 is not drawn: needs two of its methods" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="figure-allocation"' in page and 'id="figure-clusters"' in page and "balanced (pilot)" in page
    assert "data:image/png" in page and "8 runs: 4 methods" in page
    shutil.rmtree(tmp_path / "runs" / "pilot,tldr,dpo,1")
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "more"), *FAST])
    said = capsys.readouterr().out
    assert "1 run with one seed, shown and not compared (pilot,tldr,dpo,0); more seeds: python -m src.train" in said
    assert "allocation=balanced" in said and "allocation.mode=pilot" in said


def test_two_runs_with_one_identity_and_other_results_are_apart(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(sweep, tmp_path / "runs")
    make_run(tmp_path / "runs" / "another", wins=3, seed=1)
    message = refused(str(tmp_path / "runs"), "--strict", *FAST)
    assert "2 runs with one identity" in message and "another" in message and "bpo2,tldr,dpo,1" in message
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *ONE_FIGURE])
    assert "1 run with the identity of another one and another win rate: " in capsys.readouterr().out
    assert "Study 2: 1 run<" in (tmp_path / "out" / "report.html").read_text()


def test_bad_runs_are_named_and_the_others_stand(
    sweep: Path, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(sweep, tmp_path / "runs")
    make_run(tmp_path / "runs" / "torn", seed=9)
    content = (tmp_path / "runs" / "torn" / "results.jsonl").read_text()
    (tmp_path / "runs" / "torn" / "results.jsonl").write_text(content[:-20])
    write_rows(tmp_path / "runs" / "old", [row(schema_version=0, seed=9)])
    write_rows(tmp_path / "runs" / "foreign [bold]", [{"hello": 1}])
    write_rows(tmp_path / "runs" / "begun", [])
    (tmp_path / "runs" / "empty").mkdir()
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *ONE_FIGURE])
    said = capsys.readouterr().out
    for name in ("torn", "old", "foreign [bold]", "begun"):
        assert re.search(rf"skipped .*{re.escape(name)}: ", said), name
    assert "empty" not in said
    for name in ("tables/results.csv", "figures/fig1.svg"):
        assert (tmp_path / "out" / name).read_bytes() == (written / name).read_bytes()
    assert "4 runs left out" in (tmp_path / "out" / "report.html").read_text()


def test_runs_of_several_commits_are_warned_about(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(sweep, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "bpo2,tldr,dpo,1")
    make_run(tmp_path / "runs" / "later", git_sha="def", seed=1)
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *ONE_FIGURE])
    assert "2 commits" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "folder", "foreign"])
def test_no_runs(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "runs" / "inside").mkdir(parents=True)
    if content == "foreign":
        write_rows(tmp_path / "runs" / "inside", [{"a": 1}])
    message = refused(str(tmp_path / "runs"), *FAST)
    assert ("no such folder" if content is None else "no finished run") in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--figures", "fig1,fig9"], "--figures fig9"), (["--format", "gif"], "--format gif"),
        (["--reps", "1"], "--reps 1"), (["--margin", "0"], "--margin 0"), (["--margin", "nan"], "--margin nan"),
        (["--seed", "-1"], "--seed -1"), (["--samples", "-1"], "--samples -1"), (["--wandb", "x"], "ENTITY/PROJECT"),
        (["--where", "T"], "--where T"), (["--figures", ""], "--figures"), (["--wandb", "a/b", "c"], "one of them"),
        (["--width", "4"], "--style paper only"), (["--style", "paper", "--width", "1"], "--width 1: expected inches"),
        (["--example", "x"], "--example"), (["--wandb", "a/b", "--watch"], "--watch"),
    ],
)  # fmt: skip
def test_wrong_arguments(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert "3 problems" in refused("--figures", "x", "--format", "y", "--reps", "2")


def test_a_figure_asked_for_by_name_that_cannot_be_drawn_is_an_error(sweep: Path, tmp_path: Path) -> None:
    message = refused(str(sweep), "--figures", "fig1,ensemble", "--out", str(tmp_path / "out"), *FAST)
    assert "ensemble cannot be drawn" in message and "python -m src.train" in message
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_to_write(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert "that is a file" in refused(str(sweep), "--out", str(tmp_path / "out"), *FAST)
    assert (tmp_path / "out").read_text() == "mine"


def test_help_has_three_examples_that_parse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    commands = re.findall(r"python analysis/aggregate.py.*", EXAMPLES)
    assert len(commands) == 4 and all(command in capsys.readouterr().out for command in commands[:1])
    for command in commands:
        parser().parse_args(command.split()[2:])


def test_nothing_of_src_is_imported(sweep: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from analysis.aggregate import main; "
        f"main([{str(sweep)!r}, '--out', {str(tmp_path)!r}, '--reps', '100', '--figures', 'fig1']); "
        "found = [name for name in sys.modules if name.split('.')[0] in ('src', 'torch', 'transformers', 'wandb')]; "
        "sys.exit(f'imported: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sources = [path.read_text() for path in (ROOT / "analysis").rglob("*.py")]
    assert len(sources) > 20 and not any(re.search(r"^\s*(from|import) src\b", text, re.MULTILINE) for text in sources)


@pytest.mark.slow
@pytest.mark.nightly
def test_two_thousand_runs_take_less_than_thirty_seconds_besides_the_bootstrap(tmp_path: Path) -> None:
    make_sweep(tmp_path / "runs", losses=("dpo", "ipo", "slic"), seeds=range(84), samples=3)
    assert len(list((tmp_path / "runs").iterdir())) > 2000
    started = time.process_time()
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--reps", "100"])
    # Of the processor, not of the clock: other processes may share the machine.
    assert time.process_time() - started < 30
    assert (tmp_path / "out" / "report.html").stat().st_size < 40_000_000
