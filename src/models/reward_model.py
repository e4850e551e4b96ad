"""A reward model: a transformer with one logit, the reward of a response to a prompt."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from src.models.reward_input import Encoded, RewardInput
from src.runtime.errors import RunError
from src.runtime.memory import naming


@dataclass(frozen=True, eq=False)
class RewardModel:
    """Rewards of responses, with or without gradients.

        model, tokenizer = load_reward_model("OpenAssistant/reward-model-deberta-v3-large-v2", device)
        rewards = RewardModel(model, tokenizer, "pair", max_length=512, batch_tokens=8192)
        good, poor = rewards.score(["Explain gravity.", "Explain gravity."], ["Masses attract.", "No."])

    Args:
        model: a sequence classifier with one label, whose logit is the reward.
        tokenizer: the model's tokenizer.
        input, max_length: see `src.models.reward_input.RewardInput`.
        batch_tokens: most tokens in a forward pass of more than one row, padding included.

    Raises:
        RunError: if the model cannot take such an input.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    input: str
    max_length: int
    batch_tokens: int

    def __post_init__(self) -> None:
        name = self.model.name_or_path
        if self.input == "chat" and not self.tokenizer.chat_template:
            raise RunError(f"the tokenizer of {name} has no chat template, which input=chat needs; use input=pair")
        if (longest := _longest_input(self.model, self.tokenizer)) < self.max_length:
            raise RunError(f"the reward model {name} reads at most {longest} tokens; max_length={self.max_length}")

    @cached_property
    def _input(self) -> RewardInput:
        segments = "token_type_ids" in inspect.signature(self.model.forward).parameters
        return RewardInput(self.tokenizer, self.input, self.max_length, segments)

    def encode(self, prompts: Sequence[str], texts: Sequence[str]) -> list[Encoded]:
        """The inputs of the model, as `RewardInput.encode` makes them."""
        return self._input.encode(prompts, texts)

    def rewards(self, rows: Sequence[Encoded]) -> Tensor:
        """Rewards in one forward pass, with gradients where they are enabled.

        Args:
            rows: N >= 1 inputs from `encode`.

        Returns:
            (N,), float32.
        """
        config = self.model.config.get_text_config()
        configured = pad = config.pad_token_id
        if configured is None and len(rows) > 1:
            # Without a padding token, transformers reads the reward off the last token of the padded row. Any token
            # that no row contains can serve as padding; if there is none, rows are computed one at a time.
            used = {id for row in rows for id in row["input_ids"]}
            pad = next((id for id in range(config.vocab_size) if id not in used), None)
            if pad is None:
                return torch.cat([self.rewards([row]) for row in rows])
        longest = max(len(row["input_ids"]) for row in rows)
        inputs = {
            name: torch.tensor([row[name] + [fill] * (longest - len(row[name])) for row in rows])
            for name, fill in (("input_ids", 0 if pad is None else pad), ("token_type_ids", 0))
            if name in rows[0]
        }
        inputs["attention_mask"] = torch.tensor(
            [[int(position < len(row["input_ids"])) for position in range(longest)] for row in rows]
        )
        try:
            config.pad_token_id = pad
            logits = self.model(**{name: tensor.to(self.model.device) for name, tensor in inputs.items()}).logits
        finally:
            config.pad_token_id = configured
        return logits.squeeze(-1).float()

    @torch.no_grad()
    def score(self, prompts: Sequence[str], texts: Sequence[str]) -> list[float]:
        """Rewards of `texts[i]` as a response to `prompts[i]`, in batches; equal pairs are computed once.

        Returns:
            N rewards.
        """
        asked = list(zip(prompts, texts, strict=True))
        unique = list(dict.fromkeys(asked))
        rows = self.encode([prompt for prompt, _ in unique], [text for _, text in unique])
        rewards: dict[tuple[str, str], float] = {}
        for batch in batches_by_length([len(row["input_ids"]) for row in rows], self.batch_tokens):
            with naming("batch_tokens", self.batch_tokens):
                values = self.rewards([rows[index] for index in batch])
            rewards.update(zip((unique[index] for index in batch), values.tolist(), strict=True))
        return [rewards[pair] for pair in asked]


def batches_by_length(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Batches of rows, longest row first.

    Args:
        lengths: of each row, in tokens.
        tokens: most tokens in a batch of more than one row, padding included.

    Yields:
        The indices of a batch's rows; every row is in one batch.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True):
        if batch and (len(batch) + 1) * lengths[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The model's limit in tokens: its number of positions; DeBERTa's relative positions have no limit."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or getattr(config, "position_biased_input", True) is False:
        return 2**31
    return int(min(positions, tokenizer.model_max_length))
