"""A hash that distinguishes models."""

import hashlib
from pathlib import Path

from src.storage.signed import read_signed


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
