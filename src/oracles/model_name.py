"""What result rows call the model of an oracle or judge, and when two such names mean one model."""

import re

from src.models.fingerprint import model_fingerprint
from src.storage.files import local_path


def model_name(path: str) -> str:
    """The name of an oracle's model.

    Args:
        path: a folder or a hub name.

    Returns:
        A folder's name with a hash of its files, since two folders may have one name; or the whole hub name, since two
        owners may give a model one name.
    """
    folder = local_path(path)
    return f"{folder.resolve().name}-{model_fingerprint(path)[:8]}" if folder.is_dir() else path


def is_same_oracle(first: str, second: str | None) -> bool:
    """Whether two names of oracles mean the same scores: equal names, or copies of one model in folders of other names.

    Args:
        first, second: `oracle.name` each; None where nothing is known.
    """
    return second is not None and _without_folder(first) == _without_folder(second)


def _without_folder(name: str) -> str:
    return re.sub(r"^(\w+:)[^/]*-([0-9a-f]{8})(?=$|-[\d.e-]+/word$)", r"\1\2", name, flags=re.DOTALL)
