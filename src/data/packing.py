"""Files packed by one of the programs that the standard library reads."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

# What reading a damaged or foreign file raises, whichever way it is packed.
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_READERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".lzma": lzma.LZMAFile,
}
PACKED = (*_READERS, ".zip")


def unpacked_name(name: str) -> str:
    """A file's name without the suffix of the program that packed it, in lower case."""
    name = name.lower()
    return next((name.removesuffix(suffix) for suffix in PACKED if name.endswith(suffix)), name)


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading its bytes, unpacked where its name says that it is packed.

    Raises:
        UNREADABLE: here or while it is read, if the file cannot be read.
    """
    suffix = file.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            # Archives made on a Mac have a folder of notes beside the file.
            names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
            if len(names) != 1:
                raise ValueError(f"expected one file in the archive, got {len(names)}: {', '.join(names[:5])}")
            try:
                member = archive.open(names[0])
            except (RuntimeError, NotImplementedError) as error:  # a password, or an uncommon method
                raise ValueError(str(error)) from error
            with member:
                yield member
    else:
        with _READERS.get(suffix, lambda file: file.open("rb"))(file) as content:
            yield content
