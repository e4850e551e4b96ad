"""Every architecture that is supported: scored, sampled, trained, saved and read by PEFT as it should be."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from torch import Tensor, nn

from src.cli.conf import CONF
from src.inference.sampler import Sampler
from src.inference.scorer import Scorer, scorer_for
from src.models.lora import LoraSpec
from src.models.policy import Policy
from src.models.pretrained import load_model, load_tokenizer
from src.records import Ids
from src.storage.rows import read_rows
from tests.experiments import built, configured
from tests.families import FAMILIES, save_family
from tests.tiny import keys

Folder = Callable[[str], str]
LORA = LoraSpec(rank=2, alpha=4.0, dropout=0.0, targets="all-linear")
PROMPTS: list[Ids] = [(5, 9, 13, 2, 40, 41, 8, 100, 200, 7, 7, 30), (7,), (30, 3, 22), (12, 12, 12, 12, 50, 290)]
RESPONSES: list[tuple[Ids, Ids]] = [
    ((4, 4, 1), (61, 2, 3, 4, 5, 6, 1)),
    ((33,), (20, 21, 22, 23, 24, 25, 26, 27, 1)),
    ((2, 3, 4, 5), (63, 1)),
    ((1,), (17, 18, 250)),
]
NEVER = {10**6}  # an end token that is no token of the model
# Every model yaml that names a model meets one of its architecture, and the other architectures one that fits.
PAIRS = [
    ("smollm2_135m", "llama"),
    ("gemma_2b", "gemma"),
    ("gemma_2b", "gemma2"),
    ("qwen3_0_6b", "qwen3"),
    ("smollm2_135m", "gpt_neox"),
    ("smollm2_135m", "gpt2"),
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A saved model of a family, made once."""
    root = tmp_path_factory.mktemp("families")

    def saved(name: str) -> str:
        path = root / name
        return str(path) if path.is_dir() else save_family(name, path)

    return saved


def load(path: str) -> nn.Module:
    return load_model(path, torch.float32).eval()


def lora_policy(path: str, members: int) -> Policy:
    """A policy whose members differ from the base and from each other so much that a wrong one shows."""
    policy = Policy(load(path), load_tokenizer(path), path, LORA, members)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.normal_(std=0.15, generator=generator)
    return policy


@torch.no_grad()
def alone(model: nn.Module, prompt: Ids, response: Ids) -> Tensor:
    """Log-probability of a response by itself: no padding, no position ids, no mask."""
    table = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0].float().log_softmax(-1)
    return sum(table[len(prompt) - 1 + place, token] for place, token in enumerate(response))


def generated(model: nn.Module, ends: set[int], tokens: int = 12) -> list[Ids]:
    """What transformers' own greedy generation says to each prompt by itself."""
    responses = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=tokens,
            eos_token_id=sorted(ends),
            pad_token_id=0,
        )
        responses.append(tuple(out[0, len(prompt) :].tolist()))
    return responses


def sampled(model: nn.Module, ends: set[int], tokens: int = 12, rows: int = 100, longest: int = 0) -> list[Ids]:
    sampler = Sampler(temperature=0.0, top_k=0, top_p=1.0, max_new_tokens=tokens, rows=rows, longest=longest)
    return [group[0] for group in sampler.sample(model, PROMPTS, keys(len(PROMPTS), 1), ends)]


def test_every_model_yaml_is_tried() -> None:
    named = {file.stem for file in (CONF / "model").glob("*.yaml") if yaml.safe_load(file.read_text()).get("path")}
    assert named == {name for name, _ in PAIRS}
    assert FAMILIES.keys() == {family for _, family in PAIRS}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_scores_as_each_response_by_itself(family: str, folder: Folder) -> None:
    model = load(folder(family))
    expected = torch.stack(
        [torch.stack([alone(model, p, r) for r in group]) for p, group in zip(PROMPTS, RESPONSES, strict=True)]
    )
    heard: list[str] = []
    best = scorer_for(model, 4096, heard.append)
    # Gemma 2's capped attention is not torch's: it is scored the plain way, and says so.
    assert bool(best.longest) == (not heard) == (family != "gemma2")
    for scorer in (best, replace(best, tokens=30), Scorer(4096, longest=0)):
        logps = scorer.all_logps(model, PROMPTS, RESPONSES)
        torch.testing.assert_close(logps, expected, rtol=0, atol=1e-4)
    assert expected.min() < -10


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_sampling_is_transformers_generation(family: str, folder: Folder) -> None:
    model = load(folder(family))
    free = generated(model, NEVER)
    ends = {free[0][4], free[2][6]}
    ended = generated(model, ends)
    for longest in (0, scorer_for(model, 4096, [].append).longest):
        assert sampled(model, NEVER, longest=longest) == sampled(model, NEVER, rows=2, longest=longest) == free
        assert sampled(model, ends, longest=longest) == ended


