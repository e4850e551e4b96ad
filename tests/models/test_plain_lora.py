"""The allow-list of adapter_config.json: every field is plain, compared with the tensors, or refused by name."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from src.after_training.base_model import base_problems
from src.after_training.saved_policy import find_policy
from src.cli.compose import compose_jobs
from src.cli.read_config import read_config
from src.models.plain_lora import PLAIN, WITHOUT_EFFECT, adapter_in_place_of_model, not_plain, plain_lora_problems
from src.references.gold import Gold
from src.runtime.errors import RunError
from tests.models.policies import logits, lora_policy
from tests.tiny import tiny_model

# A value of every field that makes an adapter more than plain LoRA, or that is not known to leave it plain.
MORE = {
    "peft_type": "LOHA",
    "task_type": "SEQ_CLS",
    "bias": "all",
    "use_rslora": True,
    "use_dora": True,
    "use_qalora": True,
    "lora_bias": True,
    "rank_pattern": {"q_proj": 2},
    "alpha_pattern": {"q_proj": 12},
    "modules_to_save": ["norm"],
    "megatron_config": {"x": 1},
    "trainable_token_indices": [1, 2],
    "loftq_config": {"loftq_bits": 4},
    "eva_config": {"rho": 2.0},
    "corda_config": {"corda_method": "ipm"},
    "lora_ga_config": {"x": 1},
    "velora_config": {"num_groups": 1},
    "kasa_config": {"beta": 0.1},
    "monteclora_config": {"num_samples": 8},
    "use_bdlora": {"nblocks": 2},
    "arrow_config": {"top_k": 3},
    "alora_invocation_tokens": [5, 9],
    "layer_replication": [[0, 1], [0, 2]],
    "target_parameters": ["experts.down_proj"],
    "ensure_weight_tying": True,
    "runtime_config": {"ephemeral_gpu_offload": True},
    "init_lora_weights": "pissa",
    "a_field_of_a_later_version": 1,
}
STARTS = ["pissa", "pissa_niter_4", "olora", "corda", "loftq", "eva", "lora_ga", "mica", "one of a later version"]


def adapter(folder: Path, **options: object) -> None:
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj"], **options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(tiny_model(), config).eval()
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)


def changed(folder: Path, **fields: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_every_field_of_peft_is_known() -> None:
    fields = {field.name for field in dataclasses.fields(LoraConfig)}
    assert fields <= WITHOUT_EFFECT | MORE.keys() | {"revision"}
    assert PLAIN.keys() - {"revision", "merge_weights"} <= MORE.keys()


@pytest.mark.parametrize(("field", "value"), MORE.items(), ids=MORE)
def test_a_field_that_makes_more_of_an_adapter_is_refused_by_its_name_wherever_adapters_are_read(
    field: str, value: object, tmp_path: Path
) -> None:
    adapter(tmp_path)
    assert plain_lora_problems(tmp_path) == Gold(str(tmp_path), False).problems() == []
    assert find_policy(str(tmp_path))[1] == []
    changed(tmp_path, **{field: value})
    named = rf"is not plain LoRA \({field}"
    with pytest.raises(RunError, match=named):
        lora_policy(1).read_weights(tmp_path)
    with pytest.raises(RunError, match=named):
        lora_policy(1).load_member(0, tmp_path)
    # Before anything is loaded or trained:
    for problems in (Gold(str(tmp_path), False).problems(), find_policy(str(tmp_path))[1]):
        assert len(problems) == 1 and f"is not plain LoRA ({field}" in problems[0] and "merged model" in problems[0]


@pytest.mark.parametrize("start", STARTS)
def test_adapters_that_started_from_the_base_models_weights_are_refused(start: str, tmp_path: Path) -> None:
    adapter(tmp_path)
    changed(tmp_path, init_lora_weights=start)
    assert f"(init_lora_weights={start})" in plain_lora_problems(tmp_path)[0]


@pytest.mark.parametrize("options", [{"init_lora_weights": start} for start in (True, False, "gaussian", "orthogonal")])
def test_a_start_that_leaves_the_base_model_alone_is_read_as_peft_does(options: dict, tmp_path: Path) -> None:
    adapter(tmp_path, **options)
    expected = logits(PeftModel.from_pretrained(tiny_model(), tmp_path).eval())
    policy = lora_policy(1)
    with policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_the_difference_is_large(start: str, tmp_path: Path) -> None:
    """What the list is for: read as plain LoRA, such an adapter is another policy."""
    adapter(tmp_path, init_lora_weights=start)
    expected = logits(PeftModel.from_pretrained(tiny_model(), tmp_path).eval())
    changed(tmp_path, init_lora_weights=True)
    policy = lora_policy(1)
    with policy.using(policy.read_weights(tmp_path)) as model:
        assert (logits(model) - expected).abs().max() > 0.1


def test_what_says_nothing_is_plain() -> None:
    assert not_plain(dict.fromkeys([*MORE, "another"])) == []
    assert not_plain({"rank_pattern": {}, "modules_to_save": [], "use_dora": False, "merge_weights": False}) == []


def test_a_config_that_cannot_be_read_is_a_problem_too(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{")
    (problem,) = Gold(str(tmp_path), False).problems()
    assert f"the adapter in {tmp_path} cannot be read (JSONDecodeError" in problem


def test_an_adapter_in_place_of_a_model_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    """transformers would load the adapter's base, or put the adapter into the model, without a word."""
    adapter(tmp_path)
    for beside in (False, True):
        if beside:
            (tmp_path / "config.json").write_text("{}")
        model = read_config(compose_jobs(["model=smollm2_135m"])[0][0].plain)[0].model
        with pytest.raises(ValueError, match=rf"path={tmp_path} holds a PEFT adapter .*; merge the adapter"):
            replace(model, path=str(tmp_path))
    assert base_problems(str(tmp_path), []) == [f"base={adapter_in_place_of_model(str(tmp_path))}"]
    assert adapter_in_place_of_model("a/hub-name") is None
