"""What a mistyped name may have meant."""

import difflib
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf


def nearest(name: str, valid: Sequence[str]) -> str:
    """The end of a message about an unknown name: the names most like it, or else all there are."""
    leaves = {key.rsplit(".", 1)[-1]: key for key in reversed(valid)}
    close = difflib.get_close_matches(name, valid, n=2, cutoff=0.6)
    close += [leaves[leaf] for leaf in difflib.get_close_matches(name.rsplit(".", 1)[-1], leaves, n=2, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(dict.fromkeys(close))}?"
    return f"there are {', '.join(sorted({key for key in valid if '.' not in key}))}"


def key_hint(key: str, keys: Sequence[str], tree: DictConfig, groups: Sequence[str]) -> str:
    """The end of a message about an unknown key of a composed configuration."""
    parent = key.rpartition(".")[0]
    if parent in keys and OmegaConf.select(tree, parent) is None:
        return f"{parent} is null here" + ("; model=tiny_lora has one" if parent == "model.lora" else "")
    return nearest(key, [*groups, *keys])
