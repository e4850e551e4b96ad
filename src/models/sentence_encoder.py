"""Sentence-embedding models: checked before a run, loaded when needed."""

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

from src.models.hub_commit import pinned
from src.models.loading import as_run_error
from src.runtime.errors import error_summary

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def encoder_problems(key: str, path: str) -> list[str]:
    """What prevents using a sentence-embedding model, a line each, checked without loading the model.

    Args:
        key: the configuration key that names the model, for messages.
        path: a folder or a hub name.
    """
    problems = []
    if importlib.util.find_spec("sentence_transformers") is None:
        problems.append("sentence embeddings need sentence-transformers: pip install -e '.[embedding]'")
    if path.startswith(("/", ".", "~")) and not (Path(path) / "config.json").is_file():
        problems.append(f"{key}={path}: no sentence-embedding model there (expected a folder with config.json)")
    return [*problems, *_own_code(key, Path(path))]


def load_encoder(path: str, advice: str) -> "SentenceTransformer":
    """Loads a sentence-embedding model.

    Args:
        path: a folder or a hub name.
        advice: what to type for another model, for the message.

    Raises:
        RunError: if the model cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer

    def message(error: Exception) -> str:
        return (
            f"the embedding model {path} cannot be loaded ({error_summary(error)}); without a network give the folder "
            f"of a copy: {advice}"
        )

    with as_run_error(message):
        return SentenceTransformer(path, trust_remote_code=False, **pinned(path))


def _own_code(key: str, folder: Path) -> list[str]:
    """Which modules of a local model are code from its folder: some versions of the library would run such code."""
    file = folder / "modules.json"
    if not file.is_file():
        return []
    try:
        kinds = [str(module["type"]) for module in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"{key}={folder}: its modules.json cannot be read ({error!r})"]
    foreign = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    return [f"{key}={folder}: its module {kind} is code of its own, which is never run" for kind in foreign]
