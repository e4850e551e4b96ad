import pytest
import torch

import src.learning.learner
from src.runtime.errors import RunError
from src.runtime.memory import OutOfMemory, advising, naming, peak_gib
from tests.experiments import built


def test_a_gpu_out_of_memory_names_the_key():
    with (
        pytest.raises(RunError, match=r"out of memory \(CUDA out of memory\); lower model.tokens=7"),
        naming("model.tokens", 7),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")


def test_a_cpu_out_of_memory_names_the_key():
    with (
        pytest.raises(RunError, match=r"out of memory \(.*allocate.*\); lower model.rows=64"),
        naming("model.rows", 64),
    ):
        torch.empty(2**58)


def test_other_errors_are_left_alone():
    with pytest.raises(RuntimeError, match="size of tensor"), naming("model.rows", 64):
        torch.zeros(2) + torch.zeros(3)


def test_the_peak_grows_with_what_is_taken():
    before = peak_gib(torch.device("cpu"))
    tensor = torch.ones(2**28)
    assert before < 1000 and peak_gib(torch.device("cpu")) >= max(before, tensor.numel() * 4 / 2**30)


def test_other_advice_than_a_key():
    with (
        pytest.raises(OutOfMemory, match=r"^out of memory \(CUDA out of memory\); take a smaller one$"),
        advising("take a smaller one"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")


def no_memory(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")


def test_an_optimizer_without_memory_says_what_makes_it_smaller(tmp_path, cache, monkeypatch):
    for more, advice in (
        (("model=tiny_lora", "ensemble=2"), r"lower ensemble=2 or model.lora.rank=\d+"),
        ((), r"train adapters instead of all weights \(a model with lora\)"),
    ):
        run = built(tmp_path / str(len(more)), cache, "evaluate.every=0", *more)
        monkeypatch.setattr(run.learner.optimizer, "step", no_memory)
        with pytest.raises(OutOfMemory, match=f"out of memory .*; {advice}, which makes another run"):
            run.run()


def test_a_step_without_memory_says_what_goes_on_and_what_does_not(tmp_path, cache, monkeypatch):
    run = built(tmp_path / "run", cache, "evaluate.every=0", "checkpoint_every=1")
    as_pair_logps, taken = src.learning.learner.as_pair_logps, []

    def second(*arguments, **settings):
        taken.append(1)
        return no_memory() if len(taken) > 1 else as_pair_logps(*arguments, **settings)

    monkeypatch.setattr("src.learning.learner.as_pair_logps", second)
    with pytest.raises(
        OutOfMemory, match=r"lower model.tokens=512, which makes another run; where .* checkpoint is of step 1 "
    ):
        run.run()
