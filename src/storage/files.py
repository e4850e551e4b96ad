"""Files and folders that are written whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from src.runtime.errors import RunError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns whatever a block raises into a message that names the file it writes.

    The libraries that write models have many errors of their own, hence any exception.

    Args:
        path: the file or folder that the block writes.

    Raises:
        RunError: in place of any other exception.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        reason = next(iter(reason.splitlines()), "")
        raise RunError(
            f"{path} cannot be written ({reason}); make room or give the right to write there, then the same command "
            "continues from the files that are whole"
        ) from error


def unwritable(file: Path) -> str:
    """Why a file cannot be written; empty if it can.

    The folder must be writable too, for a lock and for the temporary file that replaces the file.

    Args:
        file: the file; neither it nor its folder needs to exist.
    """
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    effective = os.access in os.supports_effective_ids
    if not folder.is_dir():
        return f"{folder} is a file"
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        return f"no right to write in {folder}"
    if file.exists() and not os.access(file, os.W_OK, effective_ids=effective):
        return "no right to write to it"
    return ""


def local_path(text: str) -> Path:
    """A path as a shell reads it: `~` and `~name` become home folders; `~name` of an unknown user stays."""
    try:
        return Path(os.path.expanduser(text))
    except ValueError:  # the name contains a NUL
        return Path(text)


def is_local(path: str) -> bool:
    """Whether a path names a folder on this machine, not a model or data set on the hub."""
    return path.startswith(("/", ".", "~")) or Path(path).exists()


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder; a link to a folder is followed unless it leads back."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = [name for name in folders if os.path.realpath(os.path.join(place, name)) not in seen]
        yield from (file for name in names if (file := Path(place, name)).is_file())


def sync(path: Path) -> None:
    """Waits until the content of a file, or the entries of a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all: a temporary file beside it replaces it once it is on the disk.

    Raises:
        RunError: if the file cannot be written.
        UnicodeEncodeError: if the text is no UTF-8.
    """
    temporary = path.with_name(f".{path.name}.partial")
    content = text.encode("utf-8")  # outside of writing(): an error here is the caller's, not the disk's
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which replaces `path` at the end of the block, once its files are on the disk:

        with new_folder(path) as partial:
            write_text(partial / "one.txt", "one")

    An exception in the block leaves `path` as it was.

    Raises:
        RunError: if the folder cannot be written.
    """
    partial, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    try:
        yield partial
        with writing(path):
            for below in [*partial.rglob("*"), partial]:
                sync(below)
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                path.rename(old)
            partial.rename(path)
            sync(path.parent)
            shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
