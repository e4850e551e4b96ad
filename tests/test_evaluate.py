"""python -m src.evaluate: policies, files, and what it refuses."""

import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from filelock import FileLock
from omegaconf import OmegaConf

from src.after_training.head_to_head import append_row
from src.cli.read_config import read_config
from src.config import TaskSpec
from src.evaluate import main, read_request
from src.oracles.embedding import EmbeddingOracle
from src.runtime.errors import ConfigError
from src.storage.checksums import write_sums
from src.storage.files import read_rows
from tests.commands import called, command, smoke
from tests.data import hub_sets
from tests.saved_runs import DATA, LORA, ROWS, left_run


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0")


@pytest.fixture(scope="module")
def lora(finished_run: Callable[..., Path]) -> Path:
    return finished_run("lora", *LORA)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """judge=embedding without a model: the longer response is the better one."""
    monkeypatch.setattr(EmbeddingOracle, "problems", lambda self: [])
    monkeypatch.setattr(EmbeddingOracle, "load", lambda self: None)
    monkeypatch.setattr(EmbeddingOracle, "score", lambda self, world, prompts, texts: [float(len(t)) for t in texts])


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["run", "lora"])
@pytest.mark.parametrize("inside", ["", "policy"])
def test_a_run_gets_its_own_result_again(
    name: str, inside: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(name)
    results, samples = tmp_path / "new" / "results.jsonl", tmp_path / "samples.jsonl"
    assert called(main, f"policy={folder / inside}", f"results={results}", f"samples={samples}") is None
    [row], expected = read_rows(results), read_rows(folder / "results.jsonl")[-1]
    low, high = row["win_rate_interval"]
    assert 0 <= low <= row["win_rate"] <= high <= 1 and row["system"] == folder.name and row["against"] == "label"
    changed = {key for key in expected if row[key] != expected[key]}
    assert changed <= {"kl_sft", "git_sha"} and row["kl_sft"] is None
    said = [one for one in read_rows(folder / "samples.jsonl") if one["round"] == expected["round"]]
    assert read_rows(samples) == [{k: v for k, v in one.items() if k not in ("split", "round", "step")} for one in said]


def test_what_is_named_differs_from_the_run(run: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    arguments = ("split=validation", "evaluate.prompts=3", "seed=7", "evaluate.temperature=0", "judge=gold")
    assert called(main, f"policy={run}", f"results={results}", *arguments) is None
    [row], expected = read_rows(results), read_rows(run / "results.jsonl")[-1]
    assert (row["split"], row["n_prompts"], row["seed"], row["temperature"]) == ("validation", 3, 7, 0.0)
    assert row["config_hash"] != expected["config_hash"] and row["run_id"] == expected["run_id"]
    assert row["data_fingerprint"] == expected["data_fingerprint"] == ROWS.fingerprint()


def test_a_row_has_the_fingerprint_of_the_data_that_it_was_made_on(run: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    assert called(main, f"policy={run}", "data.seed=5", "evaluate.prompts=3", f"results={results}") is None
    [row] = read_rows(results)
    assert row["data_fingerprint"] == replace(DATA, seed=5).load("tldr").fingerprint() != ROWS.fingerprint()


def test_groups_over_a_run(run: Path, tmp_path: Path, longest: None) -> None:
    """Other data bring their judge; another task the limits that go with the run's data; the rest is the run's."""
    for name in ("train", "validation"):
        write_lines(tmp_path / f"{name}.jsonl", [{"prompt": name, "label": "b"}])
    config = read_request([f"policy={run}", "data=files", f"data.path={tmp_path}", "judge.length_penalty=0.5"]).config
    assert isinstance(config.judge, EmbeddingOracle) and config.judge.length_penalty == 0.5
    assert (config.task.max_prompt_tokens, config.task.max_new_tokens, config.model.rows) == (128, 12, 16)
    task = read_request([f"policy={run}", "task=helpfulness"])
    assert task.config.task == TaskSpec("helpfulness", 128, 40, None) and task.choices == {"task": "helpfulness"}
    assert task.config.judge.name == "gold" and task.config.evaluate.temperature == 1.0


def test_what_only_training_needed_may_be_gone(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["reference"] = {"_target_": "src.references.gold.Gold", "path": "/gone"}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(settings))
    write_sums(tmp_path / "run")
    assert read_config(settings)[0] is None
    assert read_request([f"policy={tmp_path / 'run'}"]).base == str(tmp_path / "run" / "policy")


def test_an_adapter_of_an_ensemble_and_a_moved_base(lora: Path, tmp_path: Path, cache: Path) -> None:
    member, results = tmp_path / "adapter", tmp_path / "results.jsonl"
    shutil.copytree(lora / "policy" / "members" / "1", member)
    assert called(main, f"policy={member}", *smoke(cache), f"results={results}") is None
    settings = json.loads((member / "adapter_config.json").read_text())
    base, settings["base_model_name_or_path"] = settings["base_model_name_or_path"], "/gone"
    (member / "adapter_config.json").write_text(json.dumps(settings))
    assert "an adapter for /gone, which is not there; base=DIR" in str(called(main, f"policy={member}", *smoke(cache)))
    shutil.copytree(base, tmp_path / "copy")
    assert called(main, f"policy={member}", f"base={tmp_path / 'copy'}", *smoke(cache), f"results={results}") is None
    first, second = read_rows(results)
    assert first["win_rate"] == second["win_rate"] and first["response_tokens_mean"] == second["response_tokens_mean"]
    assert first["loss"] is None and second["model"] == "copy"
    assert first["data_fingerprint"] == ROWS.fingerprint()


def test_the_sft_policy_gets_the_row_that_a_run_gave_it(run: Path, tmp_path: Path, cache: Path) -> None:
    assert called(main, "policy=sft", *smoke(cache), f"results={tmp_path / 'r.jsonl'}") is None
    [row] = read_rows(tmp_path / "r.jsonl")
    [expected] = [one for one in read_rows(run / "results.jsonl") if one["round"] == -1]
    for key in ("wins", "ties", "win_rate", "win_rate_length_controlled", "response_tokens_mean", "split"):
        assert row[key] == expected[key]
    assert set(expected) <= set(row) and row["loss"] is None and row["model"] == "tiny" and row["ensemble"] == 1
    assert row["data_fingerprint"] == expected["data_fingerprint"]


@pytest.mark.parametrize("kind", ["txt", "crlf", "jsonl", "shuffled"])
def test_a_file_of_responses_is_judged_without_a_policy(
    kind: str, run: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("src.after_training.saved_policy", "src.learning.sft_cache", "src.models.policy"):
        monkeypatch.setattr(f"{module}.load_model", lambda *_: pytest.fail("a model was loaded"))
    labels = [row.label for row in ROWS.test or []]
    # Better than the label (no word for the cost), as good, worse.
    said = ["", labels[1], labels[2] + " and more", *labels[4:], labels[0]]
    path = tmp_path / ("out.txt" if kind in ("txt", "crlf") else "out.jsonl")
    if path.suffix == ".txt":
        path.write_bytes(("\r\n" if kind == "crlf" else "\n").join([*said, ""]).encode())
    else:
        rows = [{"response": text, "prompt": row.prompt} for text, row in zip(said, ROWS.test or [], strict=True)]
        plain = [{"response": row["response"]} for row in rows]
        write_lines(path, plain if kind == "jsonl" else rows[::-1])
    results, samples = tmp_path / "results.jsonl", tmp_path / "samples.jsonl"
    assert called(main, f"responses={path}", *smoke(cache), f"results={results}", f"samples={samples}") is None
    [row] = read_rows(results)
    world = ROWS.world
    assert world is not None
    outcomes = []
    for text, one in zip(said, ROWS.test or [], strict=True):
        difference = world.gold_score(one.facts or {}, text) - world.gold_score(one.facts or {}, one.label)
        outcomes.append(0.5 if difference == 0 else float(difference > 0))
    assert row["win_rate"] == np.mean(outcomes) and row["ties"] == outcomes.count(0.5) >= 1
    assert [one["outcome"] for one in read_rows(samples)] == outcomes
    assert row["length_unit"] == "words" and row["response_tokens_mean"] is None
    assert row["response_words_mean"] == np.mean([len(text.split()) for text in said])
    expected = read_rows(run / "results.jsonl")[-1]
    assert set(expected) <= set(row) and row["split"] == "test" and row["judge"] == "gold" and row["loss"] is None
    assert row["data_fingerprint"] == ROWS.fingerprint()
    # What it wrote can be judged itself.
    assert called(main, f"responses={samples}", *smoke(cache), f"results={results}") is None
    assert read_rows(results)[1]["win_rate"] == row["win_rate"]


def test_with_a_model_lengths_are_in_its_tokens(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("".join(row.label + "\n" for row in ROWS.test or []))
    data = ("data.train=64", "data.validation=8", "data.test=12")
    shutil.copytree(run / "policy", tmp_path / "model")
    model = ("model=smollm2_135m", f"model.path={tmp_path / 'model'}")
    assert called(main, f"responses={path}", *data, *model, f"results={tmp_path / 'r.jsonl'}") is None
    [row] = read_rows(tmp_path / "r.jsonl")
    expected = read_rows(run / "results.jsonl")[-1]
    assert row["length_unit"] == "tokens" and row["win_rate"] == 0.5 and row["ties"] == 12
    assert row["response_tokens_mean"] == row["label_tokens_mean"] == expected["label_tokens_mean"]


def test_against_is_symmetric(tmp_path: Path, cache: Path) -> None:
    labels = [row.label for row in ROWS.test or []]
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("".join(text + "\n" for text in labels[::-1]))
    other.write_text("".join(text + "\n" for text in [*labels[6:], *labels[:6]]))
    results = tmp_path / "r.jsonl"
    for first, second in ((one, other), (other, one), (one, one)):
        assert called(main, f"responses={first}", f"against={second}", *smoke(cache), f"results={results}") is None
    forth, back, same = read_rows(results)
    assert forth["wins"] == back["losses"] > 0 and forth["ties"] == back["ties"]
    assert forth["win_rate"] == pytest.approx(1 - back["win_rate"])
    assert forth["win_rate_length_controlled"] == pytest.approx(1 - back["win_rate_length_controlled"], abs=1e-4)
    assert same["win_rate"] == 0.5 == same["ties"] / 24 and same["win_rate_interval"] == [0.5, 0.5]
    assert forth["label_words_mean"] == back["response_words_mean"] and forth["against"] == "other.txt"


def test_a_policy_against_a_file_says_both_texts(run: Path, tmp_path: Path) -> None:
    other, samples = tmp_path / "other.txt", tmp_path / "s.jsonl"
    other.write_text("".join(f"other {i}\n" for i in range(12)))
    assert called(main, f"policy={run}", f"against={other}", f"samples={samples}") is None
    rows = read_rows(samples)
    assert [one["against"] for one in rows] == [f"other {i}" for i in range(12)]
    for one in rows:
        difference = one["response_score"] - one["against_score"]
        assert one["label_score"] is None and one["outcome"] == (0.5 if not difference else float(difference > 0))


def test_lines_are_those_of_the_file_whatever_the_data_leave_out(tmp_path: Path, longest: None, capsys) -> None:
    """Repeated prompts, and prompts that another split holds, are left out after the lines were counted."""
    held = {"prompt": "shared", "label": "xx"}
    test = [{"prompt": p, "label": "xx"} for p in ("a", "b", "a", "shared", "c")]
    write_lines(tmp_path / "train.jsonl", [{"prompt": "t", "label": "l"}])
    write_lines(tmp_path / "validation.jsonl", [held, {"prompt": "v", "label": "xx"}, {"prompt": "v", "label": "y"}])
    write_lines(tmp_path / "test.jsonl", test)
    (tmp_path / "out.txt").write_text("long\n\nlong too\nxx\nx\n")
    data = ("data=files", f"data.path={tmp_path}", "task=tldr", "judge=embedding")
    results, samples = tmp_path / "r.jsonl", tmp_path / "s.jsonl"
    out = f"responses={tmp_path / 'out.txt'}"
    assert called(main, out, *data, "split=test", f"results={results}", f"samples={samples}") is None
    [row] = read_rows(results)
    assert (row["n_prompts"], row["wins"], row["ties"], row["losses"]) == (4, 1, 1, 2)
    assert [one["response"] for one in read_rows(samples)] == ["long", "", "xx", "x"]
    printed = " ".join(capsys.readouterr().out.split())
    assert "test: 5 rows, 4 judged; left out: 1 whose prompt came before" in printed
    assert "1 responses to a prompt that has one already are left out" in printed
    assert called(main, out, *data, "evaluate.prompts=2", f"results={results}") is None
    assert read_rows(results)[1]["n_prompts"] == 2
    # validation: the shared prompt is test's, the second v is a repetition
    (tmp_path / "out.txt").write_text("q\nw\ne\n")
    assert called(main, out, *data, "split=validation", f"results={results}", f"samples={samples}") is None
    assert [one["response"] for one in read_rows(samples)] == ["w"]
    assert "1 whose prompt is in another split too" in " ".join(capsys.readouterr().out.split())
    assert "got 3 responses, and test has 5 rows; expected" in str(called(main, out, *data, "split=test"))


def hub_data(folder: Path) -> tuple[str, ...]:
    return "task=tldr", "data=hub", f"data.path={folder}", "judge=embedding"


def test_rows_cut_by_the_size_of_a_split_are_not_those_of_another_one(
    tmp_path: Path, longest: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, numbers in (("train", range(30)), ("validation", range(100, 120)), ("test", range(110, 150))):
        hub_sets.write(tmp_path / "data" / f"{name}.jsonl", hub_sets.tldr(numbers))
    data = (*hub_data(tmp_path / "data"), "data.validation=4", "data.test=3")
    out = tmp_path / "out.txt"
    for split, rows, said in (
        ("validation", 20, "4 judged; left out: 10 whose prompt is in another split too, 6 cut by data.validation=4"),
        ("test", 40, "3 judged; left out: 37 cut by data.test=3"),
    ):
        out.write_text("x\n" * rows)
        assert called(main, f"responses={out}", *data, f"split={split}") is None
        assert f"{split}: {rows} rows, {said}" in " ".join(capsys.readouterr().out.split())


def test_a_line_for_a_row_that_the_data_drop_is_explained(tmp_path: Path, longest: None) -> None:
    for first, name in enumerate(("train", "validation", "test")):
        rows = hub_sets.tldr(range(10 * first, 10 * first + 5))
        hub_sets.write(tmp_path / "data" / f"{name}.jsonl", [*rows, {"prompt": f"empty {name}", "completion": ""}])
    data = (*hub_data(tmp_path / "data"), "data.rows_without_text=drop", "data.validation=5")
    (tmp_path / "out.txt").write_text("x\n" * 6)
    said = str(called(main, f"responses={tmp_path / 'out.txt'}", *data))
    assert "got 6 responses, and test has 5 rows (the source's rows without text are left out: data.row" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["expected policy=PATH or responses=FILE, got neither"]),
        ("policy={run} responses={txt}", ["got both"]),
        ("policy={run} policy={run}", ["policy is given twice"]),
        ("policy=", ["a value is missing"]),
        ("policy=/nowhere", ["policy=/nowhere: no such folder"]),
        ("policy={data}", ["no policy there; expected a run's folder"]),
        ("policy={unfinished}", ["that run is not finished"]),
        ("polcy={run}", ["did you mean policy?"]),
        ("policy={run} ++sed=1 loss=ipo", ["++sed=1: no such key; did you mean seed", "loss=ipo: a key of src.train"]),
        ("policy={run} F=4 judge=golden", ["F=4: a key of src.train that means nothing", "did you mean gold?"]),
        ("policy={run} seed=0,1", ["seed=0,1: one value only"]),
        ("policy={run} hydra.run.dir=x", ["this command is not run by Hydra"]),
        ("policy={run} seed=-1 device=tpu", ["configuration of {run}: seed=-1", "device=tpu: expected"]),
        ("policy={run} cache=a=b", ["in a value quoted: \"cache='a=b'\""]),
        ("policy={run} -m", ["-m: this command takes key=value only"]),
        ("policy={run} split=tst", ["split=tst: no such split; did you mean test?"]),
        ("policy={run} split=train", ["split=train: no such split"]),
        ("policy={run} judge.temperature=1", ["a judge compares exactly"]),
        ("responses={txt} data.train=9 data.test=7", ["got 2 responses, and test has 7 rows; expected as many"]),
        ("responses={txt} against=/nowhere.txt", ["against=/nowhere.txt: no such file"]),
        ("responses={torn} data.tset=3", ["line 1: Unterminated string", "did you mean data.test"]),
        ("responses={txt} task=harmlessness", ["the embedded data has tldr, helpfulness"]),
        ("responses={txt} results={data}", ["that is a folder"]),
        ("responses={txt} results={run}/results.jsonl", ["is a run's folder and holds its own results"]),
        ("responses={txt} samples={txt}", ["that file is read or written already"]),
        ("responses={txt} samples=/a.jsonl results=/a.jsonl", ["that file is read or written already"]),
        ("responses={txt} results={torn}", ["its last row is torn"]),
        (
            "responses={txt} results={txt}/r.jsonl samples={torn}/new/s.jsonl",
            ["results={txt}/r.jsonl: {txt} is a file", "samples={torn}/new/s.jsonl: {torn} is a file"],
        ),
    ],
)
def test_every_problem_is_named_and_nothing_is_written(
    arguments: str, expected: list[str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("src.after_training.saved_policy.load_model", lambda *_: pytest.fail("a model was loaded"))
    (tmp_path / "out.txt").write_text("x\ny\n")
    (tmp_path / "torn.jsonl").write_text('{"response": "x')
    (tmp_path / "unfinished").mkdir()
    shutil.copy(run / "identity.json", tmp_path / "unfinished")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    names = {
        "run": run, "txt": tmp_path / "out.txt", "torn": tmp_path / "torn.jsonl", "data": tmp_path,
        "unfinished": tmp_path / "unfinished",
    }  # fmt: skip
    said = str(called(main, *arguments.format(**names).split()))
    assert said.startswith("error: ") and "nothing was started or written" in said
    for text in expected:
        assert text.format(**names) in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def append_many(path: Path, mark: str) -> None:
    for number in range(20):
        append_row(path, {"mark": mark, "number": number, "text": mark * 100_000})


def test_rows_of_two_processes_are_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=append_many, args=(tmp_path / "r.jsonl", mark)) for mark in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    rows = read_rows(tmp_path / "r.jsonl")
    assert [sum(row["mark"] == mark for row in rows) for mark in "ab"] == [20, 20]
    assert all(row["text"] == row["mark"] * 100_000 for row in rows)


def test_a_row_waits_for_another_process(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("fork").Process(target=append_row, args=(tmp_path / "r.jsonl", {"n": 1}))
    with FileLock(tmp_path / ".r.jsonl.lock"):
        worker.start()
        worker.join(0.5)
        assert worker.is_alive() and not (tmp_path / "r.jsonl").exists()
    worker.join(120)
    assert read_rows(tmp_path / "r.jsonl") == [{"n": 1}]


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(main, "--help") is None
    assert "responses=FILE" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_in_a_folder_of_its_own(run: Path, tmp_path: Path) -> None:
    done = command(tmp_path, f"policy={run}", "results=r.jsonl", module="src.evaluate")
    assert done.returncode == 0, done.stderr
    assert "12 prompts of test, judged by gold" in done.stdout and "95 % interval" in done.stdout
    assert read_rows(tmp_path / "r.jsonl")[0]["win_rate"] == read_rows(run / "results.jsonl")[-1]["win_rate"]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What judge=llm asks for before it asks anybody."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.mark.parametrize(
    ("made", "typed", "expected"),
    [
        ("task=helpfulness", "judge=llm", {"task.name": "helpfulness", "judge.task": "helpfulness"}),
        ("judge=llm", "task=helpfulness", {"task.name": "helpfulness", "judge.task": "helpfulness"}),
        ("judge=llm", "judge.task=helpfulness", {"task.name": "tldr", "judge.task": "helpfulness"}),
        (
            "task=helpfulness",
            "data=hub judge=llm",
            {"data.path": "Anthropic/hh-rlhf", "evaluate.prompts": 500, "evaluate.temperature": 1.0},
        ),
        ("task=helpfulness", "data=hub judge=llm data.path=a/b", {"data.path": "a/b", "data.layout": "dialogue"}),
        (
            "data=hub task=helpfulness judge=llm",
            "task=tldr",
            {
                "data.path": "trl-lib/tldr",
                "evaluate.prompts": 1000,
                "task.max_prompt_tokens": 512,
                "judge.task": "tldr",
            },
        ),
        ("data=hub source=paper_tldr judge=llm", "task=tldr", {"data.path": "CarperAI/openai_summarize_tldr"}),
        ("data=hub judge=llm", "source=paper_tldr", {"data.path": "CarperAI/openai_summarize_tldr"}),
        (
            "data=hub judge=llm evaluate.every=7",
            "source=paper_helpfulness task=helpfulness evaluate.temperature=0.5",
            {"data.layout": "columns", "evaluate.prompts": 500, "evaluate.every": 7, "evaluate.temperature": 0.5},
        ),
        (
            "task=helpfulness",
            "data=hub source=paper_helpfulness judge=llm",
            {"data.path": "HuggingFaceH4/helpful-anthropic-raw", "judge.task": "helpfulness"},
        ),
        ("data=hub judge=llm", "source=hub_tldr evaluate.prompts=7", {"evaluate.prompts": 7}),
    ],
)
def test_a_group_over_a_run_is_that_of_its_task(
    made: str, typed: str, expected: dict[str, object], tmp_path: Path, key: None
) -> None:
    request = read_request([f"policy={left_run(tmp_path / 'run', *made.split())}", *typed.split()])
    assert {path: OmegaConf.select(OmegaConf.create(request.plain), path) for path in expected} == expected


@pytest.mark.parametrize(
    ("made", "typed", "expected"),
    [
        ("judge=reward_model", "device=cpu", {"judge.device": "cpu", "oracle.temperature": 0.25}),
        ("", "judge=reward_model device=cpu", {"judge.device": "cpu"}),
        # A run on a device that is not here.
        ("device=cuda:99 judge=reward_model", "device=cpu", {"device": "cpu", "judge.device": "cpu"}),
        ("judge=reward_model judge.device=cpu", "device=auto", {"device": "auto", "judge.device": "cpu"}),
        ("", "judge=llm cache=there", {"judge.cache": "there/llm"}),
        ("judge=llm cache=here", "cache=there", {"judge.cache": "there/llm"}),
        ("judge=llm judge.cache=paid", "cache=there", {"judge.cache": "paid"}),
    ],
)
def test_typed_values_reach_what_is_made_from_them(
    made: str, typed: str, expected: dict[str, object], tmp_path: Path, key: None
) -> None:
    request = read_request([f"policy={left_run(tmp_path / 'run', *made.split())}", *typed.split()])
    assert {path: OmegaConf.select(OmegaConf.create(request.plain), path) for path in expected} == expected


@pytest.mark.parametrize(
    "made", ["", "judge=llm", "judge=reward_model device=cpu", "data=hub judge=llm", "model=tiny_lora"]
)
def test_nothing_typed_is_the_run_as_it_was(made: str, tmp_path: Path, key: None) -> None:
    run = left_run(tmp_path / "run", *made.split())
    assert read_request([f"policy={run}"]).plain == yaml.safe_load((run / "config.yaml").read_text())


def test_a_judge_of_an_earlier_version_gets_the_keys_that_are_new(tmp_path: Path, key: None) -> None:
    run = left_run(tmp_path / "run", "judge=llm")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    retries = settings["judge"].pop("retries")
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    assert read_request([f"policy={run}"]).plain["judge"]["retries"] == retries


def test_a_source_is_for_data_of_the_hub(tmp_path: Path) -> None:
    [line] = said_of(f"policy={left_run(tmp_path / 'run')}", "source=hub_tldr")
    assert line.endswith("source=hub_tldr: only data=hub has a source; add data=hub, or leave source out")


def test_the_hub_has_no_set_for_a_task_of_ones_own(tmp_path: Path, key: None) -> None:
    run = left_run(tmp_path / "run", "task.name=mine")
    [line] = said_of(f"policy={run}", "data=hub", "judge=llm", "judge.task=tldr")
    assert "data=hub: it has no set for task=mine; add source=NAME, one of hub_harmlessness" in line
    request = read_request([f"policy={run}", "data=hub", "source=hub_tldr", "judge=llm", "judge.task=tldr"])
    assert request.plain["data"]["path"] == "trl-lib/tldr" and request.config.task.name == "mine"


def test_what_a_run_chose_from_a_folder_of_its_own_is_in_its_configuration(tmp_path: Path) -> None:
    run = left_run(tmp_path / "run", "data.train=77")
    (run / "identity.json").write_text('{"data": "mine"}\n')
    assert read_request([f"policy={run}"]).plain == yaml.safe_load((run / "config.yaml").read_text())
    assert read_request([f"policy={run}", "task=helpfulness"]).plain["data"]["train"] == 77


def test_a_base_for_what_has_none_is_refused(tmp_path: Path) -> None:
    run, model = left_run(tmp_path / "run"), left_run(tmp_path / "model") / "policy"
    for policy in (run, model.rename(tmp_path / "alone"), "sft"):
        [line] = said_of(f"policy={policy}", f"base={run / 'policy'}")
        assert line.startswith(f"base={run / 'policy'}: got no adapter") and line.endswith("leave it out")


@pytest.mark.parametrize("typed", ["base={new}", "model.path={new}"])
def test_the_base_of_a_run_has_moved(typed: str, tmp_path: Path) -> None:
    old = left_run(tmp_path / "old") / "policy"
    run = left_run(tmp_path / "run", "model=smollm2_135m", f"model.path={old}", base=str(old))
    new = old.rename(tmp_path / "new")
    request = read_request([f"policy={run}", typed.format(new=new)])
    assert request.base == request.config.model.path == str(new)


def said_of(*arguments: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_request(arguments)
    return error.value.problems
