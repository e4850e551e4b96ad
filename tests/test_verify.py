"""python -m src.verify: agrees with what a run did, and with nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.after_training.check import AGREES, DIFFERS, UNKNOWN, close
from src.evaluate import main as evaluate
from src.runtime.report import Report
from src.storage.checksums import SUMS, write_sums
from src.storage.files import dump_row, read_rows
from src.verify import main, verify
from tests.classifiers import save_classifier
from tests.commands import called, small_run


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    """With a noisy oracle, an evaluation on the way, rounds of unequal size."""
    overrides = ("T=3", "oracle.temperature=1.0", "oracle.flip=0.2", "evaluate.every=1")
    return finished_run("F=2,seed=0", *overrides)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def rewritten(file: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    rows = read_rows(file)
    change(rows)
    file.write_text("".join(map(dump_row, rows)), encoding="utf-8")


def states(folder: Path, rerun: bool = False) -> dict[str, str]:
    return {check.what: check.state for check in verify(folder, rerun, Report())}


def differing(folder: Path) -> set[str]:
    return {what for what, state in states(folder).items() if state == DIFFERS}


def test_a_run_agrees_with_itself(run: Path) -> None:
    found = states(run, rerun=True)
    assert {what for what, state in found.items() if state != AGREES} == {"kl_sft"}
    assert found["kl_sft"] == UNKNOWN and len(found) == 31


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=tiny_lora", "ensemble=2", "model.lora.rank=4", "F=T", "reference=sft", "batch_size=3"),
        ("F=1", "evaluate.every=0", "evaluate.temperature=0", "loss=ipo", "T=2"),
        ("allocation=random_pairs", "F=2", "allocation.min_pool=4", "oracle.temperature=0"),
    ],
)
def test_other_runs_agree_too(overrides: tuple[str, ...], tmp_path: Path, cache: Path) -> None:
    found = states(small_run(tmp_path / "run", cache, *overrides), rerun=True)
    assert {what for what, state in found.items() if state != AGREES} == {"kl_sft"}


def test_the_command_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(main, run) is None
    said = capsys.readouterr().out
    assert "agrees       win_rate" in said and "29 agree, 0 differ, 1 not checked" in said
    assert not list(run.glob(".*partial"))


def set_in(row: int, key: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[row].__setitem__(key, value)


# Rounds that are large enough for an allocation.
SMALL = ("F=2", "allocation.min_pool=4", "oracle.temperature=0")
SCORES = {"outcomes of samples", "scores of the judge", "judge_score_mean"}
TAMPERED: dict[str, tuple[str, Callable[[list[dict[str, Any]]], object], set[str]]] = {
    "a better win rate": ("results.jsonl", set_in(-1, "win_rate", 0.9), {"win_rate"}),
    "an earlier row": ("results.jsonl", set_in(1, "ties", 7), {"ties"}),
    "wins": ("results.jsonl", set_in(-1, "wins", 12), {"wins"}),
    "losses": ("results.jsonl", set_in(-1, "losses", 0), {"losses"}),
    "invalid": ("results.jsonl", set_in(-1, "n_invalid", 1), {"n_invalid"}),
    "at equal length": (
        "results.jsonl", set_in(-1, "win_rate_length_controlled", 0.77), {"win_rate_length_controlled"},
    ),
    "distinct": ("results.jsonl", set_in(-1, "distinct_3", 0.5), {"distinct_3"}),
    "unique": ("results.jsonl", set_in(-1, "unique_rate", 0.5), {"unique_rate"}),
    "mean": ("results.jsonl", set_in(-1, "judge_score_mean", 4.0), {"judge_score_mean"}),
    "lengths": ("results.jsonl", set_in(-1, "response_tokens_mean", 3.0), {"response_tokens_mean"}),
    "label lengths": ("results.jsonl", set_in(-1, "label_tokens_mean", 3.0), {"label_tokens_mean"}),
    "another method": ("results.jsonl", set_in(-1, "loss", "ipo"), {"identity of the rows"}),
    "another seed": ("results.jsonl", set_in(-1, "seed", 5), {"identity of the rows"}),
    "a smaller budget": (
        "results.jsonl", set_in(-1, "annotated_pairs", 5),
        {"annotated_pairs", "annotated_pairs by round", "what the last round noted"},
    ),
    "fewer responses": (
        "results.jsonl", set_in(-1, "generated_responses", 5), {"generated_responses", "what the last round noted"},
    ),
    "ties of the oracle": (
        "results.jsonl", set_in(-1, "oracle_ties", 3), {"ties and unusable answers", "what the last round noted"},
    ),
    "a score": ("samples.jsonl", set_in(-1, "response_score", -99.0), SCORES),
    "a label's score": (
        "samples.jsonl", set_in(-1, "label_score", 99.0), {"outcomes of samples", "scores of the judge"},
    ),
    "an outcome": ("samples.jsonl", set_in(-1, "outcome", 0.5), {
        "wins", "ties", "win_rate", "win_rate_length_controlled", "outcomes of samples",
    }),
    "a prompt": ("samples.jsonl", set_in(-1, "prompt", "What?"), {
        "prompts and labels of samples", "scores of the judge"}),
    "a sample twice": ("samples.jsonl", lambda rows: rows.append(rows[-1]), {
        "n_prompts", "judge_score_mean", "distinct_3", "unique_rate",
    }),
    "a step": ("metrics.jsonl", lambda rows: rows.pop(1), {"steps in metrics.jsonl"}),
    "a preference": (
        "pairs/round_001.jsonl",
        lambda rows: rows[0].__setitem__("chosen", 1 - rows[0]["chosen"]),
        {"preferences of pairs"},
    ),
    "a pair": ("pairs/round_000.jsonl", lambda rows: rows.pop(), {
        "annotated_pairs", "annotated_pairs by round", "pairs of the plans", "preferences of pairs"}),
    "an oracle's score": (
        "pairs/round_000.jsonl",
        lambda rows: [one.update(score=one["score"] + 1e-3) for row in rows for one in row["responses"]],
        {"scores of the oracle"},
    ),
    "a text": ("pairs/round_000.jsonl", lambda rows: rows[0]["responses"][0].__setitem__("text", "a dog"), {
        "scores of the oracle"}),
    "a round": ("pairs/round_001.json", set_in(0, "resampled", 40), {"what the last round noted"}),
}  # fmt: skip
# They move by what the other rows say, too.
MAY = {
    "a sample twice": {
        "wins", "ties", "losses", "win_rate", "win_rate_length_controlled", "response_tokens_mean", "label_tokens_mean",
    }
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_changed_differs(name: str, copy: Path) -> None:
    file, change, expected = TAMPERED[name]
    rewritten(copy / file, change)
    assert "files" in differing(copy)
    write_sums(copy)  # as who changed it could have done
    found = differing(copy)
    assert expected <= found <= expected | MAY.get(name, set())


def test_another_configuration_differs(copy: Path) -> None:
    settings = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump(settings | {"seed": 1, "learning_rate": 0.5}))
    write_sums(copy)
    assert differing(copy) == {"config_hash", "identity of the rows", "preferences of pairs"}


def test_a_policy_that_is_not_the_saved_one_differs_and_is_not_used(copy: Path) -> None:
    weights = next((copy / "policy").glob("*.safetensors"))
    whole = bytearray(weights.read_bytes())
    whole[-5] ^= 1
    weights.write_bytes(whole)
    assert differing(copy) == {"files"}
    assert states(copy, rerun=True)["responses, sampled again"] == UNKNOWN
    said = str(called(evaluate, f"policy={copy}"))
    assert f"{weights} is damaged: its checksum is not that of {SUMS}" in said and "nothing was started" in said
    shutil.rmtree(copy / "policy")
    assert differing(copy) == {"files"}


def test_other_responses_of_the_policy_differ(copy: Path) -> None:
    other = read_rows(copy / "samples.jsonl")[-1]["label"]
    rewritten(copy / "samples.jsonl", set_in(-1, "response", other))
    assert states(copy, rerun=True)["responses, sampled again"] == DIFFERS


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


def test_runs_of_earlier_versions_are_checked_as_far_as_they_go(copy: Path) -> None:
    (copy / SUMS).unlink()
    rewritten(copy / "samples.jsonl", lambda rows: [row.pop("label_tokens") for row in rows])
    for file in ("identity.json", "results.jsonl"):
        rewritten(copy / file, lambda rows: [row.pop("data_fingerprint") for row in rows])
    found = states(copy)
    assert DIFFERS not in found.values()
    assert {what for what, state in found.items() if state == UNKNOWN} == {
        "kl_sft",
        "files",
        "lengths",
        "data_fingerprint",
    }


def test_runs_that_cannot_be_read_are_named(copy: Path, tmp_path: Path) -> None:
    assert "expected the folder of a finished run" in str(called(main))
    assert "no such folder" in str(called(main, tmp_path / "nowhere"))
    assert "rerun=yes: expected true or false" in str(called(main, copy, "rerun=yes"))
    assert "no run there" in str(called(main, tmp_path))
    for file in ("results.jsonl", "samples.jsonl", "pairs/round_000.jsonl", "config.yaml", "identity.json"):
        whole = (copy / file).read_bytes()
        for torn in (b"{\n", b"[1]\n", b"3\n", b'{"a": 1}\n', b"\xff\xfe\n", b"", b"a: [\n"):
            (copy / file).write_bytes(torn)
            said = str(called(main, copy))
            assert said.startswith("error: ") and str(copy) in said or said == "1", (file, torn, said)
        (copy / file).write_bytes(whole)
    rewritten(copy / "results.jsonl", lambda rows: rows.pop())
    assert "is not finished" in str(called(main, copy))


def test_the_exit_status_is_0_only_where_nothing_differs(run: Path, copy: Path) -> None:
    assert called(main, run, run) is None
    rewritten(copy / "metrics.jsonl", lambda rows: rows.pop())
    assert called(main, run, copy) == "1" == called(main, copy, run)


def test_figures_that_are_close() -> None:
    assert close(None, None, 1) and not close(None, 0.0, 1) and not close(0.0, None, 1)
    assert close(0.5, 0.5 + 1e-10, 1e-9) and not close(0.5, 0.5 + 1e-8, 1e-9)
    assert close(1e6, 1e6 + 1e-4, 1e-9) and not close(float("nan"), 0.5, 1e-3)


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


def test_a_plan_that_was_changed_is_named(copy: Path) -> None:
    rewritten(copy / "pairs" / "plan_000.json", set_in(0, "annotated", 5))
    assert f"{copy / 'pairs' / 'plan_000.json'} is damaged" in str(called(main, copy))
