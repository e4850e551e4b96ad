"""Every check agrees with what a run did: in runs of all kinds, with data that are gone, of earlier versions."""

import json
import shutil
from pathlib import Path

import pytest

from src.after_training.check import AGREES, DIFFERS, UNKNOWN
from src.storage.checksums import SUMS
from src.storage.rows import read_rows
from tests.after_training.checks.changed import differing, rewritten, set_in, states
from tests.classifiers import save_classifier
from tests.commands import small_run
from tests.reward_fitting.proxies import PROXY

# Rounds that are large enough for an allocation.
SMALL = ("F=2", "allocation.min_pool=4", "oracle.temperature=0")


@pytest.mark.slow
def test_a_run_agrees_with_itself(run: Path) -> None:
    found = states(run, rerun=True)
    assert {what for what, state in found.items() if state != AGREES} == {"kl_sft"}
    assert found["kl_sft"] == UNKNOWN and len(found) == 43


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("model=tiny_lora", "ensemble=2", "model.lora.rank=4", "F=T", "reference=sft", "batch_size=3"),
        ("F=1", "evaluate.every=0", "evaluate.temperature=0", "evaluate.samples=1", "loss=ipo", "T=2"),
        ("allocation=random_pairs", "F=2", "allocation.min_pool=4", "oracle.temperature=0"),
    ],
)
def test_other_runs_agree_too(overrides: tuple[str, ...], tmp_path: Path, cache: Path) -> None:
    found = states(small_run(tmp_path / "run", cache, *overrides), rerun=True)
    assert {what for what, state in found.items() if state != AGREES} == {"kl_sft"}


@pytest.mark.slow
def test_other_data_differ_and_data_that_are_gone_are_not_checked(tmp_path: Path, cache: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    for name, count in (("train", 40), ("validation", 6)):
        texts = [{"prompt": f"{name} number {i}: a dog", "label": f"dog {i}"} for i in range(count)]
        (rows / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    judge = save_classifier(tmp_path / "judge")
    model = (f"oracle.path={judge}", f"judge.path={judge}", "oracle=reward_model", "judge=reward_model")
    run = small_run(tmp_path / "run", cache, "data=files", f"data.path={rows}", *model)
    found = states(run)
    assert {what for what, state in found.items() if state != AGREES} == {"kl_sft"}
    first = (rows / "validation.jsonl").read_text()
    (rows / "validation.jsonl").write_text(first.replace("dog 0", "cat 0"))
    assert differing(run) == {"data_fingerprint", "prompts and labels of samples"}
    shutil.rmtree(rows)
    shutil.rmtree(judge)
    found = states(run)
    assert DIFFERS not in found.values()
    assert {what for what, state in found.items() if state == UNKNOWN} == {
        "kl_sft", "data_fingerprint", "prompts and labels of samples", "scores of the judge", "scores of the oracle",
    }  # fmt: skip


def test_a_run_with_a_proxy_agrees_while_the_proxy_is_there(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", tmp_path / "cache", *PROXY, "oracle.temperature=0.5", "F=2")
    found = states(run, rerun=True)
    assert {what for what, state in found.items() if state != AGREES} == {"kl_sft"}
    assert {"scores of the oracle", "preferences of pairs", "proxy_score_mean"} <= set(found)
    whole = (run / "results.jsonl").read_text()
    rewritten(run / "results.jsonl", set_in(-1, "proxy_score_mean", 3.0))
    assert differing(run) == {"files", "proxy_score_mean"}
    (run / "results.jsonl").write_text(whole)
    shutil.rmtree(tmp_path / "cache")
    found = states(run)
    assert {what for what, state in found.items() if state != AGREES} == {
        "kl_sft", "scores of the oracle", "proxy_score_mean",
    }  # fmt: skip
    assert DIFFERS not in found.values()
    (run / "proxy.json").unlink()
    found = states(run)
    assert {what for what, state in found.items() if state == UNKNOWN} == {
        "kl_sft", "scores of the oracle", "proxy_score_mean", "preferences of pairs",
    }  # fmt: skip
    assert differing(run) == {"files"}


@pytest.mark.slow
def test_runs_of_earlier_versions_are_checked_as_far_as_they_go(copy: Path) -> None:
    (copy / SUMS).unlink()
    for file in ("identity.json", "results.jsonl"):
        rewritten(copy / file, lambda rows: [row.pop("data_fingerprint") for row in rows])
    found = states(copy)
    assert DIFFERS not in found.values()
    assert {what for what, state in found.items() if state == UNKNOWN} == {
        "kl_sft",
        "files",
        "data_fingerprint",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "open_"), [("label_free", set()), ("pilot", set()), ("paper_order", {"ties and unusable answers"})]
)
def test_pairs_annotated_beyond_the_budget_are_counted(mode: str, open_: set[str], tmp_path: Path, cache: Path) -> None:
    balanced = ("allocation=balanced", f"allocation.mode={mode}", *SMALL)
    run = small_run(tmp_path / "run", cache, *balanced)
    assert all(row["fallback"] is None for file in run.glob("pairs/plan_*") for row in read_rows(file))
    found = states(run)
    assert {what for what, state in found.items() if state != AGREES} == {"kl_sft", *open_}
    used = sum(len(read_rows(file)) for file in run.glob("pairs/round_*.jsonl"))
    assert (read_rows(run / "results.jsonl")[-1]["annotated_pairs"] > used) == bool(open_)
    noisy = small_run(tmp_path / "noisy", cache, *balanced, "oracle.temperature=0.1")
    assert states(noisy)["preferences of pairs"] == UNKNOWN
