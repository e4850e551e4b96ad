"""docs/metrics.md names every key that a run, a reward model and the analysis write, and no other."""

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from analysis.aggregate import main as aggregate
from analysis.names import FIGURES
from src.evaluate import main as evaluate
from src.oracles.answers import Answer, Ledger
from src.reward import main as reward
from src.storage.rows import read_rows
from tests.analysis.made_runs import ALLOCATIONS, make_run, make_sweep, plan, write_plan
from tests.commands import called, smoke
from tests.documents import ROOT
from tests.reward_fitting.proxies import PROXY

PAGE = (ROOT / "docs" / "metrics.md").read_text()
pytestmark = pytest.mark.slow
# A key of runs that take a server; the page says so.
SERVED = "only with `sampler=vllm`"


def tables(title: str) -> list[list[list[str]]]:
    """The tables of a section, rows of cells, without their headers."""
    [section] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^\|.*\n\| ---.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]


def keys(*rows: list[list[str]]) -> set[str]:
    """The keys in the first column."""
    return {key for table in rows for row in table for key in re.findall(r"`([^`]+)`", row[0])}


def written(rows: Iterable[dict[str, Any]]) -> set[str]:
    return {key for row in rows for key in row}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> list[Path]:
    """One pair a prompt; and clusters, with two LoRA members."""
    from tests.experiments import built

    folder = tmp_path_factory.mktemp("runs")
    balanced = ("allocation=balanced", "allocation.min_pool=4", "batch_size=8", "T=2", "F=1", "model=tiny_lora")
    experiments: dict[str, tuple[str, ...]] = {"uniform": (), "balanced": (*balanced, "ensemble=2")}
    for name, overrides in experiments.items():
        built(folder / name, cache, *overrides).run()
    return [folder / name for name in experiments]


def test_a_tables_cells_each_say_something() -> None:
    for row in [
        row for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) for table in tables(title) for row in table
    ]:
        assert len(row) == 3 and row[-1], row


def test_metrics(runs: list[Path]) -> None:
    every_step, first_step = tables("`metrics.jsonl`")
    for run in runs:
        rows = read_rows(run / "metrics.jsonl")
        assert set(rows[0]) == keys(every_step, first_step) - {"sampler/logp_difference"}
        assert all(set(row) == keys(every_step) for row in rows if row["step"] % 2)
    [served] = [row for row in first_step if SERVED in row[2]]
    assert served[0] == "`sampler/logp_difference`"


def test_results(runs: list[Path], tmp_path: Path, cache: Path) -> None:
    row, besides = map(keys, tables("`results.jsonl`"))
    for run in runs:
        assert all(set(found) == row for found in read_rows(run / "results.jsonl"))
    assert called(evaluate, f"policy={runs[0]}", f"results={tmp_path / 'more.jsonl'}", "device=cpu") is None
    assert set(read_rows(tmp_path / "more.jsonl")[0]) == row | besides


@pytest.mark.parametrize("name", ["samples.jsonl", "pairs/round_000.json", "pairs/plan_000.json"])
def test_files_of_rows(runs: list[Path], name: str) -> None:
    documented = keys(*tables(f"`{name.replace('000', 'NNN')}`"))
    for run in runs:
        assert all(set(row) == documented for row in read_rows(run / name))


def test_pairs(runs: list[Path]) -> None:
    documented = keys(*tables("`pairs/round_NNN.jsonl`"))
    for run in runs:
        rows = read_rows(run / "pairs" / "round_000.jsonl")
        inner = {f"responses.{key}" for key in written(one for row in rows for one in row["responses"])}
        assert written(rows) | inner == documented


def test_pairs_after_training_and_attempts(runs: list[Path], tmp_path: Path) -> None:
    from src.run_folder.attempts import note_attempt
    from src.runtime.device import choose_device

    assert all(set(row) == keys(*tables("`pairs/after.jsonl`")) for row in read_rows(runs[0] / "pairs" / "after.jsonl"))
    note_attempt(tmp_path, ["F=2"], choose_device("cpu"))
    assert set(read_rows(tmp_path / "attempts.jsonl")[0]) == keys(*tables("`attempts.jsonl`"))


