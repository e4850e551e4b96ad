"""A hash that tells models apart."""

import hashlib
from pathlib import Path

from src.storage.files import read_signed


def model_fingerprint(path: str) -> str:
    """A hash of a local model's files (of large ones, of their size and first MiB), or the hub name itself."""
    folder = Path(path)
    if not folder.is_dir():
        return path
    digest = hashlib.sha256()
    # What somebody has put beside the files of a policy made here is no part of it.
    made = read_signed(folder / "made.json", "files")
    for file in sorted(folder.iterdir() if made is None else (folder / name for name in made["files"])):
        if file.suffix in (".json", ".jinja", ".safetensors", ".bin", ".model", ".txt") and file.name != "made.json":
            with file.open("rb") as opened:
                digest.update(f"{file.name} {file.stat().st_size} ".encode() + opened.read(2**20))
    return digest.hexdigest()[:16]
