"""From pairs to a folder that oracle=reward_model takes."""

import json
from pathlib import Path

import pytest

from src.cli.compose import compose_one
from src.oracles.reward_model import RewardModelOracle
from src.records import Prompt, Row
from src.reward_fitting.config import TAKEN, pairs_as_list
from src.reward_fitting.make import make
from src.runtime.errors import ConfigError, RunError
from src.storage.rows import read_rows
from tests.classifiers import save_classifier
from tests.experiments import built
from tests.reward_fitting.runs import SMALL, comparison, run_folder

pytestmark = pytest.mark.slow


def composed(*arguments: str, small: tuple[str, ...] = SMALL) -> dict:
    job = compose_one([*small, *arguments], TAKEN)
    assert not job.problems, job.problems
    return job.plain


@pytest.mark.slow
def test_pairs_are_sampled_annotated_fitted_and_judged(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "reward"
    plain = composed(f"cache={cache}", f"out={out}")
    make(plain)
    (facts,) = read_rows(out / "reward.json")
    assert facts["pairs"] + facts["held_out_pairs"] + facts["ties_left_out"] == 40
    assert facts["accuracy"]["n"] == facts["held_out_pairs"] == sum(one["n"] for one in facts["bins"])
    assert 0.5 < facts["accuracy_ceiling"] < 1
    assert facts["gold_agreement"]["n"] <= facts["held_out_pairs"]
    rows = read_rows(out / "held_out.jsonl")
    assert len(rows) == facts["held_out_pairs"]
    agreed = [
        (row["responses"][row["chosen"]]["reward"] > row["responses"][1 - row["chosen"]]["reward"]) for row in rows
    ]
    assert facts["accuracy"]["value"] == pytest.approx(sum(agreed) / len(agreed))
    # The gold oracle's own scores are the gold scores.
    assert all(one["score"] == pytest.approx(one["gold"]) for row in rows for one in row["responses"])
    oracle = RewardModelOracle(str(out), "pair", 640, 8192, "cpu", 0.0, 0.0)
    assert oracle.problems() == []
    asked = [Prompt(0, Row(row["prompt"], ""), (2,), ()) for row in rows]
    for place in range(2):
        texts = [row["responses"][place]["text"] for row in rows]
        expected = [row["responses"][place]["reward"] for row in rows]
        assert oracle.score(None, asked, texts) == pytest.approx(expected, abs=1e-4)
    shown = capsys.readouterr().out
    assert "the gold score" in shown and f"{facts['accuracy']['value']:.1%}" in shown
    # Finished: left alone, whatever would come out now.
    before = (out / "reward.json").stat().st_mtime_ns
    make(plain)
    assert "is finished" in capsys.readouterr().out and (out / "reward.json").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="another configuration; force=true"):
        make(composed(f"cache={cache}", f"out={out}", "reward.steps=5"))
    make(composed(f"cache={cache}", f"out={out}", "reward.steps=5", "force=true"))
    assert read_rows(out / "reward.json")[0]["steps"] == 5
    assert [path.name for path in out.parent.iterdir() if path.is_dir()] == ["reward"]


@pytest.mark.slow
def test_pairs_of_runs(tmp_path: Path, cache: Path) -> None:
    runs = [tmp_path / name for name in ("F=1,seed=0", "F=2")]
    for number, run in enumerate(runs):
        built(run, cache, f"F={number + 1}", f"seed={number}").run()
    out = tmp_path / "reward"
    pairs = pairs_as_list(f"pairs={runs[0]},{runs[1]}")
    make(composed(f"cache={cache}", f"out={out}", pairs, f"reward.path='{runs[1] / 'policy'}'"))
    (facts,) = read_rows(out / "reward.json")
    assert facts["pairs"] + facts["held_out_pairs"] + facts["ties_left_out"] == 2 * 16
    assert facts["runs"] == [str(run) for run in runs]
    assert facts["gold_agreement"]["n"] > 0  # the runs' prompts are those of the data that the command names
    assert facts["base"] == str(runs[1] / "policy")


