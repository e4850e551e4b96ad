"""The files of a data set of the Hugging Face hub, and which split each belongs to."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.data.formats import FORMATS, PACKED
from src.runtime.errors import ConfigError, error_summary


def download(path: str, revision: str | None, data_dir: str | None) -> Path:
    """Downloads the data files of a data set, unless the hub's cache has them; with HF_HUB_OFFLINE=1, only looks there.

    Args:
        path: name on the hub, owner/name.
        revision: the commit; None for the newest.
        data_dir: the folder in the data set that holds the files; None for all files.

    Returns:
        The data set's folder in the cache.

    Raises:
        ConfigError: if the files are neither in the cache nor to be downloaded.
    """
    from huggingface_hub import snapshot_download

    inside = f"{data_dir}/" if data_dir else ""
    wanted = ["README.md", *(f"{inside}*{suffix}{packed}" for suffix in FORMATS for packed in ("", PACKED))]
    with _quiet("huggingface_hub"):
        try:
            return Path(snapshot_download(path, repo_type="dataset", revision=revision, allow_patterns=wanted))
        except Exception as error:  # networks fail with a dozen kinds of exception
            said = error_summary(error).rstrip(".")
            raise ConfigError([_no_access(path, revision, said)]) from error


def _no_access(path: str, revision: str | None, said: str) -> str:
    return (
        f"{path} (revision {revision or 'main'}) cannot be had here: {said}. Any of these helps: run the command once "
        "where there is a network, copy the cache (~/.cache/huggingface/hub, or HF_HUB_CACHE) here and set "
        "HF_HUB_OFFLINE=1; data.path=DIR with a copy of the data set in Parquet, JSON lines or CSV; data=files "
        "data.path=DIR with files of your own; data=embedded, which is generated"
    )


def split_files(folder: Path, data_dir: str | None) -> dict[str, list[Path]]:
    """The data files of each split, by the hub's naming conventions, as `datasets` applies them.

    Args:
        folder: a data set's folder.
        data_dir: the folder in it that holds the files; None for the whole folder.

    Raises:
        ConfigError: if there is no data set.
    """
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetsError

    with _quiet("datasets"):
        try:
            files = load_dataset_builder(str(folder), data_dir=data_dir).config.data_files or {}
        except (OSError, ValueError, DatasetsError) as error:
            where = folder / data_dir if data_dir else folder
            raise ConfigError([f"{where}: no data set there ({error_summary(error)})"]) from error
    return {str(split): [Path(file) for file in names] for split, names in files.items()}


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Silences a library's warnings about a failure, which our message reports."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