def test_members_of_a_family_see_far_and_near_tokens(folder: Folder) -> None:
    """The tests above can tell: what stands first in the prompt matters to the last token, Gemma 2's window or not."""
    for family in FAMILIES:
        model = load(folder(family))
        changed = (PROMPTS[0][0] + 1, *PROMPTS[0][1:])
        assert abs(alone(model, PROMPTS[0], (4,)) - alone(model, changed, (4,))) > 1e-3, family


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_peft_answers_as_the_policy_does(family: str, members: int, folder: Folder, tmp_path: Path) -> None:
    base = folder(family)
    policy = lora_policy(base, members)
    assert {name.rsplit(".", 1)[-1] for name in policy.layers} == FAMILIES[family].linear
    policy.save(tmp_path)
    ends = {policy.tokenizer.eos_token_id}
    with policy.using(policy.mean()) as model:
        expected = sampled(model, ends)
    loaded = PeftModel.from_pretrained(load(base), tmp_path).eval()
    # PEFT mends a wrong flag when it loads, others may not.
    assert json.loads((tmp_path / "adapter_config.json").read_text())["fan_in_fan_out"] == (family == "gpt2")
    assert generated(loaded, ends) == expected
    assert generated(loaded.merge_and_unload(), ends) == expected
    # The test can tell: the base model answers something else.
    assert sum(one != other for one, other in zip(generated(load(base), ends), expected, strict=True)) >= 2
    # Read back by the project itself, it is the same policy.
    with policy.using(policy.read_weights(tmp_path)) as model:
        assert sampled(model, ends) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("name", "family"), PAIRS)
def test_a_run_of_every_model(name: str, family: str, folder: Folder, tmp_path: Path) -> None:
    small = (
        f"model.path={folder(family)}", "model.sft.steps=2", "model.sft.batch_size=2", "T=2", "F=2", "batch_size=2",
        "ensemble=2", "task=helpfulness", "data.train=12", "data.validation=2", "data.test=2", "checkpoint_every=1",
        "task.max_prompt_tokens=400", "task.max_new_tokens=60", "evaluate.every=0",
    )  # fmt: skip
    run = built(tmp_path / "run", tmp_path / "cache", f"model={name}", smoke=small)
    spec = configured(tmp_path, f"model={name}", smoke=small)[0].model
    policy = run.policy
    assert {layer.rsplit(".", 1)[-1] for layer in policy.layers} == FAMILIES[family].linear
    assert not any("head" in layer or "embed" in layer for layer in policy.layers)
    assert {p.dtype for p in policy.trainable().values()} == {torch.float32}
    frozen = {p.dtype for p in policy.model.parameters() if not p.requires_grad}
    assert frozen == {getattr(torch, spec.dtype)}
    before = {key: tensor.clone() for key, tensor in policy.state().items()}
    run.run()
    rows = read_rows(run.folder.path / "metrics.jsonl")
    assert len(rows) == 2 and all(math.isfinite(row["loss"]) and row["grad_norm"] > 0 for row in rows)
    for key, tensor in policy.state().items():
        moved = (tensor - before[key]).flatten(1).abs().amax(1)
        assert tensor.dtype == torch.float32 and (moved > 0).all(), key
    template = run.evaluator.template
    assert template.kind == spec.template
    pairs = [row for file in sorted(run.folder.pairs.iterdir()) for row in read_rows(file) if "responses" in row]
    assert len(pairs) == 4 and all(one["text"] != other["text"] for one, other in (row["responses"] for row in pairs))
    assert all(prompt.label_ids[-1] in template.end_ids for prompt in run.evaluator.prompts["test"])
    assert (run.folder.path / "policy" / "adapter_model.safetensors").is_file()
