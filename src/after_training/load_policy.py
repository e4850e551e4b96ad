"""Loading saved policies: one model in memory, and the weights of several policies to put into it."""

import torch

from src.after_training.saved_policy import SavedPolicy
from src.models.fingerprint import model_fingerprint
from src.models.policy import Policy, Weights
from src.models.pretrained import load_model, load_tokenizer
from src.models.spec import LoraSpec
from src.runtime.errors import RunError

# Adapter layers over every linear layer: an adapter of any rank, on any of these layers, fits into them.
ANY_ADAPTER = LoraSpec(rank=1, alpha=1, dropout=0.0, targets="all-linear")


def load_policy(saved: SavedPolicy, base: str, dtype: str, device: torch.device) -> Policy:
    """Loads the model that a saved policy's weights belong to. For an adapter, `weights_of` gives the weights.

    Args:
        base: folder or hub name, from `base_of`.
        dtype: of the model's weights, "float32" or "bfloat16".

    Raises:
        RunError: if the model cannot be loaded.
    """
    tokenizer, model = load_tokenizer(base), load_model(base, getattr(torch, dtype))
    model.to(device)  # type: ignore[arg-type]
    return Policy(model, tokenizer, base=base, lora=ANY_ADAPTER if saved.is_adapter else None)


def weights_of(saved: SavedPolicy, base: str, policy: Policy) -> Weights:
    """The weights of a saved policy, to be used with `policy.using(weights)`.

    Args:
        base: folder or hub name, from `base_of`.
        policy: the model in memory.

    Returns:
        The weights; empty if the model in memory was loaded with them.

    Raises:
        RunError: if the saved policy has another base model than the model in memory.
    """
    advice = "show policies of different bases one after the other"
    if saved.is_adapter and not same_model(base, policy.base):
        raise RunError(f"{saved.folder} is an adapter for {base}, and the model loaded here is {policy.base}; {advice}")
    if not saved.is_adapter:
        if str(saved.folder) == policy.base:
            return {}
        if load_tokenizer(str(saved.folder)).get_vocab() != policy.tokenizer.get_vocab():
            raise RunError(
                f"{saved.folder} has another tokenizer than {policy.base}, so it is of another base model; {advice}"
            )
    return policy.read_weights(saved.folder)


def same_model(first: str, second: str) -> bool:
    """Whether two paths or hub names are one model: the same name, or the same files."""
    return first == second or model_fingerprint(first) == model_fingerprint(second)
