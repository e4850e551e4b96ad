"""The cache of SFT policies: made once, keyed by everything that determines them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from src import sft
from src.build import build_sft_cache
from src.learning.sft_cache import SftCache
from src.models.fingerprint import model_fingerprint
from src.runtime.errors import RunError
from src.runtime.report import Report, Tick
from tests.experiments import SMOKE, configured
from tests.families import save_family
from tests.forked import Forked

pytestmark = pytest.mark.slow

# Little data, for a model that is not from scratch.
SMALL = ("T=2", "data.train=12", "data.validation=2", "data.test=2", "model.sft.batch_size=2")
LORA = ("model=tiny_lora", "model.lora.rank=2")


def cache_of(folder: Path, *overrides: str) -> SftCache:
    config, _, _ = configured(folder, *overrides)
    return build_sft_cache(config, config.data.load(config.task.name), Report())


def made(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/made.json")}


@pytest.mark.slow
def test_members_differ_and_are_reused_by_larger_ensembles(tmp_path: Path) -> None:
    two = cache_of(tmp_path, *LORA).policy(2)
    before = made(tmp_path)
    assert len(before) == 4  # random base, trained base, two members
    three = cache_of(tmp_path, *LORA).policy(3)
    assert before < made(tmp_path) and len(made(tmp_path)) == 5
    for name, layer in two.layers.items():
        assert torch.equal(layer.A, three.layers[name].A[:2])
        assert not torch.equal(layer.B[0], layer.B[1])


@pytest.mark.parametrize(
    "change",
    [
        "model.sft.steps=11",
        "model.sft.learning_rate=0.001",
        "model.sft.seed=1",
        "model.scratch.hidden=64",
        "data.seed=1",
        "task=helpfulness",
        "task.max_new_tokens=13",
    ],
)
def test_what_determines_a_policy_is_in_its_key(tmp_path: Path, change: str) -> None:
    cache_of(tmp_path).policy(1)
    before = made(tmp_path)
    cache_of(tmp_path, change).policy(1)
    assert len(made(tmp_path)) > len(before)


@pytest.mark.parametrize("change", ["model.template=chat", "model.dtype=bfloat16"])
def test_template_and_type_of_the_base_are_in_the_key(tmp_path: Path, change: str) -> None:
    llama = save_family("llama", tmp_path / "llama")
    common = ("model=smollm2_135m", f"model.path={llama}", "model.sft.steps=2", "task.max_prompt_tokens=400")
    seen = []
    for overrides in (common, (*common, change)):
        config, _, _ = configured(tmp_path / "cache", *overrides, "task.max_new_tokens=100", smoke=SMALL)
        cache = build_sft_cache(config, config.data.load(config.task.name), Report())
        seen.append(cache.policy(1).state())
    assert len(made(tmp_path / "cache")) == 2
    assert not all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


def test_longer_texts_than_the_model_reads_are_refused(tmp_path: Path) -> None:
    gpt2 = save_family("gpt2", tmp_path / "gpt2")
    limits = ("task.max_prompt_tokens=400", "task.max_new_tokens=113")
    config, _, _ = configured(tmp_path, "model=smollm2_135m", f"model.path={gpt2}", *limits, smoke=SMALL)
    cache = build_sft_cache(config, config.data.load(config.task.name), Report())
    with pytest.raises(RunError, match="make 513 tokens, and the model .*gpt2 reads at most 512"):
        cache.policy(1)


def test_a_chat_template_is_part_of_the_base_models_fingerprint(tmp_path: Path) -> None:
    save_family("llama", tmp_path)
    before = model_fingerprint(str(tmp_path))
    (tmp_path / "chat_template.jinja").write_text("another")
    assert model_fingerprint(str(tmp_path)) != before


@pytest.mark.parametrize("change", ["seed=1", "loss=ipo", "F=1", "learning_rate=0.1", "evaluate.every=1"])
def test_what_does_not_is_not(tmp_path: Path, change: str) -> None:
    cache_of(tmp_path).policy(1)
    before = made(tmp_path)
    cache_of(tmp_path, change).policy(1)
    assert made(tmp_path) == before


def test_a_file_beside_a_policys_own_is_no_part_of_it(tmp_path: Path) -> None:
    cache_of(tmp_path, *LORA).policy(1)
    before = made(tmp_path)
    for folder in tmp_path.rglob("made.json"):
        (folder.parent / "config (copy).json").write_text("{}")
    cache_of(tmp_path, *LORA).policy(1)
    assert made(tmp_path) == before


@pytest.mark.slow
def test_made_again_it_is_the_same_to_the_bit(tmp_path: Path) -> None:
    first = cache_of(tmp_path / "a", *LORA).policy(2).state()
    second = cache_of(tmp_path / "b", *LORA).policy(2).state()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_micro_batches_do_not_change_the_training(tmp_path: Path) -> None:
    whole = cache_of(tmp_path / "a", "model.tokens=4000").policy(1).state()
    parts = cache_of(tmp_path / "b", "model.tokens=100").policy(1).state()
    assert all(torch.allclose(whole[name], parts[name], atol=1e-4) for name in whole)


def test_an_interrupted_training_leaves_nothing_to_be_taken_for_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import src.learning.sft_cache

    def killed(*_: object) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(src.learning.sft_cache, "finetune", killed)
        with pytest.raises(KeyboardInterrupt):
            cache_of(tmp_path).policy(1)
    assert not [name for name in made(tmp_path) if name.startswith("sft")]
    cache_of(tmp_path).policy(1)
    assert len([name for name in made(tmp_path) if name.startswith("sft")]) == 1


@pytest.mark.slow
def test_sft_learns(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, "model.sft.steps=60", "model.sft.learning_rate=0.01")
    losses: list[float] = []

    class Watching(Report):
        @contextmanager
        def stage(self, title: str, total: int, listed: bool = True) -> Iterator[Tick]:
            yield lambda parts=1, note="": losses.append(float(note.removeprefix("loss ")))

    replace(cache, report=Watching()).policy(1)
    assert losses[0] > 5
    assert sum(losses[-5:]) / 5 < 0.6 * losses[0]


@pytest.mark.slow
def test_jobs_that_start_at_once_make_it_once(tmp_path: Path) -> None:
    jobs = [Forked(sft.main, tmp_path, *SMOKE, f"cache={tmp_path / 'cache'}") for _ in range(4)]
    outputs = [job.communicate()[0] for job in jobs]
    assert all(job.returncode == 0 for job in jobs)
    assert sum("SFT: 12 steps" in output for output in outputs) == 1
    assert not list((tmp_path / "cache").glob(".*.partial"))


def test_what_is_left_out_is_said_once_for_all_members(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = cache_of(tmp_path, *LORA)
    cache.policy(3)
    assert capsys.readouterr().out.count("tokens and are left out") == 1


def test_a_model_that_does_not_fit_in_memory_says_what_is_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    monkeypatch.setattr("transformers.PreTrainedModel.to", full)
    with pytest.raises(RunError, match="out of memory .*; model.dtype=bfloat16 takes half .* model.path= a smaller"):
        cache_of(tmp_path).policy(1)
