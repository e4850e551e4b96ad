"""python -m src.sample: who says what, and how it is shown."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from src.after_training.side_by_side import Saying, side_by_side, visible
from src.models.pretrained import load_tokenizer
from src.runtime.errors import ConfigError, RunError
from src.runtime.report import Report
from src.sample import ask, listed, main, read_question
from src.storage.files import read_rows
from tests.commands import called, command
from tests.saved_runs import LORA, ROWS, left_run


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0", "evaluate.temperature=0")


@pytest.fixture(scope="module")
def lora(finished_run: Callable[..., Path]) -> Path:
    return finished_run("lora", *LORA)


@pytest.fixture(scope="module")
def other_words(finished_run: Callable[..., Path]) -> Path:
    return finished_run("words", "model.scratch.vocab_size=400")


def evaluated(run: Path, round: int) -> dict[str, str]:
    return {one["prompt"]: one["response"] for one in read_rows(run / "samples.jsonl") if one["round"] == round}


@pytest.mark.parametrize("name", ["run", "lora"])
def test_greedy_says_what_the_final_evaluation_said(name: str, cache: Path, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    sayings = ask(read_question([f"policy={folder},sft", "split=test", "n=12"]), Report())
    said = {policy: {one.prompt: one.responses[policy][0] for one in sayings} for policy in (folder.name, "sft")}
    assert said[folder.name] == evaluated(folder, 1) and said["sft"] == evaluated(folder, -1)
    assert said[folder.name] != said["sft"]
    assert [one.label for one in sayings] == [row.label for row in ROWS.test or []]


def test_several_policies_and_the_json_of_it(run: Path, lora: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(run / "policy", tmp_path / "model")
    file = tmp_path / "said" / "all.json"
    policies = f"policy={run},{tmp_path / 'model'}"
    assert called(main, policies, "split=train", "n=3", "k=2", "temperature=0.7", f"json={file}") is None
    printed = capsys.readouterr().out
    assert "F=2,seed=0" in printed and "label" in printed and "3 prompts of train, temperature 0.7" in printed
    whole = json.loads(file.read_text())
    assert len(whole["sayings"]) == 3 and whole["temperature"] == 0.7
    for one in whole["sayings"]:
        assert list(one["responses"]) == ["F=2,seed=0", "model"]
        # The same weights and the same luck.
        assert one["responses"]["F=2,seed=0"] == one["responses"]["model"]
        assert len(set(one["responses"]["model"])) == 2
        assert one["prompt"] in [row.prompt for row in ROWS.train]
    seeded = [one.prompt for one in ask(read_question([policies, "split=train", "n=3"]), Report())]
    assert seeded == [one["prompt"] for one in whole["sayings"]]
    assert seeded != [one.prompt for one in ask(read_question([policies, "split=train", "n=3", "seed=5"]), Report())]


def test_a_prompt_as_typed(run: Path) -> None:
    text = "  What, {exactly}, is ${this} 'a=b'? [bold]  "
    question = read_question([f"policy={run}", f"prompt={text}", "k=3", "temperature=1"])
    [saying] = ask(question, Report())
    assert saying.prompt == text.strip() and saying.label is None and len(saying.responses["F=2,seed=0"]) == 3


def test_policies_of_different_bases_are_refused(run: Path, lora: Path, other_words: Path, cache: Path) -> None:
    with pytest.raises(RunError, match="has another tokenizer than .* so it is of another base model"):
        ask(read_question([f"policy={run},{other_words}"]), Report())
    said = str(called(main, f"policy={run},sft,{lora}"))
    assert said.startswith("error: ") and "is an adapter for" in said and "of different bases" in said


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["a", "b"], "a,b", ["a", "b"]),
        (["F=1,seed=0", "F=1"], "F=1,seed=0", ["F=1,seed=0"]),
        (["F=1,seed=0", "b"], "sft,F=1,seed=0,b", ["sft", "F=1,seed=0", "b"]),
        (["a,b,c"], "a,b,c,a,b,c", ["a,b,c", "a,b,c"]),
        ([], "nowhere,sft", ["nowhere", "sft"]),
    ],
)
def test_commas_in_names(
    names: list[str], text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        (tmp_path / name).mkdir()
    assert listed(text) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["expected policy=PATH"]),
        ("policy={run},{run}", ["given twice"]),
        ("policy={run},/nowhere n=0", ["policy=/nowhere: no such folder", "n=0: expected a whole number"]),
        ("policy={run} k=1.5 temperature=-1", ["k=1.5: expected", "temperature=-1: expected a number of at least 0"]),
        ("policy={run} temperature=nan n=²", ["temperature=nan", "n=²"]),
        ("policy={run} prompt=x split=test n=3", ["there is a prompt already", "n=3: there is one prompt"]),
        ("policy={run} split=valid", ["did you mean validation?"]),
        ("policy={run} judge=gold promt=x", ["judge=gold: a key of src.train that means", "did you mean prompt"]),
        ("policy={run} json={run}", ["that is a folder"]),
        ("policy={run} experiment=smoke", ["experiment=smoke: a key of src.train that means nothing here"]),
        ("policy={run} base=/nowhere", ["base=/nowhere: no model there; expected a folder with config.json"]),
        ("policy={run} base={run}/policy", ["got no adapter and no run with a model.path", "leave it out"]),
        ("policy=sft base={run}/policy", ["got no adapter and no run with a model.path"]),
        (
            "policy={run} evaluate.prompts=3 evaluate.every=0 evaluate.temprature=1",
            [
                "evaluate.prompts=3: a key of src.train that means nothing here",
                "evaluate.every=0: a key of src.train that means nothing here",
                "evaluate.temprature=1: no such key; did you mean evaluate.temperature",
            ],
        ),
    ],
)
def test_every_problem_is_named(
    arguments: str, expected: list[str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.after_training.saved_policy.load_model", lambda *_: pytest.fail("a model was loaded"))
    said = str(called(main, *arguments.format(run=run).split()))
    assert said.startswith("error: ")
    for text in expected:
        assert text in said


def test_a_prompt_that_is_too_long_and_a_split_that_is_not_there(run: Path) -> None:
    assert "no prompt has at most task.max_prompt_tokens" in str(
        called(main, f"policy={run}", "prompt=" + "many " * 500)
    )


def model_in(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def bases(*arguments: object) -> dict[str, str]:
    """Which base model is read for every policy."""
    policies = read_question([str(one) for one in arguments]).policies
    return {name: policy[1] for name, policy in policies.items() if policy}


def said_of(*arguments: object) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_question([str(one) for one in arguments])
    return error.value.problems


@pytest.mark.parametrize("kind", ["adapter", "all weights"])
def test_the_base_of_a_run_has_moved(tmp_path: Path, kind: str) -> None:
    old = model_in(tmp_path / "old")
    lines = ("model=smollm2_135m", f"model.path={old}", *(["model.lora=null"] if kind == "all weights" else []))
    run = left_run(tmp_path / "run", *lines, base=str(old) if kind == "adapter" else None)
    new = old.rename(tmp_path / "new")
    [line] = said_of(f"policy={run}")
    assert f"model.path={old}: no model there" in line
    assert f"base={old}: no model there; expected a folder" in said_of(f"policy={run}", f"base={old}")[0]
    expected = str(new) if kind == "adapter" else str(run / "policy")
    for typed in (f"base={new}", f"model.path={new}"):
        assert bases(f"policy={run}", typed) == {"run": expected}
    # The SFT policy is made from it.
    assert read_question([f"policy={run},sft", f"base={new}"]).config.model.path == str(new)


def test_a_copy_of_what_the_hub_has(tmp_path: Path) -> None:
    copy, other = model_in(tmp_path / "copy"), model_in(tmp_path / "other")
    run = left_run(tmp_path / "run", "model=gemma_2b", base="google/gemma-2b")
    assert bases(f"policy={run}") == {"run": "google/gemma-2b"}
    for typed in (f"base={copy}", f"model.path={copy}"):
        assert bases(f"policy={run}", typed) == {"run": str(copy)}
    # A folder of another run's configuration is no copy of it.
    local = left_run(tmp_path / "local", "model=smollm2_135m", f"model.path={other}", base=str(other))
    assert bases(f"policy={local},{run}") == {"local": str(other), "run": "google/gemma-2b"}
    # A model that is whole needs no base, whichever another policy has.
    whole = left_run(tmp_path / "whole")
    assert bases(f"policy={run},{whole}", f"base={copy}") == {"run": str(copy), "whole": str(whole / "policy")}
    # A folder that is still there is what the adapter was made on.
    assert bases(f"policy={local}", f"model.path={copy}") == {"local": str(other)}


def test_a_model_that_cannot_be_had_says_which_key_names_a_copy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="model.path=DIR, or base=DIR for a saved adapter"):
        load_tokenizer(str(tmp_path))


def test_a_given_prompt_is_answered_without_data(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"prompt": "{name}", "label": "b"}}\n')
    run = left_run(tmp_path / "run", "data=files", f"data.path={tmp_path}")
    (tmp_path / "train.jsonl").unlink()
    assert read_question([f"policy={run}", "prompt=hi"]).config.task.max_prompt_tokens == 512
    for needed in (["prompt=hi", f"policy={run},sft"], [f"policy={run}"]):
        assert any("train.jsonl: no such file" in line for line in said_of(*needed))


def drawn(sayings: list[Saying], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(side_by_side(sayings, "t [red]itle", width))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [30, 60, 200])
def test_what_would_steer_the_terminal_is_shown(width: int) -> None:
    bad = "[bold red]x[/] \x1b[2J\x07\x9b31m\u202ey\u2028z\r\t😀\ud83d [link=http://x]"
    text = drawn([Saying(bad, bad, {"[blink]A": [bad], "B": [bad, ""]})], width)
    for char in "\x07\x9b\u202e\u2028\r\t":
        assert char not in text
    assert "\x1b[2J" not in text and "[2J" in text.replace("\n", "")
    plain = visible(bad).plain
    assert plain.startswith("[bold red]x[/] \\x1b[2J\\x07\\x9b31m\\u202ey\\u2028z\\r\\t😀\\ud83d")
    assert all(len(line) <= 2000 for line in text.split("\n"))


@pytest.mark.parametrize("width", [25, 40, 80, 160])
def test_nothing_is_lost_at_any_width(width: int) -> None:
    words = [f"w{i}" for i in range(60)]
    sayings = [Saying("p " * 1000 + "THE-END", "L" * 90, {name: [" ".join(words)] for name in ("one", "two", "three")})]
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(side_by_side(sayings, "title", width))
    lines = console.file.getvalue().split("\n")  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert all(text.count(word) >= 3 for word in ("w7", "w59")) and text.count("L") >= 90
    assert "THE" in text and "p p" in text and "..." in text


@pytest.mark.slow
def test_the_command_in_a_folder_of_its_own(run: Path, tmp_path: Path) -> None:
    done = command(tmp_path, f"policy={run}", "n=2", "json=said.json", module="src.sample")
    assert done.returncode == 0, done.stderr
    assert "2 prompts of validation, greedy" in done.stdout
    assert len(json.loads((tmp_path / "said.json").read_text())["sayings"]) == 2
