"""Which decoder a model gets where its prompts are not shared: the fastest one that scores as rows by themselves do."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from src.inference.decoding import Decoder
from src.inference.plain_decoding import PlainDecoder
from src.inference.self_check import Trial, decoded_logps, trial_of
from src.inference.unpadded_decoding import UnpaddedDecoder
from src.inference.windows import shortest_window
from src.models.context import is_position_table
from src.records import Ids
from src.runtime.errors import RunError

MakeDecoder = Callable[[PreTrainedModel, Sequence[Ids], int], Decoder]

UNCACHED = partial(UnpaddedDecoder, cached=False)
REMEMBERED = "_plain_decoder"


def plain_decoder(model: PreTrainedModel) -> MakeDecoder:
    """The decoder for prompts that are not shared: the one that `choose` found, or that a usual model needs.

    Args:
        model: the language model, with any weights.

    Returns:
        What makes a decoder of a model, prompts and the number of responses per prompt.

    Raises:
        RunError: if the model is no causal language model.
    """
    if REMEMBERED in vars(model):
        chosen: MakeDecoder = vars(model)[REMEMBERED]
        return chosen
    return PlainDecoder if _is_usual(model) else choose(model, trial_of(model, shortest_window(model)))


def _is_usual(model: PreTrainedModel) -> bool:
    """Whether a model that nobody has tried takes positions and keeps keys and values alone, as most models do."""
    tables = (module for name, module in model.named_modules() if is_position_table(name, module))
    return (
        _keeps_keys_and_values_alone(model)
        and "position_ids" in inspect.signature(model.forward).parameters
        and not any(table.padding_idx is not None for table in tables)
    )


def _keeps_keys_and_values_alone(model: PreTrainedModel) -> bool:
    """Whether the rows of a model's cache can be copied and removed; states of other kinds would stay as they are."""
    try:
        layers = DynamicCache(config=model.config).layers
    except Exception:  # of a configuration that has layers of other kinds
        return False
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def choose(model: PreTrainedModel, trial: Trial) -> MakeDecoder:
    """Tries the decoders on rows whose log-probabilities are known, and remembers the first that agrees.

    Args:
        model: the language model; what is chosen is kept in it.
        trial: rows of that model.

    Raises:
        RunError: if none agrees.
    """
    makes: tuple[MakeDecoder, ...] = (UnpaddedDecoder, UNCACHED)
    if _keeps_keys_and_values_alone(model):
        makes = (PlainDecoder, *makes)
    chosen = next((make for make in makes if decodes(make, model, trial)), None)
    if chosen is None:
        raise RunError(
            f"{type(model).__name__} gives a batch of rows other predictions than each row by itself; expected the "
            "same log-probabilities; give another model: model.path=DIR"
        )
    vars(model)[REMEMBERED] = chosen
    return chosen


def decodes(make: MakeDecoder, model: PreTrainedModel, trial: Trial) -> bool:
    """Whether a decoder works for a model and gives the log-probabilities of rows by themselves."""
    try:
        return trial.agrees(decoded_logps(make, model, trial))
    except torch.OutOfMemoryError:
        raise
    except Exception:  # caches fail in as many ways as there are models
        return False
