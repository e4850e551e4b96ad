"""How many tokens a model reads, and the length at which its rotary embeddings change."""

from dataclasses import dataclass
from typing import Any, TypeGuard

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from src.runtime.errors import RunError

# Names of the number of positions; a configuration without any has no limit (ALiBi, recurrent models).
LIMITS = ("max_position_embeddings", "n_positions", "max_target_positions", "max_sequence_length")


@dataclass(frozen=True)
class RopeSwitch:
    """Rotary embeddings whose frequencies depend on the longest row of the batch.

    Args:
        kind: "longrope" has two sets of frequencies, one for batches within `tokens` and one for longer batches;
            "dynamic" changes them with every length beyond `tokens`, and keeps them for the batches that follow.
        tokens: the length of the rows that the model was first trained on.
    """

    kind: str
    tokens: int

    def beyond(self, length: int) -> bool:
        """Whether a row of so many tokens is computed with the frequencies of long rows.

        Raises:
            RunError: if frequencies beyond the switch depend on the rows computed before ("dynamic").
        """
        if length > self.tokens and self.kind == "dynamic":
            raise RunError(
                f"a row of {length} tokens: the model's rotary embeddings (rope_type=dynamic) depend on the rows "
                f"computed before for more than {self.tokens} tokens; expected at most {self.tokens}: lower "
                "task.max_prompt_tokens or task.max_new_tokens"
            )
        return length > self.tokens

    def beyond_while_sampling(self, prompt: int, new: int) -> bool:
        """As `beyond`, for a prompt and the tokens sampled after it.

        Args:
            prompt: tokens of the prompt.
            new: the most tokens sampled; the last of them is not read by the model.

        Raises:
            RunError: also if the frequencies would change within the response: it would be sampled with other
                log-probabilities than those with which it is scored.
        """
        last = self.beyond(prompt + new - 1)
        if last != self.beyond(prompt):
            raise RunError(
                f"a prompt of {prompt} tokens and a response of up to {new}: the model's rotary embeddings "
                f"(rope_type={self.kind}) change at {self.tokens} tokens, so the response would be sampled and scored "
                f"differently; expected at most {self.tokens} tokens together, or a longer prompt: lower "
                "task.max_prompt_tokens or task.max_new_tokens"
            )
        return last


def rope_switch(config: PreTrainedConfig) -> RopeSwitch | None:
    """Where a model's rotary embeddings change with the length of the batch; None if they do not.

    Args:
        config: of the model. Layers of several types may have rotary embeddings of their own; the shortest switch
            counts.
    """
    text: Any = config.get_text_config(decoder=True)
    given = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    found = []
    for rope in (given, *given.values()):
        kind = (rope.get("rope_type") or rope.get("type")) if isinstance(rope, dict) else None
        if kind == "longrope" or "dynamic" in str(kind):
            tokens = rope.get("original_max_position_embeddings") or getattr(
                text, "original_max_position_embeddings", None
            )
            found.append((tokens or text.max_position_embeddings, "longrope" if kind == "longrope" else "dynamic"))
    return RopeSwitch(min(found)[1], min(found)[0]) if found else None


def position_limit(model: PreTrainedModel) -> int | None:
    """The most tokens that a model reads; None without a limit.

    A table of positions may hold fewer than the configuration says: RoBERTa's positions begin behind its padding token.
    """
    text = model.config.get_text_config(decoder=True)
    named = [getattr(text, name, None) for name in LIMITS]
    limits = [limit for limit in named if isinstance(limit, int) and limit > 0]
    for name, module in model.named_modules():
        if is_position_table(name, module):
            first = getattr(module, "offset", None)
            if first is None:
                first = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - first)
    return min(limits, default=None)


def is_position_table(name: str, module: nn.Module) -> TypeGuard[nn.Embedding]:
    """Whether a module, of this name in a model, is a table of absolute positions of the text."""
    other = any(part in name for part in ("relative", "vision", "audio", "image", "encoder."))
    last = name.rsplit(".", 1)[-1]
    tables = ("wpe", "position_embeddings", "embed_positions", "positions_embed", "position_embedding")
    return isinstance(module, nn.Embedding) and last in tables and not other


def require_room(model: PreTrainedModel, path: str, prompt: int, new: int) -> None:
    """Refuses a model that cannot read the longest rows of a task, or reads them differently from shorter rows.

    Args:
        model: the model.
        path: its folder or hub name.
        prompt, new: the most tokens of a prompt and of a response.

    Raises:
        RunError: with the limit and the keys to lower.
    """
    longest, limit, switch = prompt + new, position_limit(model), rope_switch(model.config)
    given = f"task.max_prompt_tokens={prompt} and task.max_new_tokens={new} make {longest} tokens, and the model {path}"
    if limit is not None and longest > limit:
        raise RunError(f"{given} reads at most {limit}; lower them")
    if switch is not None and longest > switch.tokens:
        raise RunError(
            f"{given} has rotary embeddings that change at {switch.tokens} (rope_type={switch.kind}): a response that "
            f"crosses this length is sampled and scored differently; lower them to {switch.tokens} together"
        )
