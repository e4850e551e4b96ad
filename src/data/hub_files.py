"""The files of a data set of the Hugging Face hub, and which split each belongs to."""

import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from src.data.formats import FORMATS, format_of
from src.data.packing import PACKED
from src.runtime.errors import ConfigError, error_summary
from src.storage.files import files_below

# What `datasets` leaves in a folder beside the data.
NOT_DATA = ("config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")


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

    # The library takes what it downloads as patterns: a bracket around each of their signs makes it the sign itself.
    inside = re.sub(r"([*?[])", r"[\1]", data_dir) + "/" if data_dir else ""
    wanted = ["README.md", *(f"{inside}*{suffix}{packed}" for suffix in FORMATS for packed in ("", *PACKED))]
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
        "HF_HUB_OFFLINE=1; data.path=DIR with a copy of the data set in Parquet, JSON or CSV; data=files "
        "data.path=DIR with files of your own; data=embedded, which is generated"
    )


def split_files(folder: Path, data_dir: str | None) -> dict[str, list[Path]]:
    """The data files of each split, by the hub's naming conventions, as `datasets` applies them.

    `datasets` takes every path for a pattern, and of several formats it reads the most frequent one. So it is shown
    a copy of the tree with empty files and plain names, and what it leaves out is compared with what it takes.

    Args:
        folder: a data set's folder.
        data_dir: the folder in it that holds the files; None for the whole folder.

    Raises:
        ConfigError: if there is no data set, or a split has files of two formats.
    """
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetsError

    base = folder / data_dir if data_dir else folder
    with _quiet("datasets"), tempfile.TemporaryDirectory() as place:
        try:
            # A README's own list of files counts for the whole data set only.
            readme = b"" if data_dir or not (folder / "README.md").is_file() else (folder / "README.md").read_bytes()
            listed = b"configs:" in readme
            if listed:
                (Path(place) / "README.md").write_bytes(readme)
            shown = _plain_copy(base, Path(place).resolve(), None if listed else ".jsonl")
            files = load_dataset_builder(str(Path(place).resolve())).config.data_files or {}
        except (OSError, ValueError, DatasetsError) as error:
            raise ConfigError([f"{base}: no data set there ({error_summary(error)})"]) from error
    splits = {str(split): _of_one_format([shown[str(file)] for file in names]) for split, names in files.items()}
    if problems := _left_out(splits, shown, base):
        raise ConfigError(problems)
    return splits


def _of_one_format(files: list[Path]) -> list[Path]:
    """The files of the most frequent format."""
    most = Counter(map(format_of, files)).most_common(1)
    return [file for file in files if most and format_of(file) == most[0][0]]


def _plain_copy(base: Path, place: Path, named: str | None) -> dict[str, Path]:
    """Makes an empty file of a plain name for each data file.

    Args:
        base: the folder of the data files.
        place: the folder of the empty files.
        named: the suffix of all of them, since `datasets` wants one format in all splits; None: their own.

    Returns:
        Path of the empty file -> the data file.
    """
    shown: dict[str, Path] = {}
    for file in sorted(files_below(base)):
        name, suffix = file.relative_to(base), format_of(file)
        if suffix is None or name.name in NOT_DATA or any(part.startswith(".") for part in name.parts):
            continue
        suffix += packed if (packed := file.suffix.lower()) in PACKED else ""
        *parts, stem = (re.sub(r"[^\w.-]", "_", part) for part in (*name.parts[:-1], name.name[: -len(suffix)]))
        suffix = named or suffix.removesuffix(".zip")  # which `datasets` would open
        copy, number = place.joinpath(*parts, f"{stem}{suffix}"), 0
        while copy.exists():
            number += 1
            copy = copy.with_name(f"{stem}_{number}{suffix}")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
        shown[str(copy)] = file
    return shown


def _left_out(splits: Mapping[str, list[Path]], shown: Mapping[str, Path], base: Path) -> list[str]:
    """Which files bear the name of a split and are of another format than its files, a line each."""
    taken = {file for files in splits.values() for file in files}
    problems = []
    for file in sorted(set(shown.values()) - taken):
        for split, files in splits.items():
            if re.match(rf"{re.escape(split)}([^a-zA-Z]|$)", file.name) and format_of(file) != format_of(files[0]):
                problems.append(
                    f"{base}: {file.relative_to(base)} and {files[0].relative_to(base)} are both of the split {split}; "
                    "expected files of one format (data.data_dir names a folder)"
                )
    return problems


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
