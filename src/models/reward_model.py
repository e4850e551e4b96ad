"""A reward model: a transformer with one number behind it, the reward of a response to a prompt."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import transformers
from tokenizers import processors
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from src.runtime.errors import RunError
from src.runtime.memory import naming

# What a forward pass takes of one (prompt, response): input_ids, and token_type_ids where the model knows segments.
Encoded = dict[str, list[int]]


@dataclass(frozen=True, eq=False)
class RewardModel:
    """Rewards of responses, with or without gradients.

    Args:
        model: a sequence classifier with one label, whose logit is the reward.
        tokenizer: the model's.
        input: "pair" encodes prompt and response as the tokenizer's two segments, "chat" as a user's and an assistant's
            turn in the tokenizer's chat template.
        max_length: longest input in tokens. Of a longer one the prompt loses its beginning; once no prompt is left, the
            response loses its end.
        batch_tokens: most tokens in a forward pass, padding included, where there is more than one row.

    Raises:
        RunError: if the model cannot take such an input.
    """

    model: PreTrainedModel
    tokenizer: Tokenizer
    input: str
    max_length: int
    batch_tokens: int

    def __post_init__(self) -> None:
        name = self.model.name_or_path
        if self.input == "chat" and not self.tokenizer.chat_template:
            raise RunError(f"the tokenizer of {name} has no chat template, which input=chat needs; use input=pair")
        if (longest := _longest(self.model, self.tokenizer)) < self.max_length:
            raise RunError(f"the reward model {name} reads at most {longest} tokens; max_length={self.max_length}")

    def encode(self, prompts: Sequence[str], texts: Sequence[str]) -> list[Encoded]:
        """The input of each text as a response to the prompt beside it, at most max_length tokens."""
        whole = self._tokens(prompts, texts)
        return [
            row if len(row["input_ids"]) <= self.max_length else self._cut(prompt, text)
            for row, prompt, text in zip(whole, prompts, texts, strict=True)
        ]

    def _cut(self, prompt: str, text: str) -> Encoded:
        # Texts are cut, not ids, so that what a template or a tokenizer puts around both of them stays.
        while (excess := len((row := self._tokens([prompt], [text])[0])["input_ids"]) - self.max_length) > 0:
            if prompt:
                starts = self._starts(prompt)
                prompt = prompt[max(1, starts[excess]) :] if excess < len(starts) else ""
            elif text:
                starts = self._starts(text)
                text = text[: min(len(text) - 1, starts[-excess])] if excess < len(starts) else ""
            else:
                raise RunError(
                    f"an empty prompt and response take {excess + self.max_length} tokens of "
                    f"{self.model.name_or_path}; max_length={self.max_length}: expected more"
                )
        return row

    def _starts(self, text: str) -> list[int]:
        """Where each token begins in the text."""
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [start for start, _ in found["offset_mapping"]]

    def _tokens(self, prompts: Sequence[str], texts: Sequence[str]) -> list[Encoded]:
        if not prompts:
            return []
        if self.input == "chat":
            turns = [
                [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
                for prompt, text in zip(prompts, texts, strict=True)
            ]
            rendered = self.tokenizer.apply_chat_template(turns, tokenize=False)
            found = self.tokenizer(rendered, add_special_tokens=False, verbose=False)
        else:
            found = self.tokenizer(list(prompts), list(texts), verbose=False)
        names = ["input_ids"]
        if "token_type_ids" in found and "token_type_ids" in inspect.signature(self.model.forward).parameters:
            names.append("token_type_ids")
        return [{name: found[name][place] for name in names} for place in range(len(prompts))]

    def rewards(self, rows: Sequence[Encoded]) -> Tensor:
        """The rewards of at least one row in one forward pass, (N,), float32, with gradients where they are enabled."""
        config = self.model.config.get_text_config()
        own, pad = config.pad_token_id, config.pad_token_id
        if own is None and len(rows) > 1:
            # Such a model reads its reward off the last token. Transformers finds it in a batch by what is not padding.
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
            [[int(place < len(row["input_ids"])) for place in range(longest)] for row in rows]
        )
        try:
            config.pad_token_id = pad
            logits = self.model(**{name: tensor.to(self.model.device) for name, tensor in inputs.items()}).logits
        finally:
            config.pad_token_id = own
        return logits.squeeze(-1).float()

    @torch.no_grad()
    def score(self, prompts: Sequence[str], texts: Sequence[str]) -> list[float]:
        """The reward of each text as a response to the prompt beside it; what is asked twice is computed once."""
        asked = list(zip(prompts, texts, strict=True))
        unique = list(dict.fromkeys(asked))
        rows = self.encode([prompt for prompt, _ in unique], [text for _, text in unique])
        found: dict[tuple[str, str], float] = {}
        for batch in batches([len(row["input_ids"]) for row in rows], self.batch_tokens):
            with naming("batch_tokens", self.batch_tokens):
                rewards = self.rewards([rows[index] for index in batch])
            found.update(zip((unique[index] for index in batch), rewards.tolist(), strict=True))
        return [found[one] for one in asked]


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Places of rows, longest first, in batches that hold at most so many tokens with padding, or one row."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True):
        if batch and (len(batch) + 1) * lengths[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def load_reward_model(path: str, device: torch.device) -> tuple[PreTrainedModel, Tokenizer]:
    """A trained reward model of a folder or the hub, bfloat16 on a GPU, and its tokenizer.

    Raises:
        RunError: if it cannot be had, or is no reward model.
    """
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        if problem := label_problem(path, config):
            raise RunError(problem)
        tokenizer, model, absent = _from_pretrained(path, dtype)
    except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
        if isinstance(error, RunError):
            raise
        raise RunError(
            f"the reward model {path} cannot be loaded ({first_line(error)}); without a network give the folder of "
            "one: oracle.path=DIR judge.path=DIR"
        ) from error
    if absent:
        raise RunError(f"{path} is no trained reward model: it has no weights for {', '.join(sorted(absent)[:3])}")
    if dtype == torch.bfloat16:
        keep_head_exact(model)
    return model.to(device).eval(), tokenizer  # type: ignore[arg-type]


def new_reward_model(path: str, device: torch.device, seed: int) -> tuple[PreTrainedModel, Tokenizer]:
    """Any encoder or decoder of a folder or the hub with a fresh head, float32, and its tokenizer, fit to pad.

    Raises:
        RunError: if it cannot be had.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tokenizer, model, _ = _from_pretrained(path, torch.float32, num_labels=1)
    except Exception as error:
        raise RunError(
            f"the model {path} cannot be loaded ({first_line(error)}); without a network give the folder of one: "
            "reward.path=DIR"
        ) from error
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise RunError(f"the tokenizer of {path} has no padding and no end-of-sequence token; set pad_token in it")
        tokenizer.pad_token = tokenizer.eos_token
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    mark_segments(tokenizer)
    return model.to(device), tokenizer  # type: ignore[arg-type]


