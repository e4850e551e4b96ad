"""Hashes that distinguish models."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.models.hub_commit import hub_commit
from src.storage.files import files_below, local_path
from src.storage.kept_hashes import whole_hash
from src.storage.signed import read_signed

if TYPE_CHECKING:
    from torch import Tensor

# Files beside a model that no library loads.
NOTES = (".md", ".log", ".lock")
# The list of a policy made here, and a folder whose templates tokenizers load.
MADE, TEMPLATES = "made.json", "additional_chat_templates"


def model_fingerprint(path: str) -> str:
    """A hash of a local model, or the hub name with its commit.

    Args:
        path: a folder or a hub name.

    Returns:
        16 hexadecimal digits from the names and the whole contents of the model's files; "owner/name@commit" if `path`
        is no folder, or `path` alone where the commit cannot be had.
    """
    folder = local_path(path)
    if not folder.is_dir():
        commit = hub_commit(path)
        return f"{path}@{commit}" if commit else path
    digest = hashlib.sha256()
    for name in sorted(_names(folder)):
        if (file := folder / name).is_file():
            digest.update(json.dumps([name, whole_hash(file)]).encode())
    return digest.hexdigest()[:16]


def _names(folder: Path) -> set[str]:
    """The files that make a model, relative to its folder.

    They are the folder's own files, the shards that an index names, templates, and the modules of a sentence encoder,
    which lie in subfolders. Other subfolders hold other models, such as a trainer's checkpoints.
    """
    # made.json lists the files of a policy made here; files that were added later do not count.
    if (made := read_signed(folder / MADE, "files")) is not None:
        return set(made["files"])
    files = set(folder.iterdir()) | set((folder / TEMPLATES).glob("*"))
    if (folder / "modules.json").is_file():
        files |= set(files_below(folder))
    names = {str(file.relative_to(folder)) for file in files}
    for index in folder.glob("*.index.json"):
        names |= _shards(index)
    return {name for name in names if _is_of_model(Path(name))}


def _is_of_model(name: Path) -> bool:
    hidden = any(part.startswith(".") and part != ".." for part in name.parts)
    return not hidden and name.suffix not in NOTES and name.name != MADE


def _shards(index: Path) -> set[str]:
    """The files that the index of a model's shards names; none where it cannot be read, which loading reports."""
    try:
        return {str(name) for name in json.loads(index.read_bytes())["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def weights_fingerprint(weights: "Mapping[str, Tensor]") -> str:
    """A hash of the names and values of tensors, 16 hexadecimal digits."""
    import torch

    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous().view(torch.uint8)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode() + values.numpy().tobytes())
    return digest.hexdigest()
