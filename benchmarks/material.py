"""What the sides work on: the same model, and the same pairs or prompts as token ids."""

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
from src.data.tokenized import tokenize
from src.learning.sft_cache import SftCache
from src.models.pretrained import load_model, load_tokenizer
from src.models.template import Template
from src.records import Ids, Prompt
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream

T = TypeVar("T")


class Pair(NamedTuple):
    """Token ids."""

    prompt: Ids
    chosen: Ids
    rejected: Ids


@dataclass(frozen=True)
class Material:
    """What a side is given.

    Attributes:
        config: `model.dtype` is the precision.
        base: the model under the adapters, a folder or hub name.
        batches: prompts of every turn, in order.
        pairs: of the same prompts.
        vocabulary: to which the model's is cut or grown; None: as it is.
    """

    config: RunConfig
    base: str
    batches: list[list[Prompt]]
    pairs: list[list[Pair]]
    vocabulary: int | None = None

    def at(self, precision: str) -> "Material":
        """The same in another precision."""
        model = replace(self.config.model, dtype=precision)
        return replace(self, config=replace(self.config, model=model))


@contextmanager
def material(bench: Bench, report: Report) -> Iterator[Material]:
    """The model, made where it has to be, and real prompts: `pairs` a turn, the chosen response is the prompt's label,
    the rejected one the label of another prompt."""
    config = bench.config
    splits = config.data.load(config.task.name)
    cache = build_sft_cache(config, splits, report)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if bench.keys.start == "sft":
            base = _folded(cache, Path(folder) / "sft")
        else:
            # A base from scratch as it is before any training: how it was trained takes no part in what it costs.
            base = replace(cache, spec=replace(config.model, pretrain=None, lora=None, dtype="float32")).base()
        template = Template(load_tokenizer(base), config.model.template)
        turns = bench.keys.warmup + bench.keys.repeats
        rows = [splits.train[place] for place in numpy_stream(config.seed, "bench").permutation(len(splits.train))]
        prompts = tokenize(
            rows, template, config.task.max_prompt_tokens, "train", turns * bench.keys.pairs,
            config.task.max_label_tokens,
        )  # fmt: skip
        # The label of the prompt before is the rejected response.
        pairs = [Pair(one.ids, one.label_ids, prompts[place - 1].label_ids) for place, one in enumerate(prompts)]
        yield Material(
            config, base, _batches(prompts, turns, bench.keys.pairs), _batches(pairs, turns, bench.keys.pairs)
        )


def _batches(items: list[T], count: int, size: int) -> list[list[T]]:
    """So many lists, from the beginning again where the items do not suffice."""
    endless = itertools.cycle(items)
    return [list(itertools.islice(endless, size)) for _ in range(count)]


def _folded(cache: SftCache, folder: Path) -> str:
    """The SFT policy as a model folder."""
    policy = cache.policy(1)
    model = load_model(policy.base, policy.model.dtype)
    model.load_state_dict(policy.mean(), strict=False)
    model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    return str(folder)
