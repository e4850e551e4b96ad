"""The command: from pairs to a folder that oracle=reward_model takes."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from src.cli.compose import compose_jobs
from src.oracles.reward_model import RewardModelOracle
from src.records import Prompt, Row
from src.reward import TAKEN, as_list, keys_of, main, make
from src.runtime.errors import ConfigError, RunError
from src.storage.files import read_rows
from tests.classifiers import save_classifier
from tests.experiments import built
from tests.reward_fitting.made_pairs import comparison, run_folder

SMALL = ("experiment=smoke", "reward.steps=4", "reward.batch_size=4", "reward.count=40", "reward.held_out=0.25")


def composed(*arguments: str, small: tuple[str, ...] = SMALL) -> dict:
    jobs, problems = compose_jobs([*small, *arguments], TAKEN)
    assert not problems and not jobs[0].problems, [*problems, *jobs[0].problems]
    return jobs[0].plain


def problems_of_reward(*arguments: str) -> list[str]:
    jobs, problems = compose_jobs(arguments, TAKEN)
    return problems + [line for job in jobs for line in job.problems]


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


def test_pairs_of_runs(tmp_path: Path, cache: Path) -> None:
    runs = [tmp_path / name for name in ("F=1,seed=0", "F=2")]
    for number, run in enumerate(runs):
        built(run, cache, f"F={number + 1}", f"seed={number}").run()
    out = tmp_path / "reward"
    pairs = as_list(f"pairs={runs[0]},{runs[1]}")
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
    monkeypatch.setattr("src.oracles.base.Comparer.__call__", refuse)
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


def test_pairs_of_a_run_on_another_task_or_model_are_refused(tmp_path: Path, cache: Path) -> None:
    run = run_folder(tmp_path / "run", [[comparison(number) for number in range(8)]])
    more = "task: {name: helpfulness}\nmodel: {name: gemma_2b, path: null}\noracle: {temperature: 0.25}\n"
    (run / "config.yaml").write_text(more)
    found = problems_of_reward(f"pairs={run}")
    assert [line.split(": ", 1)[1] for line in found] == [
        "of a run with task=helpfulness, and task=tldr here; type task=helpfulness",
        "of a run with model=gemma_2b, and model=tiny here; type model=gemma_2b, or reward.path=",
    ]
    model = save_classifier(tmp_path / "classifier", "bert")
    assert problems_of_reward(f"pairs={run}", "task=helpfulness", f"reward.path={model}") == []


def test_the_oracle_of_pairs_that_are_annotated_may_be_any(tmp_path: Path, cache: Path) -> None:
    run = run_folder(tmp_path / "run", [[comparison(number) for number in range(8)]])
    broken = "oracle=reward_model", "oracle.path=/nowhere"
    assert any("/nowhere" in line for line in problems_of_reward(*broken))
    assert problems_of_reward(f"pairs={run}", *broken) == []


def test_what_cannot_be_fitted_is_known_before_pairs_are_collected(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("collecting takes long")

    monkeypatch.setattr("src.reward._collected", refuse)
    model = save_classifier(tmp_path / "classifier", "bert")
    with pytest.raises(RunError, match="96 tokens"):
        make(composed(f"cache={cache}", f"out={tmp_path / 'reward'}", f"reward.path={model}", "reward.max_length=97"))
    assert not (tmp_path / "reward").exists()


@pytest.mark.parametrize("name", ["reward", "outputs/reward/F=2,task=helpfulness", "it's, a {folder}"])
def test_what_is_said_to_be_typed_can_be(name: str, tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / name, "bert")
    said = keys_of("oracle", {"input": "pair", "max_length": 96}, folder)
    jobs, problems = compose_jobs(shlex.split(said))
    assert not problems and not jobs[0].problems
    oracle = jobs[0].plain["oracle"]
    assert (oracle["path"], oracle["input"], oracle["max_length"]) == (str(folder), "pair", 96)


@pytest.mark.parametrize("comparisons", [[], [comparison(0, None), comparison(1, None)], [comparison(0)]])
def test_too_few_pairs_are_refused_and_leave_nothing(tmp_path: Path, cache: Path, comparisons: list) -> None:
    run = run_folder(tmp_path / "run", [comparisons])
    with pytest.raises(RunError, match="expected pairs of two prompts or more"):
        make(composed(f"cache={cache}", f"out={tmp_path / 'reward'}", f"pairs={run}"))
    assert not (tmp_path / "reward").exists()


def test_what_fails_halfway_leaves_the_model_before(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_folder(tmp_path / "run", [[comparison(number) for number in range(8)]])
    arguments = f"cache={cache}", f"out={tmp_path / 'reward'}", f"pairs={run}"

    def fail(*_: object) -> None:
        raise RunError("killed")

    with monkeypatch.context() as patched, pytest.raises(RunError, match="killed"):
        patched.setattr("src.reward._judged", fail)
        make(composed(*arguments))
    assert not (tmp_path / "reward").exists()
    make(composed(*arguments))
    before = (tmp_path / "reward" / "reward.json").read_text()
    with monkeypatch.context() as patched, pytest.raises(RunError, match="killed"):
        patched.setattr("src.reward._judged", fail)
        make(composed(*arguments, "force=true"))
    assert (tmp_path / "reward" / "reward.json").read_text() == before
    assert (tmp_path / "reward" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("reward.stepz=4", "reward.stepz=4: no such key; did you mean reward.steps"),
        ("steps=4", "steps=4: no such key"),
        ("reward.steps=0", "reward.steps=0: expected more than 0"),
        ("reward.held_out=1.5", "reward.held_out=1.5: expected a share"),
        ("reward.input=text", "reward.input=text: expected pair or chat"),
        ("reward.path=/nowhere", "reward.path=/nowhere: no model there"),
        ("pairs=/nowhere", "pairs=/nowhere: no pairs of a run there"),
        ("pairs=[/nowhere,tests]", "pairs=tests: no pairs of a run there"),
        ("pairs=3", "pairs=3: expected text or a list of values or null"),
        ("out=src", "out=src: there is something else there"),
        ("out=README.md", "out=README.md: there is something else there"),
        ("out=", "out= is empty; expected a folder"),
        ("orcle=gold", "orcle=gold: no such key; did you mean oracle"),
        ("seed=0,1", "seed=0,1: several values need -m"),
    ],
)
def test_every_problem_is_named(arguments: str, expected: str) -> None:
    found = problems_of_reward(*arguments.split())
    assert any(expected in line for line in found), found


def test_all_problems_stand_in_one_message() -> None:
    assert len(problems_of_reward("reward.steps=0", "pairs=/nowhere", "F=0", "nokey=3")) == 4


def test_a_configuration_that_cannot_run_is_refused() -> None:
    plain = composed()
    plain["pairs"] = "/nowhere"
    with pytest.raises(ConfigError, match="no pairs of a run"):
        make(plain)


@pytest.mark.parametrize(
    "line", ["loss=ipo", "F=2", "sampler=vllm", "optimizer.schedule=constant", "T=3", "judge=gold"]
)
def test_keys_that_would_do_nothing_are_refused(line: str) -> None:
    jobs, _ = compose_jobs([line], TAKEN)
    [problem] = jobs[0].problems
    assert problem.startswith(f"{line}: a key of src.train that means nothing here")


def test_the_keys_are_no_keys_of_train() -> None:
    jobs, _ = compose_jobs(["reward.steps=4"])
    assert "reward.steps=4: no such key" in jobs[0].problems[0]


def test_folders_with_commas_and_equal_signs_make_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("outputs/F=2,seed=0", "outputs/F=2", "plain"):
        Path(name).mkdir(parents=True)
    cases = {
        "pairs=plain": ["plain"],
        "pairs=outputs/F=2,seed=0": ["outputs/F=2,seed=0"],
        "pairs=outputs/F=2,seed=0,plain,outputs/F=2": ["outputs/F=2,seed=0", "plain", "outputs/F=2"],
        "pairs=nowhere,plain": ["nowhere", "plain"],
    }
    for typed, expected in cases.items():
        key, _, value = as_list(typed).partition("=")
        assert key == "pairs" and json.loads(value) == expected
        jobs, problems = compose_jobs([as_list(typed)], replace(TAKEN, problems_in=lambda plain: []))
        assert problems == [] and jobs[0].plain["pairs"] == expected
    for untouched in ("pairs=[a,b]", "pairs=null", "pairs='a,b'", "seed=1", "pairs=", "--help"):
        assert as_list(untouched) == untouched


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "F=2,seed=0", [[comparison(number) for number in range(8)]])
    before = sorted(path.name for path in tmp_path.iterdir())

    def typed(*arguments: str) -> None:
        monkeypatch.setattr("sys.argv", ["src.reward", *arguments])
        main()

    with pytest.raises(SystemExit, match="^error: 2 problems; nothing was started or written"):
        typed("pairs=nowhere", "reward.steps=x")
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="^error: .*cannot be written"):
        typed("out=file/reward")
    (tmp_path / "file").unlink()
    with pytest.raises(SystemExit, match="error: -m: src.reward takes key=value only"):
        typed("-m")
    with pytest.raises(SystemExit, match="Fit a reward model"):
        typed("--help")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    typed(*SMALL, "pairs=F=2,seed=0")
    (written,) = (tmp_path / "outputs" / "reward").glob("*/reward.json")
    assert "calibration error" in capsys.readouterr().out and written.with_name("model.safetensors").is_file()
