"""The checksums of a finished run's files, in the format of `sha256sum`: `sha256sum -c SHA256SUMS` checks them too."""

from pathlib import Path

from src.storage.files import checksum, write_text

SUMS = "SHA256SUMS"
# What goes on changing, or is nobody's result.
NOT_SUMMED = ("wandb", "checkpoint")


def write_sums(folder: Path) -> None:
    """Writes the checksums of all files below a run's folder but hidden ones."""
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    kept = [name for name in names if name.split("/")[0] not in (*NOT_SUMMED, SUMS) and not name.startswith(".")]
    write_text(folder / SUMS, "".join(f"{checksum(folder / name)}  {name}\n" for name in kept))


def damage(folder: Path, below: tuple[str, ...] = ("",)) -> list[str]:
    """What is not as a finished run has left it, a line each; nothing for a folder without checksums.

    Args:
        below: only files whose name begins with one of these.
    """
    sums = folder / SUMS
    if not sums.is_file():
        return []
    found = []
    for number, line in enumerate(sums.read_text(encoding="utf-8", errors="replace").split("\n")[:-1], 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or not (folder / name).resolve().is_relative_to(folder.resolve()):
            found.append(f"{sums}, line {number}: no checksum; the file is damaged")
        elif name.startswith(below):
            file = folder / name
            if not file.is_file():
                found.append(f"{file} is missing, and {SUMS} names it")
            elif checksum(file) != digest:
                found.append(f"{file} is damaged: its checksum is not that of {SUMS}")
    return found or ([] if sums.stat().st_size else [f"{sums} is empty"])


def policy_folder(folder: Path) -> Path:
    """Where the policy is that a path leads to: `policy/` of a run's folder, or the folder itself."""
    return folder / "policy" if (folder / "policy").is_dir() else folder
