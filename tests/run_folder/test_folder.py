"""A run's folder that is opened again: by the same run, by another one, after damage."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.run_folder.folder import RunFolder
from src.run_folder.model_card import model_card
from src.runtime.errors import RunError
from src.storage.rows import read_rows

IDENTITY = {"run_id": "a", "config_hash": "c1", "task": "tldr", "data_fingerprint": "d1"}
IDENTITY |= {"oracle": "reward_model:a-1", "judge": "reward_model:a-1"}
STEP = {"round": 0, "step": 0, "loss": 0.7}
RESULT = {"step": 2, "win_rate": 0.5, "split": "test"}


def folder(path: Path, **changes: str) -> RunFolder:
    return RunFolder(path / "run", IDENTITY | changes)


def opened(path: Path, **changes: str) -> RunFolder:
    run = folder(path, **changes)
    run.open("F: 1\n", force=False)
    return run


def sealed(path: Path) -> RunFolder:
    run = opened(path)
    run.log_metrics(STEP)
    run.log_result(RESULT)
    (run.path / "policy").mkdir()
    run.checkpoint.mkdir()
    run.seal()
    return run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config_hash": "c2"}, "holds a run of another configuration .*; force=true overwrites it"),
        ({"data_fingerprint": "d2"}, r"on other rows \(their fingerprint is d1, .* now is d2\); force=true overwrites"),
        (
            {"oracle": "reward_model:a-2"},
            "begun with oracle=reward_model:a-1, .* now is reward_model:a-2; .* force=true",
        ),
        ({"judge": "reward_model:a-2"}, "begun with judge=reward_model:a-1, .* now is reward_model:a-2"),
    ],
)
def test_the_folder_of_another_run_is_refused_and_left_alone(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    opened(tmp_path)
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    with pytest.raises(RunError, match=message):
        folder(tmp_path, **changes).open("F: 2\n", force=False)
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before
    folder(tmp_path, **changes).open("F: 2\n", force=True)
    assert (tmp_path / "run" / "config.yaml").read_text() == "F: 2\n"
    opened(tmp_path, **changes)


@pytest.mark.parametrize("key", ["reference_fingerprint", "model_commit", "judge_commit"])
def test_a_run_is_refused_when_a_model_has_changed(key: str, tmp_path: Path) -> None:
    """Overwritten in its folder, or another commit of its branch on the hub."""
    before, after = (replace(folder(tmp_path), models={key: model}) for model in ("m1", "m2"))
    before.open("F: 1\n", force=False)
    with pytest.raises(RunError, match=f"begun with {key}=m1, and what is there now is m2"):
        after.open("F: 1\n", force=False)
    before.open("F: 1\n", force=False)
    after.open("F: 1\n", force=True)


def test_a_damaged_identity_is_written_again(tmp_path: Path) -> None:
    opened(tmp_path)
    file = tmp_path / "run" / "identity.json"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"c1", b"c2"))
    opened(tmp_path)
    assert file.read_bytes() == whole


def test_rows_after_a_checkpoint_are_dropped_and_those_before_it_have_to_be_there(tmp_path: Path) -> None:
    run = opened(tmp_path)
    run.log_metrics(STEP)
    state = run.state()
    run.log_metrics(STEP | {"step": 1})
    run.log_samples([{"response": "a"}])
    resumed = folder(tmp_path)
    assert resumed.problems(state) == []
    resumed.go_back_to(state)
    assert read_rows(run.path / "metrics.jsonl") == [STEP] and read_rows(run.path / "samples.jsonl") == []
    assert folder(tmp_path, config_hash="c2").problems(state) == [
        f"the checkpoints in {run.checkpoint} are of a run with another configuration, on other rows or from another "
        "SFT policy"
    ]
    metrics = run.path / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace("0.7", "0.6"))
    assert folder(tmp_path).problems(state) == [
        f"{metrics} is damaged: the rows written before the checkpoint have changed"
    ]
    folder(tmp_path).go_back_to(None)
    assert read_rows(metrics) == []


def test_a_sealed_folder_is_finished_and_gives_its_result(tmp_path: Path) -> None:
    assert opened(tmp_path).finished(2) is None
    run = sealed(tmp_path)
    assert not run.checkpoint.exists()
    row = folder(tmp_path).finished(2)
    assert row == {"schema_version": 2, **IDENTITY, **RESULT}
    with pytest.raises(RunError, match="lacks the final row of a finished run; put back"):
        folder(tmp_path).finished(3)


def test_a_finished_folder_whose_files_have_changed_is_refused(tmp_path: Path) -> None:
    run = sealed(tmp_path)
    (run.path / "metrics.jsonl").write_text("")
    with pytest.raises(RunError, match="this run is finished, and its files are damaged; .*:\n  - .*metrics.jsonl"):
        folder(tmp_path).finished(2)


@pytest.mark.parametrize(
    ("layers", "members", "expected"),
    [
        ({}, 1, ("a transformers model.", "from transformers import AutoModelForCausalLM")),
        (
            {"q": 1},
            1,
            ("a PEFT adapter.", "from peft import AutoPeftModelForCausalLM", "# on the base model some/model"),
        ),
        ({"q": 1}, 3, ("a PEFT adapter, the exact mean of 3 members (beside it in `members/`).",)),
    ],
)
def test_the_model_card_says_what_was_saved_and_how_to_load_it(
    layers: dict[str, int], members: int, expected: tuple[str, ...]
) -> None:
    policy: Any = SimpleNamespace(layers=layers, members=members, base="some/model")
    card = model_card(IDENTITY | {"loss": "ipo", "reference": "sft", "F": "2"}, policy)
    assert card.startswith(f"---\nlibrary_name: {'peft' if layers else 'transformers'}\nbase_model: some/model\n")
    assert "# IPO, reference sft, F=2, on tldr" in card and "| config_hash | c1 |" in card
    assert all(text in card for text in expected)


@pytest.mark.parametrize(
    ("base", "named", "said"),
    [
        ("google/gemma-2b", "base_model: google/gemma-2b\n", "base model is `google/gemma-2b`."),
        ("/cache/models--a--b/snapshots/1f", "base_model: a/b\n", "base model is `a/b`, revision `1f`."),
        ("/home/me/gemma", None, "base model is `gemma`, a folder on the machine of the run; elsewhere give a copy"),
    ],
)
def test_the_model_card_names_the_base_as_others_know_it(base: str, named: str | None, said: str) -> None:
    identity = {"loss": "dpo", "reference": "sft", "F": 1, "task": "tldr"}
    card = model_card(identity, SimpleNamespace(layers={"a": 1}, members=1, base=base))
    assert said in card and "PeftModel.from_pretrained(" in card and "base=BASE" in card
    assert ("base_model:" in card) == (named is not None) and (named or "") in card
    assert base == "google/gemma-2b" or base not in card
    whole = model_card(identity, SimpleNamespace(layers={}, members=1, base=base))
    assert (base in whole) == (base == "google/gemma-2b") and "PEFT" not in whole