def test_lists_in_a_plan(runs: list[Path]) -> None:
    [made] = read_rows(runs[1] / "pairs" / "plan_000.json")
    [table] = tables("`pairs/plan_NNN.json`")
    said = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[2])) for row in table}
    assert made["pairs"] and said["prompts"] == written(made["prompts"])
    assert said["pairs"] == written(made["pairs"]) and said["seconds"] == set(made["seconds"])


def test_the_identity(runs: list[Path]) -> None:
    identity = json.loads((runs[0] / "identity.json").read_text())
    order = [key for row in tables("`results.jsonl`")[0] for key in re.findall(r"`([^`]+)`", row[0])]
    assert set(identity) == {*order[order.index("run_id") : order.index("data_fingerprint") + 1], "sha256"}


def test_answers(tmp_path: Path) -> None:
    Ledger(tmp_path / "oracle.jsonl").paid("question", Answer("Verdict: A", 10, 3))
    assert set(read_rows(tmp_path / "oracle.jsonl")[0]) == keys(
        *tables("`answers/oracle.jsonl`, `answers/judge.jsonl`")
    )


def test_a_reward_model(tmp_path: Path, cache: Path) -> None:
    small = (
        "reward.count=32",
        "reward.steps=2",
        "reward.batch_size=4",
        "reward.held_out=0.25",
        f"out={tmp_path / 'rm'}",
    )
    assert called(reward, *smoke(cache), *small) is None
    [row] = read_rows(tmp_path / "rm" / "reward.json")
    assert set(row) == keys(*tables("`reward.json`"))
    rows = read_rows(tmp_path / "rm" / "held_out.jsonl")
    [sentence] = re.findall(r"`held_out.jsonl` beside it has(.+?\.)\n", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == written(rows) | written(
        one for row in rows for one in row["responses"]
    )


def test_a_proxy(tmp_path: Path, cache: Path) -> None:
    from tests.experiments import built

    built(tmp_path / "run", cache, *PROXY)
    [row] = read_rows(tmp_path / "run" / "proxy.json")
    assert set(row) == keys(*tables("`reward.json`"), *tables("`proxy.json`")) - {"config_hash", "seconds"}


@pytest.mark.nightly
def test_tables_of_the_analysis(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs", seeds=range(2))
    for number, name in enumerate(("pilot", "random_pairs")):
        for seed in range(2):
            for task in ("tldr", "helpfulness"):
                run = make_run(sweep / f"{name},{task},{seed}", 120 + number, task=task, seed=seed, **ALLOCATIONS[name])
                write_plan(run, plan())
    for seed in range(2):
        for task in ("tldr", "helpfulness"):
            make_run(sweep / f"ensemble,{task},{seed}", 120, task=task, seed=seed, ensemble=5, model="tiny_lora")
            make_run(sweep / f"member,{task},{seed}", 118, task=task, seed=seed, ensemble=1, model="tiny_lora")
    make_sweep(sweep / "proxy", ("offline",), seeds=range(2), model="other", oracle="learned", proxy_score_mean=0.5)
    found: dict[str, set[str]] = {}
    for name, model in {"usual": "tiny", "members": "tiny_lora", "proxy": "other"}.items():
        out = tmp_path / name
        aggregate([str(sweep), "--where", f"model={model}", "--out", str(out), "--reps", "100", "--allow-incomplete"])
        for file in (out / "tables").glob("*.csv"):
            found.setdefault(file.stem, set()).update(next(csv.reader(file.open())))
    assert set(found) == {*FIGURES, "results"}
    [table] = tables("`tables/*.csv`")
    documented: dict[str, set[str]] = {name: set() for name in found}
    for row in table:
        named = set(found) if row[1] == "all" else set(re.findall(r"`(\w+)`", row[1]))
        for name in named:
            documented[name] |= keys([row])
    assert documented == found
