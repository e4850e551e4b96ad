"""TRL's side: its trainers at their best settings for the same work; a turn is one optimizer step.

Both sides have the same model and type of weights, LoRA of the same rank, scale and layers, no dropout while learning,
the same token ids in the same order, AdamW, clipping, a constant learning rate; no evaluation, no logging, nothing
saved. Gradient checkpointing, TRL's default, is off; so is padding_free, which TRL 1.16 refuses. A turn begins when the
batch is collated and ends after the optimizer's step: what TRL does between two steps is not counted.
"""

import importlib.util
import tempfile
import zlib
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from benchmarks.arguments import Bench
from benchmarks.material import Material
from benchmarks.ours import plain_model
from benchmarks.sides import Turns
from src.models.pretrained import load_tokenizer
from src.runtime.device import choose_device
from src.runtime.report import Report

# More steps than any benchmark has turns.
ENDLESS = 1_000_000


def missing() -> str | None:
    """Why TRL cannot be measured; None if it can."""
    if importlib.util.find_spec("trl") is None:
        return "TRL is not installed: pip install -e '.[bench]' brings it, peer=none leaves it out"
    return None


def skipped(bench: Bench, report: Report) -> str | None:
    """Why only ours is measured, with a warning unless peer=none asked for it; None if TRL is measured too."""
    if bench.keys.peer == "none":
        return "peer=none"
    reason = missing()
    if reason is not None:
        report.warn(f"only ours is measured: {reason}")
    return reason


def cheap_reward(text: str) -> float:
    """A reward for both sides of a round that costs nothing and hardly ever ties."""
    return zlib.crc32(text.encode()) / 2**32


class InTurn(TrainerCallback):
    """Holds the trainer before each step until it is this side's turn."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        """Waits for the turn."""
        self._turns.wait()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Ends the turn."""
        self._turns.done()


def dpo(turns: Turns, given: Material) -> None:
    """DPOTrainer that scores the reference in each step, by a forward pass with the adapters off."""
    _dpo(turns, given, precompute=False)


def dpo_precomputed(turns: Turns, given: Material) -> None:
    """DPOTrainer that scores the reference before the first step, which is not counted."""
    _dpo(turns, given, precompute=True)


def _dpo(turns: Turns, given: Material, precompute: bool) -> None:
    from datasets import Dataset, disable_progress_bars
    from trl import DPOConfig, DPOTrainer

    disable_progress_bars()

    class OnIds(DPOTrainer):
        """Takes rows of token ids without tokenizing them."""

        def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
            return dataset

    model, tokenizer, device = _model(given)
    rows = [
        {"prompt_ids": list(pair.prompt), "chosen_ids": list(pair.chosen), "rejected_ids": list(pair.rejected)}
        for pairs in given.pairs
        for pair in pairs
    ]
    with tempfile.TemporaryDirectory() as folder:
        args = DPOConfig(
            **_common(given, device, folder),
            loss_type=["sigmoid"],
            beta=given.config.loss.beta,
            max_length=None,
            precompute_ref_log_probs=precompute,
            precompute_ref_batch_size=len(given.pairs[0]),
        )
        trainer = OnIds(
            model=model,
            args=args,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=_lora(given),
            callbacks=[InTurn(turns)],
        )
        batches = [trainer.data_collator(rows[i : i + len(pairs)]) for i, pairs in _starts(given)]
        turns.ready(
            tokens=[(int(batch["attention_mask"].sum()), int(batch["completion_mask"].sum())) for batch in batches],
            reference=_references(trainer.train_dataset, given) if precompute else None,
        )
        trainer.train()


def _starts(given: Material) -> list[tuple[int, list[Any]]]:
    """The index of each batch's first row, and the batch."""
    size = len(given.pairs[0])
    return [(turn * size, pairs) for turn, pairs in enumerate(given.pairs)]


def _references(dataset: Any, given: Material) -> list[list[tuple[float, float]]]:
    each = list(zip(dataset["ref_chosen_logps"], dataset["ref_rejected_logps"], strict=True))
    return [each[start : start + len(pairs)] for start, pairs in _starts(given)]


def online(turns: Turns, given: Material) -> None:
    """The experimental OnlineDPOTrainer without gradient checkpointing, so that it samples with a key-value cache."""
    _online(turns, given, gradient_checkpointing=False)


def online_as_it_comes(turns: Turns, given: Material) -> None:
    """The experimental OnlineDPOTrainer with gradient checkpointing, its default: it samples without a cache."""
    _online(turns, given, gradient_checkpointing=True)


def _online(turns: Turns, given: Material, gradient_checkpointing: bool) -> None:
    from datasets import Dataset, disable_progress_bars
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    disable_progress_bars()

    def reward(completions: list[str], **kwargs: Any) -> list[Any]:
        return [cheap_reward(text) for text in completions]

    model, tokenizer, device = _model(given)
    task = given.config.task
    with tempfile.TemporaryDirectory() as folder:
        args = OnlineDPOConfig(
            **_common(given, device, folder)
            | {"gradient_checkpointing": gradient_checkpointing, "beta": given.config.loss.beta},
            loss_type="sigmoid",
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            max_new_tokens=task.max_new_tokens,
            max_length=task.max_prompt_tokens + task.max_new_tokens,
        )
        trainer = OnlineDPOTrainer(
            model=model,
            reward_funcs=reward,
            args=args,
            train_dataset=Dataset.from_list(
                [{"prompt": prompt.row.prompt.strip()} for batch in given.batches for prompt in batch]
            ),
            processing_class=tokenizer,
            peft_config=_lora(given),
            callbacks=[InTurn(turns)],
        )
        turns.ready(
            tokens=[
                sum(len(tokenizer(prompt.row.prompt.strip(), add_special_tokens=False).input_ids) for prompt in batch)
                for batch in given.batches
            ]
        )
        trainer.train()


def _common(given: Material, device: torch.device, folder: str) -> dict[str, Any]:
    """Arguments that both trainers take."""
    config, spec = given.config, given.config.optimizer
    return {
        "output_dir": folder,
        "max_steps": ENDLESS,
        "per_device_train_batch_size": len(given.pairs[0]),
        "train_sampling_strategy": "sequential",
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "constant",
        "adam_beta1": spec.betas[0],
        "adam_beta2": spec.betas[1],
        "adam_epsilon": spec.eps,
        "weight_decay": spec.weight_decay,
        "max_grad_norm": spec.max_grad_norm or 0.0,
        "logging_strategy": "no",
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": device.type == "cpu",
        "bf16": config.model.dtype == "bfloat16",
        "gradient_checkpointing": config.model.gradient_checkpointing,
        "seed": config.seed,
    }


def _model(given: Material) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, torch.device]:
    tokenizer, device = load_tokenizer(given.base), choose_device(given.config.device)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return plain_model(given).to(device), tokenizer, device  # type: ignore[arg-type]


def _lora(given: Material) -> Any:
    """Our adapters as a PEFT configuration; None where all weights are trained."""
    from peft import LoraConfig

    spec = given.config.model.lora
    if spec is None:
        return None
    return LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules=spec.targets,
        task_type="CAUSAL_LM",
    )
