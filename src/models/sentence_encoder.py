"""Models of sentence embeddings."""

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

from src.runtime.errors import RunError

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
    return [*found, *_own_code(key, Path(path))]


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
        return SentenceTransformer(path, trust_remote_code=False)
    except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
        what = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise RunError(
            f"the embedding model {path} cannot be loaded ({what}); without a network give the folder of one: {give}"
        ) from error


def _own_code(key: str, folder: Path) -> list[str]:
    """What is wrong with a local model that brings modules of its own: some versions of the library would run them."""
    file = folder / "modules.json"
    if not file.is_file():
        return []
    try:
        kinds = [str(module["type"]) for module in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"{key}={folder}: its modules.json cannot be read ({error!r})"]
    strange = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    return [f"{key}={folder}: its module {kind} is code of its own, which is never run" for kind in strange]
