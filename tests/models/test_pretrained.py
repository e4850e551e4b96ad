"""What cannot be loaded is said in one line, whatever kind of exception it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from src.after_training.base_model import base_problems
from src.cli.compose import compose_jobs
from src.cli.read_config import read_config
from src.models.pretrained import load_model, load_tokenizer
from src.models.pretrained_reward import new_reward_model
from src.runtime.errors import RunError
from tests.families import save_family

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_come_in_the_type_asked_for(tmp_path: Path, dtype: torch.dtype) -> None:
    model = load_model(save_family("gpt2", tmp_path), dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert load_tokenizer(str(tmp_path)).eos_token == "<|endoftext|>"


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def foreign(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "foreign", "auto_map": {"AutoModelForCausalLM": "code.Model", "AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('foreign code was run')")


@pytest.mark.parametrize(
    "damage",
    [
        write("model.safetensors", "no tensors"),
        write("config.json", "{"),
        write("config.json", '{"model_type": "unheard_of"}'),
        lambda folder: (folder / "model.safetensors").unlink(),
        foreign,
    ],
    ids=["weights", "json", "type", "missing", "foreign code"],
)
def test_a_damaged_model_is_one_line(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    save_family("gpt2", tmp_path)
    damage(tmp_path)
    with pytest.raises(RunError, match=f"the model {tmp_path} cannot be loaded .+; .*model.path=DIR") as caught:
        load_model(str(tmp_path), torch.float32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", '{"model": {"type": "unheard of"}}'])
def test_a_damaged_tokenizer_is_one_line(tmp_path: Path, text: str) -> None:
    save_family("gpt2", tmp_path)
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(RunError, match="cannot be loaded") as caught:
        load_tokenizer(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_gated_model_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("You are trying to access a gated repo.\nMake sure to have access to it.\n401 Client Error")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    with pytest.raises(RunError, match=r"google/gemma-2b is gated: accept its licence .*HF_TOKEN.*model.path=DIR"):
        load_model("google/gemma-2b", torch.bfloat16)


def test_a_tokenizer_without_an_end_is_refused(tmp_path: Path) -> None:
    save_family("gpt2", tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings["eos_token"] = None
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(RunError, match="no end-of-sequence token"):
        load_tokenizer(str(tmp_path))


def adapter_folder(folder: Path, base: str) -> Path:
    """An adapter as PEFT writes it."""
    config = LoraConfig(r=2, target_modules=["c_attn"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("whole", [False, True], ids=["adapter alone", "beside a model"])
def test_an_adapter_in_place_of_a_model_is_refused_wherever_a_model_is_loaded(tmp_path: Path, whole: bool) -> None:
    """transformers would load its base, or put the adapter into the model, without a word."""
    base = save_family("gpt2", tmp_path / "base")
    folder = adapter_folder(tmp_path / "base" if whole else tmp_path / "adapter", base)
    named = rf"{folder} holds a PEFT adapter .*merge"
    with pytest.raises(RunError, match=named):
        load_model(str(folder), torch.float32)
    with pytest.raises(RunError, match=named):
        new_reward_model(str(folder), CPU, 0)
    with pytest.raises(ValueError, match=named):
        replace(read_config(compose_jobs(["model=smollm2_135m"])[0][0].plain)[0].model, path=str(folder))
    if whole:
        assert "holds a PEFT adapter" in base_problems(str(folder), [])[0]


def test_an_adapter_that_comes_from_the_hub_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name stands in for a hub name: there is no local file to look at before loading."""
    folder = adapter_folder(tmp_path / "adapter", save_family("gpt2", tmp_path / "base"))
    monkeypatch.setattr("src.models.pretrained.adapter_in_place_of_model", lambda path: None)
    with pytest.raises(RunError, match="is a PEFT adapter"):
        load_model(str(folder), torch.float32)
