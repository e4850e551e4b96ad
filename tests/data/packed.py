"""Files packed by each of the programs whose files are read."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path


def pack(file: Path, content: bytes) -> Path:
    """Writes a file as its name says."""
    if file.suffix.lower() == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(file.stem, content)
        return file
    programs = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    }
    file.write_bytes(programs.get(file.suffix.lower(), bytes)(content))
    return file