def test_the_datas_own_pairs_need_no_policy_and_no_oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"prompt": f"Question {n}?", "label": "yes", "good": f"an answer {n}", "bad": f"{n}"} for n in range(40)]
    for split in ("train", "validation"):
        part = rows[:36] if split == "train" else rows[36:]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))

    def refuse(*_: object) -> None:
        raise AssertionError("neither a policy nor an oracle has any part in it")

    model = save_classifier(tmp_path / "classifier", "bert")
    monkeypatch.setattr("src.learning.sft_cache.SftCache.policy", refuse)
    monkeypatch.setattr("src.oracles.comparer.Comparer.verdicts", refuse)
    columns = "data.chosen_column=good", "data.rejected_column=bad", "collect=dataset"
    where = f"data.path={tmp_path}", f"cache={tmp_path / 'cache'}", f"out={tmp_path / 'reward'}"
    make(composed("data=files", *where, *columns, f"reward.path={model}", "reward.max_length=96", small=SMALL[1:]))
    (facts,) = read_rows(tmp_path / "reward" / "reward.json")
    assert (facts["pairs"], facts["held_out_pairs"], facts["ties_left_out"]) == (27, 9, 0)
    held_out = read_rows(tmp_path / "reward" / "held_out.jsonl")
    assert {row["chosen"] for row in held_out} == {0, 1}
    assert all(row["responses"][row["chosen"]]["text"].startswith("an answer") for row in held_out)
    assert facts["accuracy_ceiling"] is None and facts["gold_agreement"] is None


def test_pairs_of_other_data_have_no_gold_score(tmp_path: Path, cache: Path) -> None:
    run = run_folder(tmp_path / "run", [[comparison(number, number % 2) for number in range(12)]])
    make(composed(f"cache={cache}", f"out={tmp_path / 'reward'}", f"pairs={run}"))
    (facts,) = read_rows(tmp_path / "reward" / "reward.json")
    assert facts["gold_agreement"] is None and facts["accuracy"]["n"] == 3
    # |0.5 - -1| at temperature 0.25, a tenth flipped: 0.9 sigmoid(6) + 0.1 sigmoid(-6)
    assert facts["accuracy_ceiling"] == pytest.approx(0.9 * 0.997527 + 0.1 * 0.002473, abs=1e-5)


def test_what_cannot_be_fitted_is_known_before_pairs_are_collected(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("collecting takes long")

    monkeypatch.setattr("src.reward_fitting.make.collect_preferences", refuse)
    model = save_classifier(tmp_path / "classifier", "bert")
    with pytest.raises(RunError, match="96 tokens"):
        make(composed(f"cache={cache}", f"out={tmp_path / 'reward'}", f"reward.path={model}", "reward.max_length=97"))
    assert not (tmp_path / "reward").exists()


@pytest.mark.parametrize("comparisons", [[], [comparison(0, None), comparison(1, None)], [comparison(0)]])
def test_too_few_pairs_are_refused_and_leave_nothing(tmp_path: Path, cache: Path, comparisons: list) -> None:
    run = run_folder(tmp_path / "run", [comparisons])
    with pytest.raises(RunError, match="expected pairs of two prompts or more"):
        make(composed(f"cache={cache}", f"out={tmp_path / 'reward'}", f"pairs={run}"))
    assert not (tmp_path / "reward").exists()


@pytest.mark.slow
def test_what_fails_halfway_leaves_the_model_before(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_folder(tmp_path / "run", [[comparison(number) for number in range(8)]])
    arguments = f"cache={cache}", f"out={tmp_path / 'reward'}", f"pairs={run}"

    def fail(*_: object) -> None:
        raise RunError("killed")

    with monkeypatch.context() as patched, pytest.raises(RunError, match="killed"):
        patched.setattr("src.reward_fitting.fit_and_judge.judge_held_out", fail)
        make(composed(*arguments))
    assert not (tmp_path / "reward").exists()
    make(composed(*arguments))
    before = (tmp_path / "reward" / "reward.json").read_text()
    with monkeypatch.context() as patched, pytest.raises(RunError, match="killed"):
        patched.setattr("src.reward_fitting.fit_and_judge.judge_held_out", fail)
        make(composed(*arguments, "force=true"))
    assert (tmp_path / "reward" / "reward.json").read_text() == before
    assert (tmp_path / "reward" / "model.safetensors").is_file()


def test_a_configuration_that_cannot_run_is_refused() -> None:
    plain = composed()
    plain["pairs"] = "/nowhere"
    with pytest.raises(ConfigError, match="no pairs of a run"):
        make(plain)
