"""Adapters in PEFT's format: written so that PEFT loads the same policy, and read as PEFT reads them or refused."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from src.models.adapter_files import load_adapter, save_adapter, target_names
from src.models.lora import LoraLinear
from src.models.policy import Policy
from src.models.spec import LoraSpec
from src.runtime.errors import RunError
from tests.models.policies import logits, lora_policy, mean_logits
from tests.tiny import tiny_model, tiny_tokenizer


def layer(members: int) -> LoraLinear:
    torch.manual_seed(0)
    made = LoraLinear(nn.Linear(5, 4), members, LoraSpec(rank=2, alpha=6.0, dropout=0.0, targets=["q_proj"]))
    with torch.no_grad():
        made.A.normal_()
        made.B.normal_()
    return made


@pytest.mark.parametrize("members", [[0], [2], [0, 1, 2], [2, 0]])
def test_a_saved_adapter_is_the_mean_of_the_given_members(tmp_path, members):
    layers = {"model.a.q_proj": layer(3), "model.b.q_proj": layer(3)}
    save_adapter(tmp_path, layers, members, "base")
    pairs, scale = load_adapter(tmp_path)
    assert pairs.keys() == layers.keys()
    for name, (A, B) in pairs.items():
        updates = [3.0 * layers[name].B[member] @ layers[name].A[member] for member in members]
        torch.testing.assert_close(scale * B @ A, sum(updates) / len(members))


def test_one_saved_member_is_its_factors_and_scale(tmp_path):
    layers = {"model.a.q_proj": layer(3)}
    save_adapter(tmp_path, layers, [1], "base")
    (A, B), scale = load_adapter(tmp_path)[0]["model.a.q_proj"], load_adapter(tmp_path)[1]
    assert scale == 3.0
    assert torch.equal(A, layers["model.a.q_proj"].A[1]) and torch.equal(B, layers["model.a.q_proj"].B[1])


def test_a_saved_adapter_has_the_same_bytes_in_every_process(tmp_path):
    """The names of layers would stand in the order of a set otherwise, which is each process's own."""
    names = [f"{one}_proj" for one in ("up", "q", "gate", "v", "o", "k", "down")]
    save_adapter(tmp_path, {f"model.a.{name}": layer(1) for name in names}, [0], "base")
    assert json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"] == sorted(names)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("adapter_model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "SafetensorError"),
        ("adapter_model.safetensors", "", "SafetensorError"),
        ("adapter_model.safetensors", None, "FileNotFoundError"),
        ("adapter_config.json", '{"r": 2}', "KeyError: 'lora_alpha'"),
        ("adapter_config.json", '{"r": 0, "lora_alpha": 6}', "ZeroDivisionError"),
        ("adapter_config.json", '{"r": 2', "JSONDecodeError"),
        ("adapter_config.json", "[]", "AttributeError"),
    ],
)
def test_an_adapter_that_cannot_be_read_is_named(tmp_path, name, content, said):
    save_adapter(tmp_path, {"model.a.q_proj": layer(1)}, [0], "base")
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)
    with pytest.raises(
        RunError, match=rf"the adapter in {tmp_path} cannot be read \({said}.*\); .*copy both"
    ) as caught:
        load_adapter(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_adapter_of_which_a_part_is_missing_is_named(tmp_path):
    save_adapter(tmp_path, {"model.a.q_proj": layer(1)}, [0], "base")
    file = tmp_path / "adapter_model.safetensors"
    save_file({name: tensor for name, tensor in load_file(file).items() if "lora_A" in name}, file)
    with pytest.raises(RunError, match=rf"the adapter in {tmp_path} cannot be read .*q_proj.lora_B.weight"):
        load_adapter(tmp_path)


def changed(folder: Path, **fields: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_tensors_of_another_rank_than_the_configs_are_refused(tmp_path):
    save_adapter(tmp_path, {"model.a.q_proj": layer(1)}, [0], "base")
    changed(tmp_path, r=4)
    with pytest.raises(RunError, match=r"q_proj are \(2, 5\) and \(4, 2\); expected the rank r=4"):
        load_adapter(tmp_path)


def test_another_revision_of_a_hub_model_is_refused_and_a_copy_of_it_is_taken(tmp_path):
    save_adapter(tmp_path, {"model.a.q_proj": layer(1)}, [0], "base")
    changed(tmp_path, revision="v2")
    load_adapter(tmp_path)
    with pytest.raises(RunError, match=r"not plain LoRA \(revision=v2\); give the folder of that revision"):
        load_adapter(tmp_path, local_base=False)


# What a target list can mean ------------------------------------------------------------------------------------------

LISTED = ["q_proj", "down_proj"]


def peft_adapter(folder: Path, **options: object) -> torch.Tensor:
    """Writes a random adapter as PEFT does; its logits when PEFT loads it again."""
    options = {"target_modules": LISTED} | options
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(tiny_model(), LoraConfig(r=4, lora_alpha=6, init_lora_weights=False, **options))
    model.save_pretrained(folder)
    return logits(PeftModel.from_pretrained(tiny_model(), folder).eval())


@pytest.mark.parametrize(
    "options",
    [
        {"layers_to_transform": [1]},
        {"layers_to_transform": 0, "layers_pattern": "layers"},
        {"exclude_modules": ["layers.0.mlp.down_proj"]},
        {"exclude_modules": r".*layers\.1\..*"},
        {"target_modules": r".*\.(q|v)_proj"},
        {"target_modules": "all-linear"},
        {"target_modules": ["model.layers.1.self_attn.k_proj", "o_proj"]},
        {"fan_in_fan_out": True},
        {"lora_dropout": 0.5},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_way_to_choose_layers_is_read_as_peft_does(tmp_path, options):
    expected = peft_adapter(tmp_path, **options)
    policy = lora_policy(2)
    with policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("targets", ["all-linear", None])
def test_targets_that_peft_finds_itself_are_found(tmp_path, targets):
    """As written by hand: PEFT writes the names that it found."""
    peft_adapter(tmp_path, target_modules=["q_proj", "v_proj"] if targets is None else targets)
    changed(tmp_path, target_modules=targets)
    expected = logits(PeftModel.from_pretrained(tiny_model(), tmp_path).eval())
    policy = lora_policy(1)
    with policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"target_modules": [*LISTED, "v_proj"]}, "no tensors for layers that .* targets .*v_proj and|v_proj"),
        ({"target_modules": ["q_proj"]}, r"tensors for layers that .* does not target \(model.layers.0.mlp.down_proj"),
        ({"layers_to_transform": [0]}, r"does not target \(model.layers.1.mlp.down_proj"),
        ({"exclude_modules": ["down_proj"]}, "does not target"),
        ({"target_modules": [*LISTED, "c_attn"]}, r"targets layers that the model lacks \(c_attn\)"),
        ({"target_modules": "(q_proj"}, "cannot be read"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_targets_and_tensors_that_differ_are_refused(tmp_path, fields, named):
    peft_adapter(tmp_path)
    changed(tmp_path, **fields)
    with pytest.raises(RunError, match=named):
        lora_policy(1).read_weights(tmp_path)


# Names that PEFT finds ------------------------------------------------------------------------------------------------


class Halves(nn.Module):
    """An MLP whose linear layers are in a ModuleList, so that they are called `0` and `1` as decoder layers are."""

    def __init__(self) -> None:
        super().__init__()
        self.halves = nn.ModuleList([nn.Linear(32, 48), nn.Linear(48, 32)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.halves[1](self.halves[0](x).relu())


def model_of_lists() -> nn.Module:
    model = tiny_model()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for block in model.model.layers:
            block.mlp = Halves()
    return model.eval()


@pytest.mark.parametrize("targets", ["all-linear", ["0"], ["1", "q_proj"]], ids=str)
def test_peft_loads_adapters_of_layers_in_a_module_list(tmp_path, targets):
    policy = Policy(model_of_lists(), tiny_tokenizer(), "base", LoraSpec(2, 6.0, 0.0, targets), members=2)
    for parameter in policy.trainable().values():
        nn.init.normal_(parameter, std=0.3)
    policy.save(tmp_path)
    loaded = PeftModel.from_pretrained(model_of_lists(), tmp_path).eval()
    torch.testing.assert_close(logits(loaded), mean_logits(policy), rtol=1e-4, atol=1e-4)
    with policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), logits(loaded), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("trained", "others", "expected"),
    [
        (["m.layers.0.q", "m.layers.1.q"], ["m", "m.layers.0", "head"], ["q"]),
        (["m.layers.0.fc.0", "m.layers.0.fc.1"], ["m.layers.0", "m.layers.1"], ["fc.0", "fc.1"]),
        (["m.a.dense"], ["m.b.dense", "dense"], ["a.dense"]),
        (["m.a.dense"], ["n.m.a.dense"], None),
        (["dense"], ["m.dense"], None),
    ],
)
def test_the_shortest_names_that_name_nothing_else(trained, others, expected):
    if expected is None:
        with pytest.raises(RunError, match="would name another module as well"):
            target_names(trained, others)
    else:
        assert target_names(trained, others) == expected
