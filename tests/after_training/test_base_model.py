"""The base model of an adapter or a run: where it is, where else it may be, and when none is asked for."""

from pathlib import Path

import pytest

from src.after_training.evaluate_request import read_evaluate_request
from src.after_training.sample_request import read_sample_request
from src.models.pretrained import load_tokenizer
from src.runtime.errors import RunError
from tests.after_training.problems import evaluate_problems, sample_problems
from tests.after_training.saved_runs import saved_run

pytestmark = pytest.mark.slow


def model_in(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def bases(*arguments: object) -> dict[str, str]:
    """Which base model is read for every policy."""
    policies = read_sample_request([str(one) for one in arguments]).policies
    return {name: policy[1] for name, policy in policies.items() if policy}


@pytest.mark.parametrize("kind", ["adapter", "all weights"])
def test_the_base_of_a_run_has_moved(tmp_path: Path, kind: str) -> None:
    old = model_in(tmp_path / "old")
    lines = ("model=smollm2_135m", f"model.path={old}", *(["model.lora=null"] if kind == "all weights" else []))
    run = saved_run(tmp_path / "run", *lines, base=str(old) if kind == "adapter" else None)
    new = old.rename(tmp_path / "new")
    [line] = sample_problems(f"policy={run}")
    assert f"model.path={old}: no model there" in line
    assert f"base={old}: no model there; expected a folder" in sample_problems(f"policy={run}", f"base={old}")[0]
    expected = str(new) if kind == "adapter" else str(run / "policy")
    for typed in (f"base={new}", f"model.path={new}"):
        assert bases(f"policy={run}", typed) == {"run": expected}
    # The SFT policy is made from it.
    assert read_sample_request([f"policy={run},sft", f"base={new}"]).config.model.path == str(new)


def test_a_copy_of_what_the_hub_has(tmp_path: Path) -> None:
    copy, other = model_in(tmp_path / "copy"), model_in(tmp_path / "other")
    run = saved_run(tmp_path / "run", "model=gemma_2b", base="google/gemma-2b")
    assert bases(f"policy={run}") == {"run": "google/gemma-2b"}
    for typed in (f"base={copy}", f"model.path={copy}"):
        assert bases(f"policy={run}", typed) == {"run": str(copy)}
    # A folder of another run's configuration is no copy of it.
    local = saved_run(tmp_path / "local", "model=smollm2_135m", f"model.path={other}", base=str(other))
    assert bases(f"policy={local},{run}") == {"local": str(other), "run": "google/gemma-2b"}
    # A model that is whole needs no base, whichever another policy has.
    whole = saved_run(tmp_path / "whole")
    assert bases(f"policy={run},{whole}", f"base={copy}") == {"run": str(copy), "whole": str(whole / "policy")}
    # A folder that is still there is what the adapter was made on.
    assert bases(f"policy={local}", f"model.path={copy}") == {"local": str(other)}


def test_a_model_that_cannot_be_had_says_which_key_names_a_copy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="model.path=DIR, or base=DIR for a saved adapter"):
        load_tokenizer(str(tmp_path))


def test_a_base_for_what_has_none_is_refused(tmp_path: Path) -> None:
    run, model = saved_run(tmp_path / "run"), saved_run(tmp_path / "model") / "policy"
    for policy in (run, model.rename(tmp_path / "alone"), "sft"):
        [line] = evaluate_problems(f"policy={policy}", f"base={run / 'policy'}")
        assert line.startswith(f"base={run / 'policy'}: got no adapter") and line.endswith("leave it out")


@pytest.mark.parametrize("typed", ["base={new}", "model.path={new}"])
def test_the_base_of_an_evaluated_run_has_moved(typed: str, tmp_path: Path) -> None:
    old = saved_run(tmp_path / "old") / "policy"
    run = saved_run(tmp_path / "run", "model=smollm2_135m", f"model.path={old}", base=str(old))
    new = old.rename(tmp_path / "new")
    request = read_evaluate_request([f"policy={run}", typed.format(new=new)])
    assert request.base == request.config.model.path == str(new)