def mark_segments(tokenizer: Tokenizer) -> None:
    """Lets a tokenizer that would join two segments without a mark between them end each with the end token."""
    end = tokenizer.eos_token
    if tokenizer.num_special_tokens_to_add(pair=True) == 0 and end is not None:
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=["$A"], pair=["$A", end, "$B", end], special_tokens=[(end, tokenizer.eos_token_id)]
        )


def keep_head_exact(model: PreTrainedModel) -> None:
    """Computes the head of a bfloat16 model in float32: with 8 bits, one reward in a hundred would tie with another."""
    for name in ("score", "classifier"):
        if (head := getattr(model, name, None)) is not None:
            head.float().register_forward_pre_hook(lambda _, inputs: (inputs[0].float(), *inputs[1:]))


def label_problem(path: str, config: transformers.PretrainedConfig) -> str | None:
    """Why a model with this configuration cannot be a reward model, if it cannot."""
    if config.num_labels == 1:
        return None
    kind = (config.architectures or ["a model"])[0]
    return f"path={path}: expected a reward model, with one label; found {kind} with {config.num_labels} labels"


def _from_pretrained(path: str, dtype: torch.dtype, **changes: int) -> tuple[Tokenizer, PreTrainedModel, set[str]]:
    """The tokenizer, the model, and the names of weights that the files lack."""
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise ValueError("its tokenizer has no tokenizer.json")
    # Transformers prints a table of what the files lack; the caller says it in a line where it matters.
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            path, dtype=dtype, output_loading_info=True, trust_remote_code=False, **changes
        )
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
    return tokenizer, model, set(info["missing_keys"])


def _longest(model: PreTrainedModel, tokenizer: Tokenizer) -> int:
    """Tokens the model can take: those it has positions for. DeBERTa's are relative, and end nowhere."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or getattr(config, "position_biased_input", True) is False:
        return 2**31
    return int(min(positions, tokenizer.model_max_length))


def first_line(error: Exception) -> str:
    """An error in a line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
