"""Which commit of a model on the hub is meant: its name is that of a branch, and a branch moves."""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from src.storage.files import is_local, local_path

# Seconds that the hub may take to answer; then the copy in the cache counts.
PATIENCE = 10.0


@lru_cache(maxsize=64)
def hub_commit(name: str) -> str | None:
    """The commit that a hub name stands for now, the same one for the whole life of the process.

    Args:
        name: a hub name; folders have no commit.

    Returns:
        The newest commit on the hub; without a network that of the copy in the hub's cache; None where neither can be
        had, which loading the model reports.
    """
    if is_local(name) or local_path(name).is_dir():
        return None
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    if not constants.HF_HUB_OFFLINE:
        with suppress(Exception):  # no network, no such model: loading says it better
            return HfApi().model_info(name, timeout=PATIENCE).sha
    with suppress(Exception):
        file = try_to_load_from_cache(name, "config.json")
        return Path(file).parent.name if isinstance(file, str) else None
    return None


def pinned(name: str) -> dict[str, Any]:
    """The argument of `from_pretrained` that loads the commit of `hub_commit`; none for a folder."""
    commit = hub_commit(name)
    return {"revision": commit} if commit else {}
