"""Models of sentence embeddings."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import RunError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def encoder_problems(key: str, path: str) -> list[str]:
    """What keeps a model of sentence embeddings from being used, found without loading it.

    Args:
        key: of the configuration, that names it.
        path: a folder or hub name.
    """
    found = []
    if importlib.util.find_spec("sentence_transformers") is None:
        found.append("sentence embeddings need sentence-transformers: pip install -e '.[embedding]'")
    if path.startswith(("/", ".", "~")) and not (Path(path) / "config.json").is_file():
        found.append(f"{key}={path}: no sentence-embedding model there (expected a folder with config.json)")
    return found


def load_encoder(path: str, give: str) -> "SentenceTransformer":
    """Loads a model of sentence embeddings.

    Args:
        path: a folder or hub name.
        give: what to type to name another one.

    Raises:
        RunError: if it cannot be had.
    """
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise RunError(
            f"the embedding model {path} cannot be loaded ({str(error).splitlines()[0]}); without a network "
            f"give the folder of one: {give}"
        ) from error
