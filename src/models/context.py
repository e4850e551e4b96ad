"""How many tokens a model reads, and the length beyond which the batch matters."""

from dataclasses import dataclass
from typing import Any, TypeGuard

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from src.runtime.errors import RunError

# Names of the number of positions; a configuration without any has no limit (ALiBi, recurrent models).
LIMITS = ("max_position_embeddings", "n_positions", "max_target_positions", "max_sequence_length")


# Numbers of tokens that layers select among all of a row, as configurations name them.
SELECTIONS = ("index_topk", "keep_window_size", "indexer_budget")

WHY = {
    "longrope": "its rotary embeddings (rope_type=longrope) change at {tokens} tokens with the longest row of a batch, "
    "so a response that crosses this length would be sampled and scored differently",
    "dynamic": "its rotary embeddings (rope_type=dynamic) depend, beyond {tokens} tokens, on the rows computed before",
    "selection": "its layers attend to {tokens} selected tokens of a longer row, and the batch decides between tokens "
    "of equal score",
}


@dataclass(frozen=True)
class LengthSwitch:
    """A length beyond which what a model says about a row depends on the batch.

    Args:
        kind: "longrope": rotary embeddings have two sets of frequencies, one for batches whose longest row is within
            `tokens` and one for the others; "dynamic": they change with every length beyond `tokens`, and stay for the
            batches that follow; "selection": layers attend to the `tokens` best tokens of a row.
        tokens: the length.
    """

    kind: str
    tokens: int

    @property
    def why(self) -> str:
        """What happens beyond this length."""
        return WHY[self.kind].format(tokens=self.tokens)

    def beyond(self, length: int) -> bool:
        """Whether a row of so many tokens is beyond the switch.

        Raises:
            RunError: if it is, and its numbers would depend on other rows even among rows beyond.
        """
        if length > self.tokens and self.kind != "longrope":
            raise RunError(f"a row of {length} tokens: {self._refusal}")
        return length > self.tokens

    def beyond_while_sampling(self, prompt: int, new: int) -> bool:
        """As `beyond`, for a prompt and the tokens sampled after it.

        Args:
            prompt: tokens of the prompt.
            new: the most tokens sampled; the last of them is not read by the model.

        Raises:
            RunError: also if the switch would lie within the response.
        """
        last = self.beyond(prompt + new - 1)
        if last != self.beyond(prompt):
            raise RunError(f"a prompt of {prompt} tokens and a response of up to {new}: {self._refusal}")
        return last

    @property
    def _refusal(self) -> str:
        return (
            f"the model cannot be used for it: {self.why}; expected at most {self.tokens} tokens together: lower "
            "task.max_prompt_tokens or task.max_new_tokens"
        )


def length_switch(config: PreTrainedConfig) -> LengthSwitch | None:
    """Where what a model says about a row begins to depend on the batch; None if it never does.

    Args:
        config: of the model. Layers of several types may have rotary embeddings of their own; the shortest length
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
    selected = [getattr(text, name, None) for name in SELECTIONS]
    blocks, size = getattr(text, "index_topk_blocks", None), getattr(text, "index_block_size", None)
    selected.append(blocks * size if isinstance(blocks, int) and isinstance(size, int) else None)
    found += [(tokens, "selection") for tokens in selected if isinstance(tokens, int) and tokens > 0]
    return LengthSwitch(min(found)[1], min(found)[0]) if found else None


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
    longest, limit, switch = prompt + new, position_limit(model), length_switch(model.config)
    given = f"task.max_prompt_tokens={prompt} and task.max_new_tokens={new} make {longest} tokens, and the model {path}"
    if limit is not None and longest > limit:
        raise RunError(f"{given} reads at most {limit}; lower them")
    if switch is not None and longest > switch.tokens:
        raise RunError(f"{given} takes at most {switch.tokens}: {switch.why}; lower them to {switch.tokens} together")
