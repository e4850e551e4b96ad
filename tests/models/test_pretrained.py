"""What cannot be loaded is said in one line, whatever kind of exception it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from src.models.policy import Policy
from src.models.pretrained import load_model, load_tokenizer
from src.models.pretrained_reward import new_reward_model
from src.models.spec import LoraSpec
from src.runtime.errors import RunError
from tests.families import save_family


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


def configured(changes: dict[str, object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return damage


def without(*names: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(names)}
        assert len(kept) == len(tensors) - len(names)
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("layers.1.mlp.up_proj.weight"), r"no weights for model.layers.1.mlp.up_proj.weight, which"),
        (configured({"num_hidden_layers": 3}), r"no weights for model.layers.2.\S+, \S+, \S+ and \d+ more, which"),
        (configured({"num_hidden_layers": 0}), "num_hidden_layers=0"),
        (configured({"num_hidden_layers": -1}), "num_hidden_layers=-1"),
    ],
    ids=["a tensor", "a layer", "all layers", "fewer than none"],
)
def test_weights_that_would_be_random_are_missed(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    """transformers starts them at random, and says so in a log that nobody reads."""
    save_family("llama", tmp_path)
    load_model(str(tmp_path), torch.float32)
    damage(tmp_path)
    with pytest.raises(RunError, match=message):
        load_model(str(tmp_path), torch.float32)


def test_the_head_of_another_task_is_no_language_model(tmp_path: Path) -> None:
    """A reward model has the layers of a language model and no head for tokens."""
    save_family("llama", tmp_path)
    configured({"tie_word_embeddings": False})(tmp_path)
    classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=1)
    classifier.save_pretrained(tmp_path)
    with pytest.raises(RunError, match=r"no weights for lm_head.weight, which its config.json asks"):
        load_model(str(tmp_path), torch.float32)


def test_a_tokenizer_that_fails_in_use_is_refused(tmp_path: Path) -> None:
    save_family("gpt2", tmp_path)
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": "many"}))
    with pytest.raises(RunError, match="cannot be loaded"):
        load_tokenizer(str(tmp_path))


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


@pytest.mark.parametrize("whole", [False, True])
def test_an_adapter_in_a_models_folder_is_refused(tmp_path: Path, whole: bool) -> None:
    """Transformers would load it into the model, or fail at its missing file."""
    base = save_family("llama", tmp_path)
    policy = Policy(load_model(base, torch.float32), load_tokenizer(base), base, LoraSpec(2, 4.0, 0.0, ["q_proj"]))
    policy.save_mean(tmp_path)
    if not whole:
        (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(RunError, match=r"holds an adapter \(adapter_config.json\).*expected a model alone: move"):
        load_model(base, torch.float32)
    with pytest.raises(RunError, match="holds an adapter"):
        new_reward_model(base, torch.device("cpu"), 0)
