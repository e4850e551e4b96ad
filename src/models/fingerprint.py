"""Hashes that distinguish models."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.storage.signed import read_signed

if TYPE_CHECKING:
    from torch import Tensor


def model_fingerprint(path: str) -> str:
    """A hash of a local model, or the hub name itself.

    Args:
        path: a folder or a hub name.

    Returns:
        16 hexadecimal digits from the names, the sizes and the first MiB of the model's files; `path` if it is no
        folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        return path
    digest = hashlib.sha256()
    # made.json lists the files of a policy made here; files that were added later do not count.
    made = read_signed(folder / "made.json", "files")
    for file in sorted(folder.iterdir() if made is None else (folder / name for name in made["files"])):
        if file.suffix in (".json", ".jinja", ".safetensors", ".bin", ".model", ".txt") and file.name != "made.json":
            with file.open("rb") as opened:
                digest.update(f"{file.name} {file.stat().st_size} ".encode() + opened.read(2**20))
    return digest.hexdigest()[:16]


def weights_fingerprint(weights: "Mapping[str, Tensor]") -> str:
    """A hash of the names and values of tensors, 16 hexadecimal digits."""
    import torch

    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous().view(torch.uint8)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode() + values.numpy().tobytes())
    return digest.hexdigest()
