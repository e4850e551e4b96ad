"""The material that all sides work on: one model, and the same pairs or prompts as token ids."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from benchmarks.arguments import Bench
from src.build import build_sft_cache
from src.config import RunConfig
from src.data.splits import tokenize
from src.learning.sft_cache import SftCache
from src.models.pretrained import load_model, load_tokenizer
from src.models.template import Template
from src.records import Ids, Prompt
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream

T = TypeVar("T")


class Pair(NamedTuple):
    """A pair as token ids."""

    prompt: Ids
    chosen: Ids
    rejected: Ids


@dataclass(frozen=True)
class Material:
    """The input of a side.

    Attributes:
        config: the configuration; `model.dtype` is the precision.
        base: folder or hub name of the model under the adapters.
        batches: prompts of each turn, in order.
        pairs: pairs of each turn, on the same prompts.
        vocabulary: size to which the embeddings are resized; None: they stay as they are.
    """

    config: RunConfig
    base: str
    batches: list[list[Prompt]]
    pairs: list[list[Pair]]
    vocabulary: int | None = None

    def at(self, precision: str) -> "Material":
        """The same material in another precision."""
        model = replace(self.config.model, dtype=precision)
        return replace(self, config=replace(self.config, model=model))


@contextmanager
def material(bench: Bench, report: Report) -> Iterator[Material]:
    """The model, trained first if start=sft needs it, and real prompts in random order, `pairs` of them a turn.

    In a pair the chosen response is the prompt's label, the rejected response the label of the prompt before.
    """
    config = bench.config
    splits = config.data.load(config.task.name)
    cache = build_sft_cache(config, splits, report)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if bench.keys.start == "sft":
            base = _folded(cache, Path(folder) / "sft")
        else:
            # An untrained base from scratch: training does not change what a model costs.
            base = replace(cache, spec=replace(config.model, pretrain=None, lora=None, dtype="float32")).base()
        template = Template(load_tokenizer(base), config.model.template)
        turns = bench.keys.warmup + bench.keys.repeats
        rows = [splits.train[index] for index in numpy_stream(config.seed, "bench").permutation(len(splits.train))]
        prompts = tokenize(
            rows, template, config.task.max_prompt_tokens, "train", turns * bench.keys.pairs,
            config.task.max_label_tokens,
        )  # fmt: skip
        pairs = [
            Pair(prompt.ids, prompt.label_ids, prompts[index - 1].label_ids) for index, prompt in enumerate(prompts)
        ]
        yield Material(
            config, base, _batches(prompts, turns, bench.keys.pairs), _batches(pairs, turns, bench.keys.pairs)
        )


def _batches(items: list[T], count: int, size: int) -> list[list[T]]:
    """`count` lists of `size` items, starting over when the items run out."""
    endless = itertools.cycle(items)
    return [list(itertools.islice(endless, size)) for _ in range(count)]


def _folded(cache: SftCache, folder: Path) -> str:
    """Saves the SFT policy, adapters folded in, as a model folder."""
    policy = cache.policy(1)
    model = load_model(policy.base, policy.model.dtype)
    model.load_state_dict(policy.mean(), strict=False)
    model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    return str(folder)
